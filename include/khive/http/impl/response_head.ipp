// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>
#include <khive/core/time.hpp>
#include <khive/http/detail/list.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI::http::detail {

/// What the head of an answer says about framing and reuse.
struct ResponseHead {
    int status = 0;
    int version = 0; ///< 10 or 11
    std::size_t fields = 0;
    std::optional<std::uint64_t> length;
    bool chunked = false;
    bool says_close = false;
    bool says_keep_alive = false;
    std::optional<Duration> keep_alive_timeout;
    std::optional<unsigned> keep_alive_max;
    std::string_view lines;   ///< the fields, without the empty line
    std::string_view problem; ///< why it cannot be used; empty if it can
};

/// Digits and nothing else.
template <class Number>
std::optional<Number> parse_number(std::string_view text) noexcept
{
    Number number{};
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    const bool good = failed == std::errc{} && end == text.data() + text.size() && text[0] >= '0' && text[0] <= '9';
    return good ? std::optional{number} : std::nullopt;
}

/// Bytes that a name may have, for one look a byte.
inline constexpr auto name_bytes = [] {
    std::array<bool, 256> table{};
    for (const char c : std::string_view{"!#$%&'*+-.^_`|~0123456789"
                                         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"})
        table[static_cast<unsigned char>(c)] = true;
    return table;
}();

/// Has one of eight bytes a control byte: below 0x20, which borrows from its high bit, or DEL, which does so once flipped?
inline bool has_control(const char* eight) noexcept
{
    constexpr std::uint64_t ones = 0x0101010101010101u;
    std::uint64_t word = 0;
    std::memcpy(&word, eight, sizeof word);
    const std::uint64_t flipped = word ^ (ones * 0x7f);
    return ((((word - ones * 0x20) & ~word) | ((flipped - ones) & ~flipped)) & (ones << 7)) != 0;
}

/// No control bytes but tab (RFC 9110 section 5.5), eight bytes at a time; only words with one are looked at closely.
inline bool is_plain_text(std::string_view text) noexcept
{
    constexpr std::size_t width = 8;
    if (text.size() < width) return is_field_value(text);
    std::size_t at = 0;
    bool control = false;
    for (; at + width <= text.size(); at += width) control = control || has_control(text.data() + at);
    control = control || has_control(text.data() + text.size() - width);
    return !control || is_field_value(text);
}

/// Tokenises a complete head and checks it, more strictly than a lenient reader would: see `ResponseReader`.
///
/// - Source: RFC 9112 sections 2 to 5.
class HeadParser {
public:
    explicit HeadParser(std::size_t max_fields) noexcept : max_fields_(max_fields) {}

    /// `text` ends with the empty line.
    [[nodiscard]] ResponseHead parse(std::string_view text);

private:
    void read_status_line(std::string_view line);
    void read_field(std::string_view line);
    void use(std::string_view name, std::string_view value);
    void read_length(std::string_view value);
    void read_coding(std::string_view value);
    void read_connection(std::string_view value);
    void read_keep_alive(std::string_view value);
    void refuse(std::string_view problem) noexcept
    {
        if (head_.problem.empty()) head_.problem = problem;
    }
    void check_whole();

    ResponseHead head_;
    std::size_t max_fields_;
};

inline ResponseHead HeadParser::parse(std::string_view text)
{
    head_.lines = text.substr(0, text.size() - 2);
    bool first = true;
    for (auto rest = head_.lines; !rest.empty() && head_.problem.empty();) {
        const auto end = rest.find('\r');
        if (end == std::string_view::npos || end + 1 == rest.size() || rest[end + 1] != '\n') {
            refuse("a line does not end with CR LF");
            break;
        }
        if (std::exchange(first, false)) {
            read_status_line(rest.substr(0, end));
            head_.lines.remove_prefix(end + 2);
        } else {
            read_field(rest.substr(0, end));
        }
        rest.remove_prefix(end + 2);
    }
    if (head_.problem.empty()) check_whole();
    return head_;
}

inline void HeadParser::read_status_line(std::string_view line)
{
    constexpr std::string_view shape = "HTTP/1.x 000 ";
    const auto digit = [&](std::size_t at) { return line[at] >= '0' && line[at] <= '9'; };
    if (line.size() < shape.size() || !line.starts_with("HTTP/1.") || line[8] != ' ' || !digit(9) || !digit(10) || !digit(11) ||
        line[12] != ' ' || (line[7] != '0' && line[7] != '1') || !is_plain_text(line.substr(shape.size())))
        return refuse("the status line is not valid HTTP/1.1");
    head_.version = line[7] == '1' ? 11 : 10;
    head_.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
}

inline void HeadParser::read_field(std::string_view line)
{
    std::size_t name = 0;
    while (name < line.size() && name_bytes[static_cast<unsigned char>(line[name])]) ++name;
    if (name == 0 || name == line.size() || line[name] != ':') return refuse("a header field is not valid");
    if (++head_.fields > max_fields_) return refuse("too many header fields");
    const auto value = line.substr(name + 1);
    if (!is_plain_text(value)) return refuse("a header field is not valid");
    use(line.substr(0, name), value);
}

inline void HeadParser::use(std::string_view name, std::string_view value)
{
    switch (name.size()) { // few names matter here, and these lengths tell most others apart
    case 10:
        if (iequals(name, "Connection")) read_connection(trim(value));
        if (iequals(name, "Keep-Alive")) read_keep_alive(trim(value));
        break;
    case 14:
        if (iequals(name, "Content-Length")) read_length(trim(value));
        break;
    case 17:
        if (iequals(name, "Transfer-Encoding")) read_coding(trim(value));
        break;
    default: break;
    }
}

inline void HeadParser::read_length(std::string_view value)
{
    for (bool last = false; !last;) {
        const auto comma = value.find(',');
        last = comma == std::string_view::npos;
        const auto number = parse_number<std::uint64_t>(trim(value.substr(0, comma)));
        if (!number) return refuse("Content-Length is not a number that fits");
        if (head_.length && *head_.length != *number) return refuse("two different Content-Length");
        head_.length = number;
        if (!last) value.remove_prefix(comma + 1);
    }
}

inline void HeadParser::read_coding(std::string_view value)
{
    if (head_.chunked) return refuse("more than one Transfer-Encoding");
    if (!iequals(value, "chunked")) return refuse("Transfer-Encoding other than chunked");
    head_.chunked = true;
}

inline void HeadParser::read_connection(std::string_view value)
{
    head_.says_close = head_.says_close || has_member(value, "close");
    head_.says_keep_alive = head_.says_keep_alive || has_member(value, "keep-alive");
}

inline void HeadParser::read_keep_alive(std::string_view value)
{
    for_each_member(value, [this](std::string_view member) {
        const auto sign = std::min(member.find('='), member.size());
        const auto name = trim(member.substr(0, sign));
        const auto number = parse_number<unsigned>(trim(member.substr(std::min(sign + 1, member.size()))));
        if (iequals(name, "timeout") && number) head_.keep_alive_timeout = std::chrono::seconds{*number};
        if (iequals(name, "max") && number) head_.keep_alive_max = *number;
    });
}

inline void HeadParser::check_whole()
{
    if (head_.status < 100) return refuse("status is below 100");
    if (head_.chunked && head_.length) return refuse("Transfer-Encoding and Content-Length");
    if (head_.chunked && head_.version < 11) return refuse("Transfer-Encoding in HTTP/1.0");
}

} // namespace khive::inline KHIVE_ABI::http::detail

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>
#include <khive/core/min_max.hpp>
#include <khive/core/number.hpp>
#include <khive/http/detail/list.hpp>
#include <khive/http/detail/response_head.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>

namespace khive::inline KHIVE_ABI::http::detail {

inline constexpr std::uint64_t one_a_byte = 0x0101010101010101u;

/// The high bit of a byte is set where one of eight bytes is a control byte, and perhaps behind it: below 0x20, which borrows
/// from the high bit, or DEL, which does so once flipped. Other bits mean nothing.
inline std::uint64_t control_bits(const char* eight) noexcept
{
    std::uint64_t word = 0;
    std::memcpy(&word, eight, sizeof word);
    const std::uint64_t flipped = word ^ (one_a_byte * 0x7f);
    return ((word - one_a_byte * 0x20) & ~word) | ((flipped - one_a_byte) & ~flipped);
}

/// No control bytes but tab (RFC 9110 section 5.5), eight bytes at a time; only words with one are looked at closely.
inline bool is_plain_text(std::string_view text) noexcept
{
    constexpr std::size_t width = 8;
    if (text.size() < width) return is_field_value(text);
    const char* const last = text.data() + text.size() - width;
    std::uint64_t bits = control_bits(last);
    for (const char* at = text.data(); at < last; at += width) bits |= control_bits(at);
    return (bits & (one_a_byte << 7)) == 0 || is_field_value(text);
}

/// Tokenises the lines of a head one by one and checks them, more strictly than a lenient reader would: see `ResponseReader`.
///
/// - Source: RFC 9112 sections 2 to 5.
class HeadParser {
public:
    HeadParser(ResponseHead& head, std::size_t max_fields) noexcept : head_(head), max_fields_(max_fields) {}

    /// Each without the CR LF that follows it.
    void read_status_line(std::string_view line);
    void read_field(std::string_view line);
    /// After the last line.
    void check_whole();

private:
    void use(std::string_view name, std::string_view value);
    void read_length(std::string_view value);
    void read_coding(std::string_view value);
    void read_connection(std::string_view value);
    void read_keep_alive(std::string_view value);
    void refuse(std::string_view problem) noexcept
    {
        if (head_.problem.empty()) head_.problem = problem;
    }

    ResponseHead& head_;
    std::size_t max_fields_;
};

inline void HeadParser::read_status_line(std::string_view line)
{
    constexpr std::string_view shape = "HTTP/1.x 000 ";
    const auto digit = [&](std::size_t at) { return line[at] >= '0' && line[at] <= '9'; };
    if (line.size() < shape.size() || !line.starts_with("HTTP/1.") || line[8] != ' ' || !digit(9) || !digit(10) || !digit(11) ||
        line[12] != ' ' || (line[7] != '0' && line[7] != '1') || !is_plain_text({line.data() + shape.size(), line.size() - shape.size()}))
        return refuse("the status line is not valid HTTP/1.1");
    head_.version = line[7] == '1' ? 11 : 10;
    head_.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
}

inline void HeadParser::read_field(std::string_view line)
{
    const char* const begin = line.data();
    const char* colon = begin;
    while (khive::detail::token_bytes[static_cast<unsigned char>(*colon)])
        ++colon; // the CR behind the line ends it at the latest
    if (*colon != ':' || colon == begin || !is_plain_text(line))
        return refuse(*begin == ' ' || *begin == '\t' ? "a header line is folded" : "a header field is not valid");
    if (++head_.fields > max_fields_) return refuse("too many header fields");
    const auto name = static_cast<std::size_t>(colon - begin);
    use({begin, name}, {colon + 1, line.size() - name - 1});
}

inline void HeadParser::use(std::string_view name, std::string_view value)
{
    switch (name.size()) { // few names matter here, and these lengths tell most others apart
    case 10:
        if (iequals(name, "Connection"))
            read_connection(trim(value));
        else if (iequals(name, "Keep-Alive"))
            read_keep_alive(trim(value));
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
        std::uint64_t number = 0;
        last = parse_number(value, number);
        if (!last) { // the same length more than once, perhaps
            const auto comma = std::min(value.find(','), value.size());
            if (!parse_number(trim(value.substr(0, comma)), number))
                return refuse("Content-Length is not a number that fits");
            last = comma == value.size();
            value = trim(value.substr(std::min(comma + 1, value.size())));
        }
        if (head_.has_length && head_.length != number) return refuse("two different Content-Length");
        head_.has_length = true;
        head_.length = number;
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
    for (std::string_view member; next_member(value, member);) {
        const auto sign = std::min(member.find('='), member.size());
        const auto name = trim(member.substr(0, sign));
        const auto text = trim(member.substr(std::min(sign + 1, member.size())));
        std::uint64_t number = 0;
        if (!parse_number(text, number, std::numeric_limits<unsigned>::max())) continue;
        if (iequals(name, "timeout")) head_.keep_alive_timeout = std::chrono::seconds{number};
        if (iequals(name, "max")) {
            head_.has_keep_alive_max = true;
            head_.keep_alive_max = static_cast<unsigned>(number);
        }
    }
}

inline void HeadParser::check_whole()
{
    if (head_.status < 100) return refuse("status is below 100");
    if (head_.chunked && head_.has_length) return refuse("Transfer-Encoding and Content-Length");
    if (head_.chunked && head_.version < 11) return refuse("Transfer-Encoding in HTTP/1.0");
}

} // namespace khive::inline KHIVE_ABI::http::detail

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>
#include <khive/core/time.hpp>
#include <khive/http/detail/list.hpp>

#include <boost/beast/http/basic_parser.hpp>

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

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

/// Beast's tokeniser with the checks on top that Boost 1.81 does not make. It is given complete heads only.
class HeadParser final : public boost::beast::http::basic_parser<false> {
public:
    explicit HeadParser(std::size_t max_fields) : max_fields_(max_fields) {}

    [[nodiscard]] ResponseHead parse(std::string_view text);

private:
    using Code = boost::beast::error_code;
    using Text = boost::beast::string_view;

    void on_response_impl(int status, Text, int version, Code&) override
    {
        head_.status = status;
        head_.version = version;
    }
    void on_field_impl(boost::beast::http::field name, Text, Text value, Code& stop) override;
    void on_header_impl(Code&) override {}
    void on_finish_impl(Code&) override {}
    // The body is read elsewhere.
    void on_request_impl(boost::beast::http::verb, Text, Text, int, Code&) override {}
    void on_body_init_impl(const boost::optional<std::uint64_t>&, Code&) override {}
    std::size_t on_body_impl(Text body, Code&) override { return body.size(); }
    void on_chunk_header_impl(std::uint64_t, Text, Code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, Text body, Code&) override { return body.size(); }

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
    header_limit(static_cast<std::uint32_t>(text.size() + 1));
    body_limit(boost::none);
    skip(true);
    Code failed;
    const auto used = put(boost::beast::net::const_buffer(text.data(), text.size()), failed);
    if (failed || used != text.size()) refuse("the head is not valid HTTP/1.1");
    const auto status_line = text.find('\n') + 1;
    head_.lines = text.substr(status_line, text.size() - status_line - 2);
    if (head_.problem.empty()) check_whole();
    return head_;
}

inline void HeadParser::on_field_impl(boost::beast::http::field name, Text, Text value, Code& stop)
{
    const std::string_view text{value.data(), value.size()};
    if (++head_.fields > max_fields_) refuse("too many header fields");
    switch (name) {
    case boost::beast::http::field::content_length: read_length(text); break;
    case boost::beast::http::field::transfer_encoding: read_coding(text); break;
    case boost::beast::http::field::connection: read_connection(text); break;
    case boost::beast::http::field::keep_alive: read_keep_alive(text); break;
    default: break;
    }
    if (!head_.problem.empty()) stop = boost::beast::http::error::bad_field;
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

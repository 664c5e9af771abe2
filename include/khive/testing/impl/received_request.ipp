// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/received_request.hpp>

#include <charconv>
#include <cstddef>
#include <optional>
#include <stdexcept>

namespace khive::inline KHIVE_ABI::testing {
namespace detail {

[[noreturn]] inline void no_request(std::string_view what)
{
    throw std::runtime_error("a test's server received no HTTP request: " + std::string{what});
}

inline std::size_t parse_size(std::string_view text, int base)
{
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size, base);
    if (error != std::errc{} || end == text.data()) no_request(text);
    return size;
}

inline void parse_head(std::string_view head, ReceivedRequest& request)
{
    const auto line = head.substr(0, head.find("\r\n"));
    const auto first = line.find(' ');
    const auto second = line.rfind(' ');
    if (first == std::string_view::npos || first == second || !line.substr(second + 1).starts_with("HTTP/"))
        no_request(line);
    request.method = line.substr(0, first);
    request.target = line.substr(first + 1, second - first - 1);
    request.version = line.substr(second + 1);
    request.headers = Headers::from_lines(std::string{head.substr(line.size() + 2)});
}

/// Takes the chunks off `rest` into `body`; how many bytes they took, or nothing if they are not complete.
inline std::optional<std::size_t> read_chunks(std::string_view rest, std::string& body)
{
    std::size_t at = 0;
    for (;;) {
        const auto line_end = rest.find("\r\n", at);
        if (line_end == std::string_view::npos) return std::nullopt;
        const std::size_t size = parse_size(rest.substr(at, line_end - at), 16);
        at = line_end + 2;
        if (rest.size() - at < size + 2) return std::nullopt;
        if (size == 0) break;
        body.append(rest.substr(at, size));
        at += size + 2;
    }
    const auto end = rest.find("\r\n", at);
    return end == at ? std::optional(at + 2) : std::nullopt;
}

/// Puts the body at the start of `rest` into `request`; how many bytes it took.
inline std::optional<std::size_t> read_body(std::string_view rest, ReceivedRequest& request)
{
    if (request.headers.contains("Transfer-Encoding")) return read_chunks(rest, request.body);
    const std::size_t size = parse_size(request.headers.get_or("Content-Length", "0"), 10);
    if (rest.size() < size) return std::nullopt;
    request.body = rest.substr(0, size);
    return size;
}

} // namespace detail

KHIVE_TESTING_DECL bool ReceivedRequest::close_asked() const
{
    const auto connection_field = headers.get_or("Connection", "");
    if (version == "HTTP/1.0") return !iequals(connection_field, "keep-alive");
    return iequals(connection_field, "close");
}

KHIVE_TESTING_DECL bool RequestReader::next(ReceivedRequest& request)
{
    const auto head_end = buffer_.find("\r\n\r\n");
    if (head_end == std::string::npos) return false;
    const std::string_view all = buffer_;
    ReceivedRequest found;
    detail::parse_head(all.substr(0, head_end + 2), found);
    const auto body_size = detail::read_body(all.substr(head_end + 4), found);
    if (!body_size) return false;
    buffer_.erase(0, head_end + 4 + *body_size);
    request = std::move(found);
    return true;
}

} // namespace khive::inline KHIVE_ABI::testing

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error.hpp>
#include <khive/http/detail/list.hpp>
#include <khive/http/method.hpp>
#include <khive/http/request_head.hpp>

namespace khive::inline KHIVE_ABI::http {
namespace detail {

inline Error bad_request(std::string_view rule, std::string_view text)
{
    return Error{ErrorKind::invalid_argument}.with_message(std::string{rule} + ": '" + escape_untrusted(text) + "'");
}

inline bool is_visible_ascii(std::string_view text) noexcept
{
    for (const char c : text)
        if (c <= 0x20 || c >= 0x7f) return false;
    return !text.empty();
}

inline bool says_only_persistence(std::string_view connection)
{
    for (std::string_view option; next_member(connection, option);)
        if (!iequals(option, "close") && !iequals(option, "keep-alive")) return false;
    return true;
}

inline bool is_framing(std::string_view name) noexcept
{
    return iequals(name, "Transfer-Encoding") || iequals(name, "TE") || iequals(name, "Trailer") || iequals(name, "Upgrade");
}

/// The rule that the field breaks; empty for a good one.
inline std::string_view broken_rule(HeaderField field, std::string_view true_length)
{
    if (!is_token(field.name)) return "header name is not a token";
    if (!is_field_value(field.value)) return "header value has a control byte such as CR, LF or NUL";
    if (is_framing(field.name)) return "header is the transport's to set";
    if (iequals(field.name, "Content-Length") && field.value != true_length)
        return "Content-Length is not the length of the body";
    if (iequals(field.name, "Connection") && !says_only_persistence(field.value))
        return "Connection may only say close or keep-alive";
    if (iequals(field.name, "Host") && !is_visible_ascii(field.value)) return "Host has a space, control or non-ASCII byte";
    return {};
}

inline void append_field(std::string& out, std::string_view name, std::string_view value)
{
    out.append(name).append(": ").append(value).append("\r\n");
}

/// The fields that are not written by themselves.
inline void append_others(std::string& out, const Headers& fields)
{
    for (const auto field : fields)
        if (!iequals(field.name, "Host") && !iequals(field.name, "Content-Length"))
            append_field(out, field.name, field.value);
}

} // namespace detail

KHIVE_DECL Error append_request_head(std::string& head, std::string_view method, std::string_view target,
                                     std::string_view host_header, const Headers& fields, BodyLength body)
{
    if (!is_valid_method(method)) return detail::bad_request("method is not a token", method);
    if (!detail::is_visible_ascii(target))
        return detail::bad_request("target has a space, control or non-ASCII byte", target);
    if (!detail::is_visible_ascii(host_header))
        return detail::bad_request("host has a space, control or non-ASCII byte", host_header);
    const bool tells_length = body.has_body || expects_body(method);
    const auto length = tells_length ? std::to_string(body.size) : std::string{};

    std::size_t hosts = 0;
    bool has_length = false;
    for (const auto field : fields) {
        if (const auto rule = detail::broken_rule(field, length); !rule.empty())
            return detail::bad_request(rule, field.name);
        has_length = has_length || iequals(field.name, "Content-Length");
        if (!iequals(field.name, "Host")) continue;
        host_header = field.value;
        if (++hosts > 1) return detail::bad_request("more than one Host", field.value);
    }

    head.reserve(head.size() + method.size() + target.size() + host_header.size() + fields.lines().size() + 64);
    head.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
    detail::append_field(head, "Host", host_header);
    if (hosts == 0 && !has_length && fields.lines().ends_with("\r\n"))
        head.append(fields.lines());
    else
        detail::append_others(head, fields);
    if (tells_length) detail::append_field(head, "Content-Length", length);
    head.append("\r\n");
    return {};
}

KHIVE_DECL bool says_close(const Headers& fields)
{
    for (const auto field : fields)
        if (iequals(field.name, "Connection") && detail::has_member(field.value, "close")) return true;
    return false;
}

} // namespace khive::inline KHIVE_ABI::http

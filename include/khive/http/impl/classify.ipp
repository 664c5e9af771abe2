// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/http/classify.hpp>
#include <khive/http/retry_after.hpp>

#include <utility>

namespace khive::inline KHIVE_ABI::http {
namespace detail {

struct StatusText {
    int status;
    std::string_view text;
};

inline constexpr StatusText status_texts[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {425, "Too Early"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

} // namespace detail

KHIVE_DECL std::string_view status_text(int status) noexcept
{
    for (const auto& known : detail::status_texts)
        if (known.status == status) return known.text;
    constexpr std::string_view classes[] = {"unknown status", "interim answer", "success",
                                            "redirect",       "client error",   "server error"};
    return classes[status >= 100 && status < 600 ? static_cast<std::size_t>(status / 100) : 0];
}

KHIVE_DECL bool is_retryable_status(int status, const Headers& headers) noexcept
{
    if (status < 400) return false;
    const auto hint = headers.get_or("x-should-retry", {});
    if (iequals(hint, "true")) return true;
    if (iequals(hint, "false")) return false;
    for (const int retryable : {408, 425, 429, 500, 502, 503, 504})
        if (status == retryable) return true;
    return false;
}

KHIVE_DECL bool may_have_acted(int status) noexcept
{
    return status == 408 || khive::detail::is_server_failure(status);
}

KHIVE_DECL Outcome classify_status(int status, const Headers& headers, bool replay_safe,
                                   std::chrono::system_clock::time_point wall_now)
{
    Outcome outcome;
    outcome.verdict = khive::detail::verdict_of_status(status);
    outcome.retryable = is_retryable_status(status, headers);
    outcome.replay = may_have_acted(status) && !replay_safe ? ReplaySafety::unsafe : ReplaySafety::safe;
    if (status >= 400) outcome.retry_after = retry_after(headers, wall_now);
    return outcome;
}

KHIVE_DECL Error make_status_error(int status, Headers headers, std::string body_excerpt, bool replay_safe,
                                   std::chrono::system_clock::time_point wall_now)
{
    const auto outcome = classify_status(status, headers, replay_safe, wall_now);
    return Error{ErrorKind::status}
        .with_message(std::string{status_text(status)})
        .with_response(status, std::move(headers), std::move(body_excerpt))
        .with_retryable(outcome.retryable)
        .with_retry_after(outcome.retry_after)
        .with_maybe_processed(outcome.replay == ReplaySafety::unsafe);
}

} // namespace khive::inline KHIVE_ABI::http

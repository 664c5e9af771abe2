// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <chrono>
#include <optional>
#include <string_view>

namespace khive::inline KHIVE_ABI::http {

/// Before every date that can be written.
inline constexpr std::chrono::sys_seconds no_date = std::chrono::sys_seconds::min();

/// What `parse_http_date` gives, or `no_date`.
[[nodiscard]] KHIVE_COLD_DECL std::chrono::sys_seconds read_http_date(std::string_view text,
                                                                      std::chrono::system_clock::time_point now);

/// Reads an HTTP-date in any of its three forms; empty for anything else. No locale, no time zone.
///
/// `now` settles the century of the form with two digits: a date more than 50 years ahead lies in the past.
///
/// - Source: RFC 9110 section 5.6.7.
template <class Date = std::chrono::sys_seconds>
[[nodiscard]] std::optional<Date> parse_http_date(std::string_view text, std::chrono::system_clock::time_point now)
{
    const Date date = read_http_date(text, now);
    if (date == no_date) return std::nullopt;
    return date;
}

} // namespace khive::inline KHIVE_ABI::http

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/http/impl/date.ipp>
#endif

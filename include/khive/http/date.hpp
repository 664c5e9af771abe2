// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <chrono>
#include <optional>
#include <string_view>

namespace khive::inline KHIVE_ABI::http {

/// Reads an HTTP-date in any of its three forms; empty for anything else. No locale, no time zone.
///
/// `now` settles the century of the form with two digits: a date more than 50 years ahead lies in the past.
///
/// - Source: RFC 9110 section 5.6.7.
[[nodiscard]] KHIVE_COLD_DECL std::optional<std::chrono::sys_seconds>
parse_http_date(std::string_view text, std::chrono::system_clock::time_point now);

} // namespace khive::inline KHIVE_ABI::http

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/http/impl/date.ipp>
#endif

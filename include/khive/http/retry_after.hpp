// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>
#include <khive/core/time.hpp>

#include <chrono>
#include <optional>

namespace khive::inline KHIVE_ABI::http {

/// How long the server asks to wait; empty where it does not say so in a form that can be trusted.
///
/// Read in this order, the first valid one wins: `retry-after-ms` (milliseconds), `Retry-After` as seconds (a fraction is
/// understood), `Retry-After` as a date. A date counts from the answer's own `Date`, so that a wrong clock on either side
/// does not matter; from `wall_now` where there is none. Signs, exponents, NaN, more than nine digits and dates that have
/// passed count as nothing said: the caller's own backoff applies.
///
/// - Time: rounded up to the clock's tick; a date hundreds of years away is `unlimited`.
/// - Source: RFC 9110 section 10.2.3.
[[nodiscard]] KHIVE_COLD_DECL std::optional<Duration> retry_after(const Headers& headers,
                                                                  std::chrono::system_clock::time_point wall_now);

} // namespace khive::inline KHIVE_ABI::http

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/http/impl/retry_after.ipp>
#endif

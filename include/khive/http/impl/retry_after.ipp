// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/min_max.hpp>
#include <khive/http/date.hpp>
#include <khive/http/retry_after.hpp>

#include <cstdint>

namespace khive::inline KHIVE_ABI::http {
namespace detail {

inline bool all_digits(std::string_view text) noexcept
{
    return text.find_first_not_of("0123456789") == std::string_view::npos;
}

/// `12` or `12.5` of a unit that is `unit` ticks long, rounded up; at most nine digits on either side.
inline std::optional<Duration> parse_amount(std::string_view text, std::int64_t unit)
{
    const auto dot = std::min(text.find('.'), text.size());
    const auto whole = text.substr(0, dot);
    const auto fraction = text.substr(std::min(dot + 1, text.size()));
    const bool has_fraction = dot != text.size();
    if (whole.empty() || whole.size() > 9 || !all_digits(whole)) return std::nullopt;
    if (has_fraction && (fraction.empty() || fraction.size() > 9 || !all_digits(fraction))) return std::nullopt;

    std::int64_t ticks = 0;
    for (const char c : whole) ticks = ticks * 10 + (c - '0');
    ticks *= unit;
    std::int64_t numerator = 0;
    std::int64_t denominator = 1;
    for (const char c : fraction) {
        numerator = numerator * 10 + (c - '0');
        denominator *= 10;
    }
    return Duration{ticks + (numerator * unit + denominator - 1) / denominator};
}

inline constexpr std::int64_t ticks_per_second = std::chrono::duration_cast<Duration>(std::chrono::seconds{1}).count();
inline constexpr std::int64_t ticks_per_ms = std::chrono::duration_cast<Duration>(std::chrono::milliseconds{1}).count();

/// From `from` to `date`; empty if it has passed.
inline std::optional<Duration> time_until(std::chrono::sys_seconds date, std::chrono::system_clock::time_point from)
{
    // In whole seconds first: dates of the years 1 and 9999 do not fit the clock's ticks.
    const auto whole = std::chrono::floor<std::chrono::seconds>(from);
    if (date <= whole) return std::nullopt;
    if (date - whole > std::chrono::duration_cast<std::chrono::seconds>(unlimited)) return unlimited;
    const auto left = std::chrono::ceil<Duration>(date - whole) - std::chrono::floor<Duration>(from - whole);
    return left > Duration::zero() ? std::optional{left} : std::nullopt;
}

inline std::optional<Duration> parse_retry_date(std::string_view text, const Headers& headers,
                                                std::chrono::system_clock::time_point wall_now)
{
    const auto date = read_http_date(text, wall_now);
    if (date == no_date) return std::nullopt;
    const auto answered = read_http_date(headers.get_or("Date", {}), wall_now);
    const auto representable = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::time_point::max());
    const bool trusted = answered < representable && answered.time_since_epoch().count() >= 0; // which `no_date` is not
    return time_until(date, trusted ? std::chrono::system_clock::time_point{answered} : wall_now);
}

} // namespace detail

KHIVE_DECL std::optional<Duration> retry_after(const Headers& headers, std::chrono::system_clock::time_point wall_now)
{
    for (const auto field : headers)
        if (iequals(field.name, "retry-after-ms"))
            if (const auto delay = detail::parse_amount(field.value, detail::ticks_per_ms)) return delay;
    for (const auto field : headers) {
        if (!iequals(field.name, "Retry-After")) continue;
        if (const auto delay = detail::parse_amount(field.value, detail::ticks_per_second)) return delay;
        if (const auto delay = detail::parse_retry_date(field.value, headers, wall_now)) return delay;
    }
    return std::nullopt;
}

} // namespace khive::inline KHIVE_ABI::http

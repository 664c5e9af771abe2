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

// By numbers: each pair of units that std::chrono mixes costs a program that includes this some functions more.

/// A moment in seconds since 1970, and ticks behind them.
struct Moment {
    std::int64_t seconds = 0;
    std::int64_t ticks = 0; ///< from zero to less than a second
};

inline Moment to_moment(std::chrono::system_clock::time_point time) noexcept
{
    const std::int64_t ticks = std::chrono::duration_cast<Duration>(time.time_since_epoch()).count();
    const std::int64_t behind = ticks % ticks_per_second;
    return behind < 0 ? Moment{ticks / ticks_per_second - 1, behind + ticks_per_second}
                      : Moment{ticks / ticks_per_second, behind};
}

/// From `from` to `date`; empty if it has passed.
inline std::optional<Duration> time_until(std::int64_t date, const Moment& from)
{
    // In whole seconds first: dates of the years 1 and 9999 do not fit the clock's ticks.
    if (date <= from.seconds) return std::nullopt;
    if (date - from.seconds > unlimited.count() / ticks_per_second) return unlimited;
    return Duration{(date - from.seconds) * ticks_per_second - from.ticks};
}

inline std::optional<Duration> parse_retry_date(std::string_view text, const Headers& headers,
                                                std::chrono::system_clock::time_point wall_now)
{
    const auto date = read_http_date(text, wall_now);
    if (date == no_date) return std::nullopt;
    const std::int64_t answered = read_http_date(headers.get_or("Date", {}), wall_now).time_since_epoch().count();
    const std::int64_t representable = to_moment(std::chrono::system_clock::time_point::max()).seconds;
    const bool trusted = answered < representable && answered >= 0; // which `no_date` is not
    return time_until(date.time_since_epoch().count(), trusted ? Moment{answered} : to_moment(wall_now));
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

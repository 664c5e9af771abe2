// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <chrono>

namespace khive::inline KHIVE_ABI {

/// The only clock that khive's decisions know: monotonic. Wall time appears where an HTTP-date is read and nowhere else.
using Clock = std::chrono::steady_clock;
using Duration = Clock::duration;
using TimePoint = Clock::time_point;

/// A deadline that never comes.
inline constexpr TimePoint no_deadline = TimePoint::max();
/// A duration that never ends.
inline constexpr Duration unlimited = Duration::max();

/// `from + length`, which stops at `no_deadline` instead of wrapping.
[[nodiscard]] constexpr TimePoint saturating_add(TimePoint from, Duration length) noexcept
{
    if (length > Duration::zero() && from > TimePoint::max() - length) return no_deadline;
    if (length < Duration::zero() && from < TimePoint::min() - length) return TimePoint::min();
    return from + length;
}

/// The time from `now` to `deadline`: zero if it has passed, `unlimited` if it never comes.
[[nodiscard]] constexpr Duration time_left(TimePoint deadline, TimePoint now) noexcept
{
    if (deadline == no_deadline) return unlimited;
    return deadline > now ? deadline - now : Duration::zero();
}

/// Seconds as a duration, rounded up to the clock's tick (a delay is a floor), saturating; NaN and negatives give zero.
[[nodiscard]] constexpr Duration from_seconds(double seconds) noexcept
{
    if (!(seconds > 0)) return Duration::zero();
    const double ticks = seconds * static_cast<double>(Duration::period::den) / static_cast<double>(Duration::period::num);
    if (ticks >= static_cast<double>(Duration::max().count())) return unlimited;
    const auto whole = static_cast<Duration::rep>(ticks);
    return Duration{static_cast<double>(whole) < ticks ? whole + 1 : whole};
}

[[nodiscard]] constexpr double to_seconds(Duration duration) noexcept
{
    return std::chrono::duration<double>(duration).count();
}

} // namespace khive::inline KHIVE_ABI

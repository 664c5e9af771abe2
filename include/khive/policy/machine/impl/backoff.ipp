// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/policy/machine/backoff.hpp>

#include <khive/policy/machine/detail/check_option.hpp>

#include <algorithm>
#include <cmath>

namespace khive::inline KHIVE_ABI::machine {
namespace detail {

inline void check_delays(const RetryOptions& o)
{
    check_option(o.base_delay > Duration::zero(), "RetryWithBackoff: base_delay", o.base_delay, "more than 0");
    check_option(o.max_delay >= o.base_delay, "RetryWithBackoff: max_delay", o.max_delay, "at least base_delay");
    check_option(std::isfinite(o.factor) && o.factor >= 1, "RetryWithBackoff: factor", o.factor, "at least 1");
    check_option(o.max_retry_after >= Duration::zero(), "RetryWithBackoff: max_retry_after", o.max_retry_after,
                 "at least 0");
}

inline RetryOptions checked(const RetryOptions& o)
{
    check_option(o.max_attempts >= 1 && o.max_attempts <= 1000, "RetryWithBackoff: max_attempts", o.max_attempts,
                 "in [1, 1000]");
    check_delays(o);
    check_option(o.attempt_timeout > Duration::zero(), "RetryWithBackoff: attempt_timeout", o.attempt_timeout,
                 "more than 0");
    check_option(o.total_timeout > Duration::zero(), "RetryWithBackoff: total_timeout", o.total_timeout, "more than 0");
    check_option(o.attempt_timeout == unlimited || o.attempt_timeout <= o.total_timeout, "RetryWithBackoff: attempt_timeout",
                 o.attempt_timeout, "at most total_timeout");
    return o;
}

/// From `least`, a share `random` of the way to `most`.
inline Duration between(double least, double most, double random) noexcept
{
    const double ticks = least + (most - least) * random;
    if (ticks >= static_cast<double>(Duration::max().count())) return unlimited;
    return Duration{static_cast<Duration::rep>(ticks)};
}

inline double ticks(Duration duration) noexcept
{
    return static_cast<double>(duration.count());
}

} // namespace detail

KHIVE_DECL Backoff::Backoff(const RetryOptions& options) : options_(detail::checked(options)), last_(options.base_delay) {}

KHIVE_DECL Duration Backoff::delay(unsigned attempts_made, double random) const noexcept
{
    const double base = detail::ticks(options_.base_delay);
    const double cap = detail::ticks(options_.max_delay);
    const double whole = std::min(cap, base * std::pow(options_.factor, static_cast<double>(attempts_made) - 1));
    switch (options_.jitter) {
    case Jitter::none: break;
    case Jitter::full: return detail::between(0, whole, random);
    case Jitter::equal: return detail::between(whole / 2, whole, random);
    case Jitter::decorrelated: return detail::between(base, std::min(cap, 3 * detail::ticks(last_)), random);
    }
    return detail::between(whole, whole, random);
}

/// What the server asks for and a little more, so that those who were told the same do not come back together.
KHIVE_DECL Duration Backoff::asked_for(Duration retry_after, double random) const noexcept
{
    if (options_.jitter == Jitter::none) return retry_after;
    const double most = std::min(detail::ticks(retry_after) / 10, detail::ticks(std::chrono::seconds{1}));
    const Duration more = detail::between(0, most, random);
    return retry_after > unlimited - more ? unlimited : retry_after + more;
}

/// What speaks against another attempt; `done` if nothing does.
KHIVE_DECL StopReason Backoff::obstacle(const Outcome& outcome, unsigned attempts_made) const noexcept
{
    if (!outcome.retryable) return StopReason::not_retryable;
    if (outcome.replay == ReplaySafety::unsafe && !options_.retry_unsafe) return StopReason::not_replayable;
    if (attempts_made >= options_.max_attempts) return StopReason::attempts;
    if (outcome.retry_after && *outcome.retry_after > options_.max_retry_after) return StopReason::retry_after;
    return StopReason::done;
}

KHIVE_DECL RetryDecision Backoff::next(const Outcome& outcome, unsigned attempts_made, TimePoint now, TimePoint deadline,
                                       double random) noexcept
{
    if (outcome.verdict == Verdict::success && !outcome.retryable) return {};
    if (const StopReason reason = obstacle(outcome, attempts_made); reason != StopReason::done) return {false, reason};
    last_ = delay(attempts_made, random);
    Duration wait = last_;
    if (outcome.retry_after) wait = std::max(wait, asked_for(*outcome.retry_after, random));
    const TimePoint again = saturating_add(now, wait);
    if (deadline != no_deadline && again >= deadline) return {false, StopReason::deadline};
    return {true, StopReason::done, wait};
}

} // namespace khive::inline KHIVE_ABI::machine

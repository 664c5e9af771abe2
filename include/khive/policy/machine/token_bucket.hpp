// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>
#include <khive/core/time.hpp>

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace khive::inline KHIVE_ABI::machine {

/// How fast a `TokenBucket` fills and how much it holds.
struct TokenBucketSettings {
    double rate = 0;                           ///< tokens per `period`. Above 0, finite
    Duration period = std::chrono::seconds{1}; ///< above 0
    double burst = 0;                          ///< what it holds at most. At least 1. 0 is the larger of `rate` and 1
    double initial_tokens = -1;                ///< what it holds at first. 0 to `burst`. -1 is `burst`
};

namespace detail {

/// A time or a length of time in ticks of the clock and 2^-32 of them.
struct FixedTime {
    std::int64_t ticks = 0;
    std::uint32_t fraction = 0;

    friend constexpr bool operator==(const FixedTime&, const FixedTime&) = default;
    friend constexpr bool operator<(const FixedTime& a, const FixedTime& b) noexcept
    {
        return a.ticks != b.ticks ? a.ticks < b.ticks : a.fraction < b.fraction;
    }
    friend constexpr FixedTime operator+(FixedTime a, FixedTime b) noexcept
    {
        const std::uint64_t sum = std::uint64_t{a.fraction} + b.fraction;
        return {a.ticks + b.ticks + static_cast<std::int64_t>(sum >> 32), static_cast<std::uint32_t>(sum)};
    }
    friend constexpr FixedTime operator-(FixedTime a, FixedTime b) noexcept
    {
        return {a.ticks - b.ticks - (a.fraction < b.fraction ? 1 : 0), a.fraction - b.fraction};
    }
};

} // namespace detail

/// Lets `burst` tokens through at once and `rate` in the long run: never more than `burst + rate * t` in any interval.
///
/// It keeps one number, the time at which it was or will be empty, in fixed point: taking moves it into the future by the time
/// that the cost takes to fill, rounded up, and it is never further back than `burst` takes. So nothing is added up while time
/// passes, and rounding errors do not pile up in the caller's favour.
///
/// - Time: only from `now`; it starts with the first `now`, and a step back is ignored.
/// - Complexity: O(1), no allocation.
/// - Source: the virtual scheduling form of the generic cell rate algorithm, ITU-T I.371.
class TokenBucket {
public:
    /// Throws `ConfigurationError` for settings out of range; `owner` begins its message.
    KHIVE_DECL explicit TokenBucket(const TokenBucketSettings& settings, std::string_view owner = "TokenBucket");

    /// Takes `cost` tokens if they are there. A cost above `burst`, possible after a change of rate, needs a full bucket and
    /// leaves a debt.
    bool try_take(double cost, TimePoint now) noexcept;
    /// How it stood right after a `try_take`, for `give_back`.
    using Mark = detail::FixedTime;
    [[nodiscard]] Mark mark() const noexcept { return empty_ + given_back_; }
    /// Undoes a `try_take` of the same cost, as far as there is room: at most what a bucket would lack now from which nobody
    /// had taken since `taken`, because the rest would have overflowed. Tokens that others took and gave back since count as
    /// filled, so of several overlapping returns to a full bucket some may be missing until it has filled again.
    void give_back(double cost, Mark taken) noexcept;
    /// Changes rate and burst from `now` on; what was filled until then was filled at the old rate. Throws as the constructor.
    KHIVE_DECL void change(double rate, double burst, TimePoint now, std::string_view owner = "TokenBucket");

    /// When `try_take` succeeds, if nothing else is taken meanwhile.
    [[nodiscard]] KHIVE_DECL TimePoint ready_at(double cost, TimePoint now) const noexcept;
    /// How long until `cost` tokens, also more than `burst` in pieces, could have been taken; zero if they are there.
    [[nodiscard]] KHIVE_DECL Duration time_until(double cost, TimePoint now) const noexcept;
    /// What is there now; never negative.
    [[nodiscard]] KHIVE_DECL double tokens(TimePoint now) const noexcept;

    [[nodiscard]] double rate() const noexcept { return rate_; }
    [[nodiscard]] double burst() const noexcept { return burst_; }
    /// `3.5 of 10, 5 per 1s`
    [[nodiscard]] KHIVE_DECL std::string describe(TimePoint now) const;

private:
    using Fixed = detail::FixedTime;

    KHIVE_DECL void set(double rate, double burst, std::string_view owner);
    /// Tokens there at `latest_`; negative for a debt.
    [[nodiscard]] KHIVE_DECL double balance() const noexcept;
    /// How long `cost` takes to fill, rounded up, saturating.
    [[nodiscard]] Fixed filling_time(double cost) const noexcept;
    /// Takes note of the time; the empty time is never further back than a full bucket.
    void settle(TimePoint now) noexcept;
    /// The first tick not before `time`.
    [[nodiscard]] static TimePoint rounded_up(Fixed time) noexcept;

    static constexpr double longest = 4.0e18; ///< ticks, more than a century; sums of two stay in range

    // First what taking touches.
    Fixed empty_{}; ///< when it was empty, had it only been filled since
    TimePoint latest_ = TimePoint::min();
    Fixed window_;       ///< how long the whole bucket takes to fill
    Fixed token_;        ///< how long one token takes
    Fixed given_back_{}; ///< all of it, as filling time
    double ticks_per_token_ = 0;
    double burst_ = 0;
    double rate_ = 0;
    double period_ticks_;
    double initial_tokens_ = 0;
};

inline TokenBucket::Fixed TokenBucket::filling_time(double cost) const noexcept
{
    constexpr double one = 4294967296.0;
    const double ticks = cost * ticks_per_token_;
    if (!(ticks < longest)) return {static_cast<std::int64_t>(longest), 0};
    const auto whole = static_cast<std::int64_t>(ticks);
    const double rest = (ticks - static_cast<double>(whole)) * one;
    const auto low = static_cast<std::uint64_t>(rest);
    const std::uint64_t fraction = low + (static_cast<double>(low) < rest ? 1 : 0);
    return {whole + static_cast<std::int64_t>(fraction >> 32), static_cast<std::uint32_t>(fraction)};
}

inline void TokenBucket::settle(TimePoint now) noexcept
{
    const bool first = latest_ == TimePoint::min();
    if (now > latest_) latest_ = now;
    const Fixed time{latest_.time_since_epoch().count(), 0};
    if (first) empty_ = time - filling_time(initial_tokens_);
    const Fixed full = time - window_;
    if (empty_ < full) empty_ = full;
}

inline bool TokenBucket::try_take(double cost, TimePoint now) noexcept
{
    settle(now);
    const Fixed needed = cost == 1 ? token_ : filling_time(cost);
    const Fixed after = empty_ + needed;
    const Fixed ready = window_ < needed ? empty_ + window_ : after;
    if (Fixed{latest_.time_since_epoch().count(), 0} < ready) return false;
    empty_ = after;
    return true;
}

inline void TokenBucket::give_back(double cost, Mark taken) noexcept
{
    const Fixed fullest = Fixed{latest_.time_since_epoch().count(), 0} - taken + given_back_; // that it can have been since
    const Fixed room = fullest < window_ ? window_ - fullest : Fixed{};
    const Fixed needed = filling_time(cost);
    const Fixed missing = needed < room ? needed : room;
    empty_ = empty_ - missing;
    given_back_ = given_back_ + missing;
    settle(latest_);
}

} // namespace khive::inline KHIVE_ABI::machine

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/machine/impl/token_bucket.ipp>
#endif

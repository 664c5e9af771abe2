// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/policy/machine/detail/check_option.hpp>
#include <khive/policy/machine/token_bucket.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace khive::inline KHIVE_ABI::machine {
KHIVE_DECL TokenBucket::TokenBucket(const TokenBucketSettings& settings, std::string_view owner)
    : period_ticks_(static_cast<double>(settings.period.count()))
{
    const std::string name{owner};
    detail::check_option(settings.period > Duration::zero(), name + ": period", settings.period, "> 0");
    set(settings.rate, settings.burst == 0 ? std::max(settings.rate, 1.0) : settings.burst, owner);
    const double initial = settings.initial_tokens;
    detail::check_option(initial == -1 || (initial >= 0 && initial <= burst_), name + ": initial_tokens", initial, "0 to burst");
    initial_tokens_ = initial == -1 ? burst_ : initial;
}

KHIVE_DECL void TokenBucket::set(double rate, double burst, std::string_view owner)
{
    const std::string name{owner};
    detail::check_option(rate > 0 && std::isfinite(rate), name + ": rate", rate, "> 0 and finite");
    detail::check_option(burst >= 1 && std::isfinite(burst), name + ": burst", burst, ">= 1 and finite");
    detail::check_option(burst * (period_ticks_ / rate) < longest, name + ": burst", burst, "filled within a century");
    rate_ = rate;
    burst_ = burst;
    ticks_per_token_ = period_ticks_ / rate;
    window_ = filling_time(burst);
    token_ = filling_time(1);
}

KHIVE_DECL void TokenBucket::change(double rate, double burst, TimePoint now, std::string_view owner)
{
    const bool started = latest_ != TimePoint::min();
    if (started) settle(now);
    const double before = started ? balance() : initial_tokens_;
    set(rate, burst, owner);
    const double kept = std::min(before, burst);
    initial_tokens_ = std::max(kept, 0.0);
    const Fixed time{latest_.time_since_epoch().count(), 0};
    if (started) empty_ = kept < 0 ? time + filling_time(-kept) : time - filling_time(kept);
}

KHIVE_DECL double TokenBucket::balance() const noexcept
{
    const Fixed filled = Fixed{latest_.time_since_epoch().count(), 0} - empty_;
    return (static_cast<double>(filled.ticks) + static_cast<double>(filled.fraction) / 4294967296.0) / ticks_per_token_;
}

KHIVE_DECL TimePoint TokenBucket::rounded_up(Fixed time) noexcept
{
    return TimePoint{Duration{time.ticks + (time.fraction == 0 ? 0 : 1)}};
}

KHIVE_DECL TimePoint TokenBucket::ready_at(double cost, TimePoint now) const noexcept
{
    TokenBucket settled = *this;
    settled.settle(now);
    return std::max(rounded_up(settled.empty_ + std::min(filling_time(cost), window_)), settled.latest_);
}

KHIVE_DECL Duration TokenBucket::time_until(double cost, TimePoint now) const noexcept
{
    TokenBucket settled = *this;
    settled.settle(now);
    return std::max(rounded_up(settled.empty_ + filling_time(cost)) - settled.latest_, Duration::zero());
}

KHIVE_DECL double TokenBucket::tokens(TimePoint now) const noexcept
{
    TokenBucket settled = *this;
    settled.settle(now);
    return std::clamp(settled.balance(), 0.0, burst_);
}

KHIVE_DECL std::string TokenBucket::describe(TimePoint now) const
{
    const Duration period{static_cast<Duration::rep>(period_ticks_)};
    char text[96];
    std::snprintf(text, sizeof text, "%g of %g, %g per %gs", tokens(now), burst_, rate_, to_seconds(period));
    return text;
}

} // namespace khive::inline KHIVE_ABI::machine

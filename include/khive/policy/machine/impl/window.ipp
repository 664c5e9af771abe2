// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/policy/machine/window.hpp>

#include <algorithm>

namespace khive::inline KHIVE_ABI::machine {

KHIVE_DECL void Window::record(bool failure, TimePoint now) noexcept
{
    if (ring_.empty()) return;
    timed() ? turn_to(now) : turn();
    Counts& slice = ring_[current_];
    ++slice.calls;
    ++total_.calls;
    if (!failure) return;
    ++slice.failures;
    ++total_.failures;
}

KHIVE_DECL Window::Counts Window::counts(TimePoint now) noexcept
{
    if (timed()) turn_to(now);
    return total_;
}

KHIVE_DECL void Window::clear() noexcept
{
    std::fill(ring_.begin(), ring_.end(), Counts{});
    total_ = {};
    slice_end_ = TimePoint::min();
}

/// Forgets the oldest slice and begins a new one in its place.
KHIVE_DECL void Window::turn() noexcept
{
    current_ = current_ + 1 == ring_.size() ? 0 : current_ + 1;
    total_.calls -= ring_[current_].calls;
    total_.failures -= ring_[current_].failures;
    ring_[current_] = {};
}

KHIVE_DECL void Window::turn_to(TimePoint now) noexcept
{
    if (now < slice_end_) return;
    if (slice_end_ == TimePoint::min()) {
        slice_end_ = saturating_add(now, width_);
        return;
    }
    const auto passed = (now - slice_end_) / width_ + 1;
    for (auto turns = std::min(passed, Duration::rep{slices}); turns > 0; --turns) turn();
    slice_end_ = saturating_add(slice_end_, passed * width_);
}

} // namespace khive::inline KHIVE_ABI::machine

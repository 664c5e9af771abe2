// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/wait_scope.hpp>
#include <khive/core/yield_point.hpp>

namespace khive::inline KHIVE_ABI::async {

KHIVE_DECL ScopedWait::~ScopedWait()
{
    leave_scope();
}

KHIVE_DECL bool ScopedWait::enter_scope()
{
    if (!scope_) return true;
    KHIVE_YIELD_POINT();
    const std::lock_guard lock(scope_->mutex_);
    if (has_left_) return true;
    if (scope_->closed_) return false;
    scope_->waits_.push_back(*this);
    return true;
}

KHIVE_DECL void ScopedWait::leave_scope() noexcept
{
    if (!scope_) return;
    const std::lock_guard lock(scope_->mutex_);
    has_left_ = true;
    if (is_linked()) scope_->waits_.erase(*this);
}

KHIVE_DECL void WaitScope::close(const Error& why) noexcept
{
    std::unique_lock lock(mutex_);
    closed_.store(true, std::memory_order_release);
    while (ScopedWait* const wait = waits_.first()) {
        waits_.erase(*wait);
        auto held = wait->hold();
        lock.unlock();
        KHIVE_YIELD_POINT();
        if (held) wait->end_wait(why);
        held.reset(); // perhaps the last that held it, whose destructor leaves the scope
        lock.lock();
    }
}

} // namespace khive::inline KHIVE_ABI::async

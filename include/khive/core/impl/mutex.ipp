// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/mutex.hpp>

namespace khive::inline KHIVE_ABI {

/// Who has waited cannot know whether others still do, so it takes the mutex as one that is awaited: at worst it wakes nobody.
KHIVE_DECL void Mutex::wait() noexcept
{
    while (state_.exchange(awaited, std::memory_order_acquire) != unlocked) state_.wait(awaited, std::memory_order_relaxed);
}

} // namespace khive::inline KHIVE_ABI

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/mutex.hpp>

namespace khive::inline KHIVE_ABI {
namespace detail {

/// Tells the processor that this thread waits for another.
inline void relax() noexcept
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

} // namespace detail

/// Looks for a moment first, which is longer than whoever has it needs it, unless that thread does not run.
///
/// Who has slept cannot know whether others still do, so it takes the mutex as one that is awaited: at worst it wakes nobody.
KHIVE_DECL void Mutex::wait() noexcept
{
    constexpr int looks = 100;
    for (int i = 0; i < looks; ++i) {
        detail::relax();
        int free = unlocked;
        if (state_.load(std::memory_order_relaxed) == unlocked &&
            state_.compare_exchange_weak(free, locked, std::memory_order_acquire, std::memory_order_relaxed))
            return;
    }
    while (state_.exchange(awaited, std::memory_order_acquire) != unlocked) state_.wait(awaited, std::memory_order_relaxed);
}

} // namespace khive::inline KHIVE_ABI

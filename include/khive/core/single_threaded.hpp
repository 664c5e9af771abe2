// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#if __has_include(<sys/single_threaded.h>)
#include <sys/single_threaded.h>
#endif

#include <atomic>

namespace khive::inline KHIVE_ABI::detail {

/// Is there no other thread in the process, so that plain instructions do for an atomic one, which takes as long as ten of them?
/// No where it cannot be known. Source: glibc 2.32, `__libc_single_threaded`, by which the counts of `std::shared_ptr` go as well.
inline bool is_single_threaded() noexcept
{
#if __has_include(<sys/single_threaded.h>)
    return __libc_single_threaded != 0;
#else
    return false;
#endif
}

/// `value.fetch_add(amount, order)`.
template <class T>
T fetch_add(std::atomic<T>& value, T amount, std::memory_order order = std::memory_order_seq_cst) noexcept
{
    if (!is_single_threaded()) return value.fetch_add(amount, order);
    const T before = value.load(std::memory_order_relaxed);
    value.store(before + amount, std::memory_order_relaxed);
    return before;
}

/// `value.exchange(after, order)`.
template <class T>
T exchange(std::atomic<T>& value, T after, std::memory_order order = std::memory_order_seq_cst) noexcept
{
    if (!is_single_threaded()) return value.exchange(after, order);
    const T before = value.load(std::memory_order_relaxed);
    value.store(after, std::memory_order_relaxed);
    return before;
}

/// Sets it to `after` if it is `before`, else leaves it.
template <class T>
bool replace(std::atomic<T>& value, T before, T after, std::memory_order order = std::memory_order_seq_cst) noexcept
{
    if (!is_single_threaded()) return value.compare_exchange_strong(before, after, order, std::memory_order_relaxed);
    if (value.load(std::memory_order_relaxed) != before) return false;
    value.store(after, std::memory_order_relaxed);
    return true;
}

/// A count of references for `boost::intrusive_ref_counter`.
struct ThreadSafeCount {
    using type = std::atomic<unsigned>;

    static unsigned load(const type& count) noexcept { return count.load(std::memory_order_acquire); }
    static void increment(type& count) noexcept { fetch_add(count, 1U, std::memory_order_relaxed); }
    static unsigned decrement(type& count) noexcept { return fetch_add(count, -1U, std::memory_order_acq_rel) - 1; }
};

} // namespace khive::inline KHIVE_ABI::detail

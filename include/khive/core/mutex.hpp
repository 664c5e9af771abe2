// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>
#include <khive/core/sanitizer.hpp>
#include <khive/core/single_threaded.hpp>

#include <atomic>
#include <mutex>

#if KHIVE_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h> // it is told of a mutex, so that it sees locks that are taken in either order too
#define KHIVE_TELL_RACE_DETECTOR(verb, ...) __tsan_mutex_##verb(this __VA_OPT__(, ) __VA_ARGS__)
#else
#define KHIVE_TELL_RACE_DETECTOR(verb, ...) static_cast<void>(0)
#endif

namespace khive::inline KHIVE_ABI {

/// A mutex whose way without contention is in line: one atomic instruction to lock, one to unlock, plain ones in a process of one
/// thread.
///
/// Some ten locks are on the way of a request, hardly ever contended, each held for a few dozen instructions: as many as the C
/// library's mutex takes for itself. Where it is contended, threads sleep in the kernel, by `std::atomic::wait`, and are woken in
/// no order.
///
/// - Thread safety: as `std::mutex`. Like that, it may be destroyed by who has had it last while the thread that had it before is
///   still inside `unlock`.
/// - Source: the three states of U. Drepper, "Futexes Are Tricky"; here `unlock` is one exchange.
class Mutex {
public:
    Mutex() noexcept = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;
    ~Mutex() { KHIVE_TELL_RACE_DETECTOR(destroy, 0); }

    void lock() noexcept
    {
        KHIVE_TELL_RACE_DETECTOR(pre_lock, 0);
        if (!detail::replace<int>(state_, unlocked, locked, std::memory_order_acquire)) wait();
        KHIVE_TELL_RACE_DETECTOR(post_lock, 0, 0);
    }

    void unlock() noexcept
    {
        KHIVE_TELL_RACE_DETECTOR(pre_unlock, 0);
        // After the exchange nothing of it is used but its address.
        if (detail::exchange<int>(state_, unlocked, std::memory_order_release) == awaited) state_.notify_one();
        KHIVE_TELL_RACE_DETECTOR(post_unlock, 0);
    }

private:
    enum State : int { unlocked, locked, awaited };

    KHIVE_DECL void wait() noexcept;

    std::atomic<int> state_{unlocked}; ///< an `int`, for which Linux can wait as it is
};

using MutexLock = std::unique_lock<Mutex>;

} // namespace khive::inline KHIVE_ABI

#undef KHIVE_TELL_RACE_DETECTOR

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/core/impl/mutex.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

/// `KHIVE_YIELD_POINT();` marks a place where another thread may come in between: after a lock is let go, between an atomic load
/// and what is decided by it. It is nothing at all, unless KHIVE_YIELD_POINTS is defined for every translation unit of a
/// program, as the stress tests of khive do: then it calls a hook, which may let another thread go first.
#if defined(KHIVE_YIELD_POINTS)

#include <atomic>

namespace khive::inline KHIVE_ABI {

using YieldHook = void (*)() noexcept;
/// Called at every yield point; null does nothing.
inline std::atomic<YieldHook> yield_hook{nullptr};

/// Relaxed, so that it orders nothing that a race detector should see unordered.
inline void yield_point() noexcept
{
    if (const YieldHook hook = yield_hook.load(std::memory_order_relaxed)) hook();
}

} // namespace khive::inline KHIVE_ABI

#define KHIVE_YIELD_POINT() ::khive::yield_point()
#else
#define KHIVE_YIELD_POINT() static_cast<void>(0)
#endif

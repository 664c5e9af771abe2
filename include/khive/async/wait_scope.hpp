// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error.hpp>
#include <khive/core/list.hpp>
#include <khive/core/shared.hpp>

#include <atomic>
#include <memory>
#include <mutex>

namespace khive::inline KHIVE_ABI::async {

class WaitScope;

/// A wait that its scope can end.
class ScopedWait : public ListHook<WaitScope> {
protected:
    explicit ScopedWait(Shared<WaitScope> scope) noexcept : scope_(std::move(scope)) {}
    KHIVE_DECL ~ScopedWait();
    /// Joins the scope, if there is one, unless it has left already. False if the scope is closed.
    KHIVE_DECL bool enter_scope();
    /// Leaves it for good; the scope does not call any more once this returns.
    KHIVE_DECL void leave_scope() noexcept;
    /// Ends the wait, if it has not ended, with `why`.
    virtual void end_wait(const Error& why) noexcept = 0;
    /// Keeps the wait alive while it is being ended; null if it is being destroyed.
    [[nodiscard]] virtual std::shared_ptr<void> hold() noexcept = 0;

private:
    friend class WaitScope;
    Shared<WaitScope> scope_;
    bool has_left_ = false; ///< under the scope's lock
};

/// Everything that the calls of one client wait for, so that closing the client ends it.
///
/// - Thread safety: safe.
class WaitScope final : public FindsItself {
public:
    /// Ends every wait with `why` and refuses later ones.
    KHIVE_COLD_DECL void close(const Error& why) noexcept;
    /// Without a lock: each call asks, right before it sends.
    [[nodiscard]] bool closed() const noexcept { return closed_.load(std::memory_order_acquire); }

private:
    friend class ScopedWait;
    std::mutex mutex_;
    List<ScopedWait, WaitScope> waits_;
    std::atomic<bool> closed_{false}; ///< written under the lock. Who misses it is ended by what closes next: its connection
};

} // namespace khive::inline KHIVE_ABI::async

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/async/impl/wait_scope.ipp>
#endif

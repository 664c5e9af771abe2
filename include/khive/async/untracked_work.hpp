// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>

namespace khive::inline KHIVE_ABI::async {

/// Lets an asynchronous operation wait in the background: `io_context::run()` does not stay for it.
///
/// An idle connection is watched and a distant deadline is kept by pending operations. Neither is a reason for a program
/// whose work is done to go on running. `release()` after starting such an operation gives back the unit of work that it
/// holds; its handler calls `retake()` first. Both must be called from a handler that runs on the executor, and the operation's
/// own handler must not go by way of a strand: where that is busy the handler comes after the operation has given its unit back a
/// second time, and the context may have stopped. Executors that are not Asio's own are left as they are: there the operation
/// holds its unit of work.
///
/// - Thread safety: safe.
class UntrackedWork {
public:
    UntrackedWork() = default;
    /// Of an operation of Asio's, whose handler has that executor.
    KHIVE_DECL explicit UntrackedWork(asio::any_io_executor executor);
    /// Of one that holds so many units of work.
    UntrackedWork(asio::any_io_executor executor, int units) : executor_(std::move(executor)), units_(units) {}

    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }
    KHIVE_DECL void release() const noexcept;
    KHIVE_DECL void retake() const noexcept;

private:
    asio::any_io_executor executor_;
    int units_ = 0;
};

} // namespace khive::inline KHIVE_ABI::async

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/async/impl/untracked_work.ipp>
#endif

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
    /// How many units of work an operation of Asio's holds whose handler has that executor.
    [[nodiscard]] KHIVE_DECL static int units_of(const asio::any_io_executor& executor) noexcept;
    /// Gives back so many units, or takes them again, of an operation on that executor.
    KHIVE_DECL static void release(const asio::any_io_executor& executor, int units) noexcept;
    KHIVE_DECL static void retake(const asio::any_io_executor& executor, int units) noexcept;

    UntrackedWork() = default;
    /// Of an operation of Asio's, whose handler has that executor.
    KHIVE_DECL explicit UntrackedWork(asio::any_io_executor executor);

    void release() const noexcept { release(executor_, units_); }
    void retake() const noexcept { retake(executor_, units_); }

private:
    asio::any_io_executor executor_;
    int units_ = 0;
};

} // namespace khive::inline KHIVE_ABI::async

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/async/impl/untracked_work.ipp>
#endif

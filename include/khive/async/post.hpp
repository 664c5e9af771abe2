// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <utility>

namespace khive::inline KHIVE_ABI::async {

namespace detail {
template <class T>
class PostAllocator;
} // namespace detail

/// Something to run later, with the memory that posting it takes, so that what has ended can be told when there is no memory left.
///
/// One type for all of them, because every function type given to `asio::post` costs each program that includes it a fifth of a
/// second of compiling.
///
/// - Lifetime: from `post` on it keeps itself alive, until the one call of either verb.
class PostedTask {
public:
    PostedTask(const PostedTask&) = delete;
    PostedTask& operator=(const PostedTask&) = delete;

    /// It is its turn. It may be posted again from inside this call.
    virtual void run() = 0;
    /// The execution context ends first.
    virtual void abandon() noexcept = 0;

protected:
    PostedTask() = default;
    ~PostedTask() = default;

private:
    template <class T>
    friend class detail::PostAllocator;
    static constexpr std::size_t room = 96;
    alignas(void*) std::byte memory_[room]; // NOLINT: written by the operation that Asio makes in it
};

/// Runs `task` on `executor`, never from inside this call.
///
/// - Errors: none on an `io_context`, a `thread_pool`, or a strand over one of them. A strand's own queue needs memory: where
///   there is none the context tries again until there is, and where only the second of its two allocations fails the strand
///   stands still, which is Asio's. Whatever an executor of another kind throws; the task is the caller's then, as before.
KHIVE_DECL void post(const asio::any_io_executor& executor, PostedTask& task);

/// The same for a function, for which memory is taken. Destroyed where the execution context ends first.
template <std::invocable Function>
void post(const asio::any_io_executor& executor, Function function)
{
    struct Task final : PostedTask {
        explicit Task(Function f) : call(std::move(f)) {}
        void run() override
        {
            const std::unique_ptr<Task> self(this);
            call();
        }
        void abandon() noexcept override { delete this; }
        Function call;
    };
    auto task = std::make_unique<Task>(std::move(function));
    post(executor, *task);
    (void)task.release();
}

/// Is it an executor to which posting a task neither throws nor waits for memory?
[[nodiscard]] KHIVE_DECL bool posts_surely(const asio::any_io_executor& executor);

/// The executor of the `io_context` or `thread_pool` that `executor` is over, by way of any strands; itself where it is of another
/// kind. It counts as no work.
[[nodiscard]] KHIVE_DECL asio::any_io_executor without_strand(const asio::any_io_executor& executor);

} // namespace khive::inline KHIVE_ABI::async

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/async/impl/post.ipp>
#endif

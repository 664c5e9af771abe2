// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>
#include <khive/async/home.hpp>
#include <khive/core/owned.hpp>

#include <boost/asio/detail/scheduler_operation.hpp>

#include <concepts>
#include <memory>
#include <utility>

namespace khive::inline KHIVE_ABI::async {

/// Something to run later, with the memory that posting it takes, so that what has ended can be told when there is no memory left.
///
/// One type for all of them, and an operation of Asio's own, because every function type given to `asio::post` costs each
/// program that includes it a fifth of a second of compiling.
///
/// - Lifetime: from `post` on it keeps itself alive, until the one call of either verb.
class Postable : private asio::detail::scheduler_operation {
public:
    Postable(const Postable&) = delete;
    Postable& operator=(const Postable&) = delete;

    /// It is its turn. It may be posted again from inside this call.
    virtual void run() = 0;
    /// The execution context ends first.
    virtual void abandon() noexcept = 0;

protected:
    Postable() : scheduler_operation(&in_turn) {}
    ~Postable() = default;

private:
    friend KHIVE_DECL void post(const asio::any_io_executor& executor, Postable& task);
    friend KHIVE_DECL void post(Home& home, Postable& task) noexcept;

    /// \name The executor that it is to be posted to again once there is memory
    /// @{
    virtual void keep_executor(const asio::any_io_executor& executor) noexcept = 0;
    [[nodiscard]] virtual asio::any_io_executor kept_executor() noexcept = 0;
    /// @}

    /// As an operation in the queue of a context.
    KHIVE_DECL static void in_turn(void* context, asio::detail::scheduler_operation* operation,
                                   const boost::system::error_code&, std::size_t again);
    void go_again(bool again) noexcept { task_result_ = again ? 1 : 0; }
};

/// One that keeps the executor itself.
class PostedTask : public Postable {
protected:
    PostedTask() = default;
    ~PostedTask() = default;

private:
    void keep_executor(const asio::any_io_executor& executor) noexcept final { again_ = executor; }
    [[nodiscard]] asio::any_io_executor kept_executor() noexcept final { return std::move(again_); }

    asio::any_io_executor again_;
};

/// Runs `task` on `executor`, never from inside this call.
///
/// - Errors: none on an `io_context`, a `thread_pool`, or a strand over one of them. A strand's own queue needs memory, as that of
///   another executor over such a context may: where there is none the context tries again until there is, and where only the
///   second of a strand's two allocations fails the strand stands still, which is Asio's. Whatever else an executor of another
///   kind throws; the task is the caller's then, as before.
KHIVE_DECL void post(const asio::any_io_executor& executor, Postable& task);

/// The same for a function, for which memory is taken. Destroyed where the execution context ends first.
template <std::invocable Function>
void post(const asio::any_io_executor& executor, Function function)
{
    struct Task final : PostedTask {
        explicit Task(Function f) : call(std::move(f)) {}
        void run() override
        {
            const Owned<Task> self(this);
            call();
        }
        void abandon() noexcept override { delete this; }
        Function call;
    };
    Owned<Task> task(new Task(std::move(function)));
    post(executor, *task);
    (void)task.release();
}

/// Is it an executor to which posting a task neither throws nor waits for memory?
[[nodiscard]] KHIVE_DECL bool posts_surely(const asio::any_io_executor& executor);

/// The queue of the `io_context` or `thread_pool` that `executor` is over, by way of any strands or whatever else, or that Asio has
/// made, with a thread of its own, for a context of another kind. Null where it has not.
[[nodiscard]] KHIVE_DECL Home* home_of(const asio::any_io_executor& executor);
/// Runs `task` there.
KHIVE_DECL void post(Home& home, Postable& task) noexcept;

} // namespace khive::inline KHIVE_ABI::async

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/async/impl/post.ipp>
#endif

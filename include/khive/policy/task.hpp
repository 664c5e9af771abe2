// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/completion.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/policy/detail/run_work.hpp>
#include <khive/policy/detail/work_state.hpp>

#include <boost/asio/this_coro.hpp>

#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace khive::inline KHIVE_ABI {

namespace detail {

/// A submitted task: what it gave, and who waits for that.
template <class T>
class TaskState final : public WorkTask {
public:
    using WorkTask::WorkTask;

    /// Ended before it began.
    void refuse(const Error& error) { settled(async::as_exception(error)); }
    [[nodiscard]] bool has_ended() const
    {
        const std::lock_guard lock(mutex_);
        return ended_;
    }
    /// Completes at its end.
    void join(async::Completion completion)
    {
        {
            const std::lock_guard lock(mutex_);
            if (!ended_) {
                joiner_ = std::move(completion);
                return;
            }
        }
        post_later(std::move(completion));
    }
    /// Once it has ended: its value, or throws what it threw.
    T result()
    {
        if (error_) std::rethrow_exception(error_);
        if constexpr (!std::is_void_v<T>) return std::move(*value_);
    }
    [[nodiscard]] std::optional<Stored<T>>* value() noexcept { return &value_; }

private:
    void settled(std::exception_ptr error) noexcept override
    {
        async::Completion joiner;
        {
            const std::lock_guard lock(mutex_);
            ended_ = true;
            error_ = std::move(error);
            joiner = std::move(joiner_);
        }
        KHIVE_YIELD_POINT();
        if (joiner) post_later(std::move(joiner));
    }
    /// There is one that joins: who has the task.
    void post_later(async::Completion joiner) { resumption_.post(std::move(joiner), shared_from_this()); }

    mutable std::mutex mutex_;
    async::Completion joiner_;
    async::Resumption resumption_;
    std::exception_ptr error_;
    std::optional<Stored<T>> value_;
    bool ended_ = false;
};

/// Suspends until `task` has ended. Cancelled, it cancels the task and waits for its end all the same.
template <class Task>
class Joining final : public async::Suspension {
public:
    explicit Joining(std::shared_ptr<Task> task) noexcept : task_(std::move(task)) {}
    /// Throws `std::bad_alloc` where there was no memory to wait; the task was cancelled then.
    void check() const
    {
        if (failure_) std::rethrow_exception(failure_);
    }

private:
    void start(async::Completion& rest, asio::cancellation_slot slot) override
    {
        const auto task = task_;
        try {
            async::on_cancellation(slot, task, [](Task& joined, asio::cancellation_type) { joined.cancel(); });
            rest.track();
        } catch (...) {
            // What has begun must have ended before its caller goes on, who may own what it refers to.
            failed(std::current_exception());
            task->cancel();
        }
        task->join(std::move(rest));
    }
    void failed(std::exception_ptr why) noexcept override { failure_ = std::move(why); }

    std::shared_ptr<Task> task_;
    std::exception_ptr failure_;
};

} // namespace detail

/// Work that was submitted to an executor, as a value: whoever has it decides about it.
///
/// `const int answer = co_await std::move(task).join();`
///
/// - Cancellation: destroying it cancels the work, `cancel()` too; the executor owns the work until it has ended.
/// - Thread safety: as a value. `cancel` and `has_ended` may be called from any thread.
template <class T>
class [[nodiscard]] Task {
public:
    explicit Task(std::shared_ptr<detail::TaskState<T>> state) noexcept : state_(std::move(state)) {}
    Task(Task&&) noexcept = default;
    Task& operator=(Task&& other) noexcept
    {
        if (this == &other) return *this;
        drop();
        state_ = std::move(other.state_);
        return *this;
    }
    ~Task() { drop(); }

    /// Waits for its end: gives its value, or throws what it threw.
    ///
    /// - Cancellation: cancels the work and ends with it.
    /// - Errors: `closed` or `queue_full` if the executor did not accept it.
    [[nodiscard]] asio::awaitable<T> join() && { return join_in(std::move(*this)); }
    void cancel()
    {
        if (state_) state_->cancel();
    }
    [[nodiscard]] bool has_ended() const { return !state_ || state_->has_ended(); }

private:
    static asio::awaitable<T> join_in(Task self)
    {
        detail::Joining joining(self.state_);
        auto wait = async::suspend(joining);
        co_await std::move(wait);
        joining.check();
        co_return self.state_->result();
    }
    void drop() noexcept
    {
        if (state_ && !state_->has_ended()) {
            KHIVE_YIELD_POINT();
            state_->cancel();
        }
        state_.reset();
    }

    std::shared_ptr<detail::TaskState<T>> state_;
};

namespace detail {

[[nodiscard]] inline Error refusal_of(WorkState::Admission admission)
{
    if (admission == WorkState::Admission::closed) return Error{ErrorKind::closed};
    return Error{ErrorKind::queue_full}.with_retryable(true);
}

/// Makes `fn` a task of `work` on `executor`. `fault` is why it cannot be one.
template <class F>
auto launch(const std::shared_ptr<WorkState>& work, const asio::any_io_executor& executor, double cost, F fn,
            std::optional<Error> fault = std::nullopt)
{
    using T = AwaitedValue<std::invoke_result_t<F&>>;
    const TimePoint now = async::time_service(executor).now();
    auto task = std::make_shared<TaskState<T>>(work, executor);
    const async::WaitRequest turn{.cost = cost, .arrived = now, .key = static_cast<WorkTask*>(task.get())};
    auto body = run_work<T>(work, task.get(), turn, std::move(fn), task->value()); // may fail, so before it is admitted
    const auto admission = fault ? WorkState::Admission::closed : work->admit(*task, cost, now);
    if (admission == WorkState::Admission::granted || admission == WorkState::Admission::queued) {
        KHIVE_YIELD_POINT();
        task->start(std::move(body));
    } else {
        task->refuse(fault ? *fault : refusal_of(admission));
    }
    return Task<T>(std::move(task));
}

/// The same from inside a coroutine, and waits for its end.
template <class F>
std::invoke_result_t<F&> execute_work(std::shared_ptr<WorkState> work, double cost, F fn, std::optional<Error> fault)
{
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    auto task = launch(work, executor, cost, std::move(fn), std::move(fault));
    co_return co_await std::move(task).join();
}

} // namespace detail
} // namespace khive::inline KHIVE_ABI

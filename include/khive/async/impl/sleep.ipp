// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/sleep.hpp>

#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/this_coro.hpp>

#include <mutex>

namespace khive::inline KHIVE_ABI::async {
namespace detail {

/// A suspended sleeper. It owns itself until it has ended.
class Sleeper final : public TimerNode, public ScopedWait, public std::enable_shared_from_this<Sleeper> {
public:
    Sleeper(TimeService& time, Completion<bool> completion, std::shared_ptr<WaitScope> scope)
        : ScopedWait(std::move(scope)), time_(time), completion_(std::move(completion))
    {
    }

    ~Sleeper() { leave_scope(); }

    void start(TimePoint due)
    {
        self_ = shared_from_this();
        time_.arm(*this, due);
        if (!enter_scope()) cancel();
    }

    void cancel() noexcept
    {
        if (const auto self = take()) end(false);
    }

private:
    TimePoint on_time(TimePoint) noexcept override
    {
        if (const auto self = take()) end(true);
        return no_deadline;
    }

    void on_shutdown() noexcept override
    {
        if (const auto self = take()) completion_.reset();
    }

    void end_wait(const Error&) noexcept override { cancel(); }
    std::shared_ptr<void> hold() noexcept override { return weak_from_this().lock(); }

    /// Whoever takes it ends it.
    std::shared_ptr<Sleeper> take() noexcept
    {
        const std::lock_guard lock(mutex_);
        return std::exchange(self_, nullptr);
    }

    void end(bool slept) noexcept
    {
        std::move(completion_).post(slept, [self = shared_from_this()] {
            self->leave_scope();
            self->time_.disarm(*self);
        });
    }

    TimeService& time_;
    std::mutex mutex_;
    Completion<bool> completion_;
    std::shared_ptr<Sleeper> self_;
};

struct InitiateSleep {
    template <class Handler>
    void operator()(Handler handler, TimeService* time, const asio::any_io_executor* executor, TimePoint due,
                    std::shared_ptr<WaitScope>* scope) const
    {
        auto slot = asio::get_associated_cancellation_slot(handler);
        auto sleeper = std::make_shared<Sleeper>(*time, Completion<bool>(std::move(handler), *executor), std::move(*scope));
        if (slot.is_connected())
            slot.assign([weak = std::weak_ptr(sleeper)](asio::cancellation_type) {
                if (const auto alive = weak.lock()) alive->cancel();
            });
        sleeper->start(due);
    }
};

} // namespace detail

KHIVE_DECL asio::awaitable<bool> sleep_until(TimePoint due, std::shared_ptr<WaitScope> scope)
{
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    TimeService& time = time_service(executor);
    auto sleep = asio::async_initiate<const asio::deferred_t, void(bool)>(detail::InitiateSleep{}, asio::deferred, &time,
                                                                          &executor, due, &scope);
    co_return co_await std::move(sleep);
}

} // namespace khive::inline KHIVE_ABI::async

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/sleep.hpp>
#include <khive/core/yield_point.hpp>

#include <boost/asio/cancellation_type.hpp>

#include <mutex>

namespace khive::inline KHIVE_ABI::async {
namespace detail {

/// A suspended sleeper. It owns itself until it has ended.
class Sleeper final : public TimerNode, public ScopedWait, public BeforeResume {
public:
    Sleeper(const asio::any_io_executor& executor, Sleep& sleep)
        : ScopedWait(std::move(sleep.scope_)), time_(time_service(executor)), slept_(sleep.slept_)
    {}
    ~Sleeper()
    {
        leave_scope();
        time_.disarm(*this);
    }

    /// Who calls it keeps `self` until it returns: the sleep may end before that.
    void start(const std::shared_ptr<void>& self, Completion rest, TimePoint due)
    {
        rest_ = std::move(rest);
        alive_ = self;
        self_ = self;
        KHIVE_YIELD_POINT();
        time_.arm(*this, due);
        KHIVE_YIELD_POINT();
        if (!enter_scope()) cancel();
    }

    void cancel() noexcept { end(false); }

private:
    TimePoint on_time(TimePoint) noexcept override
    {
        end(true);
        return no_deadline;
    }
    void on_shutdown() noexcept override
    {
        if (const auto self = take()) rest_.reset();
    }
    void before_resume() noexcept override
    {
        leave_scope();
        KHIVE_YIELD_POINT();
        time_.disarm(*this);
    }
    void end_wait(const Error&) noexcept override { cancel(); }
    std::shared_ptr<void> hold() noexcept override { return alive_.lock(); }

    /// Whoever takes it ends it.
    std::shared_ptr<void> take() noexcept
    {
        const std::lock_guard lock(mutex_);
        return std::exchange(self_, nullptr);
    }
    void end(bool slept) noexcept
    {
        auto self = take();
        if (!self) return;
        KHIVE_YIELD_POINT();
        slept_ = slept;
        resumption_.post(std::move(rest_), std::move(self), this);
    }

    TimeService& time_;
    std::mutex mutex_;
    Completion rest_;
    Resumption resumption_;
    std::weak_ptr<void> alive_;
    std::shared_ptr<void> self_;
    bool& slept_; ///< in the frame that `rest_` continues
};

} // namespace detail

KHIVE_DECL void Sleep::start(Completion& rest, asio::cancellation_slot slot)
{
    const TimePoint due = due_;
    // Before the executor is tracked: the time service keeps the first that it is shown.
    auto* const sleeper = new detail::Sleeper(rest.executor(), *this);
    const std::shared_ptr<void> self = own_shared(sleeper).take_holder();
    rest.track();
    on_cancellation(slot, self, sleeper,
                    [](void* sleeping, asio::cancellation_type) { static_cast<detail::Sleeper*>(sleeping)->cancel(); });
    sleeper->start(self, std::move(rest), due);
}

} // namespace khive::inline KHIVE_ABI::async

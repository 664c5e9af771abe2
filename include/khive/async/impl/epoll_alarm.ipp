// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/post.hpp>
#include <khive/async/time_service.hpp>
#include <khive/core/min_max.hpp>
#include <khive/core/yield_point.hpp>

#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#include <boost/asio/detail/scheduler.hpp>
#include <boost/system/system_error.hpp>

#include <sys/timerfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <utility>

namespace khive::inline KHIVE_ABI::async::detail {

/// Tells the time service that a time has come, in the background: `run()` does not stay for it.
///
/// A timer of the system's in Asio's reactor, as one of Asio's own is. This one takes no memory when it is set, and what a timer
/// of Asio's brings along, down to a calendar, is a tenth of what a program that includes khive costs to compile.
class Alarm {
public:
    Alarm(TimeService& service, asio::execution_context& context)
        : service_(service), reactor_(asio::use_service<Reactor>(context))
    {
        reactor_.init_task();
        open();
    }
    Alarm(const Alarm&) = delete;
    Alarm& operator=(const Alarm&) = delete;
    ~Alarm()
    {
        if (timer_ >= 0) ::close(timer_); // the reactor may be gone
    }

    void attach(const asio::any_io_executor& executor) { home_ = home_of(executor); }

    /// Only from a handler that runs in the context. The alarm rings once, at the time that it was set to last.
    void set(TimePoint due)
    {
        const Duration since = std::max(due.time_since_epoch(), Duration{1});
        const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
        due_.store(since.count());
        ::itimerspec at{};
        at.it_value.tv_sec = seconds.count();
        at.it_value.tv_nsec = (since - seconds).count();
        ::timerfd_settime(timer_, TFD_TIMER_ABSTIME, &at, nullptr);
        if (waits_.exchange(true)) return;
        reactor_.start_op(Reactor::read_op, timer_, state_, &ringing_, false, true);
        KHIVE_YIELD_POINT();
        if (home_ != nullptr) home_->work_finished(); // of the operation, until it completes
    }

    /// The execution context ends, or the process has become another.
    void close() noexcept
    {
        if (timer_ < 0) return;
        reactor_.deregister_descriptor(timer_, state_, false);
        ::close(std::exchange(timer_, -1));
        reactor_.cleanup_descriptor_data(state_);
    }
    /// The timer was shared with the process that this one is a copy of. If it was set, it rings.
    void reopen()
    {
        close();
        open();
    }

private:
    using Reactor = asio::detail::epoll_reactor;

    /// Waits in the reactor. What is left of it when the context ends is destroyed before the service is.
    struct Ringing final : asio::detail::reactor_op {
        explicit Ringing(Alarm& alarm) noexcept : reactor_op({}, &perform, &complete), owner(alarm) {}

        /// Also called for what has come of an earlier setting.
        static status perform(asio::detail::reactor_op* base)
        {
            const bool due = Clock::now().time_since_epoch().count() >= static_cast<Ringing*>(base)->owner.due_.load();
            return due ? done_and_exhausted : not_done;
        }
        static void complete(void* context, asio::detail::scheduler_operation* base, const boost::system::error_code&,
                             std::size_t)
        {
            if (context == nullptr) return;
            Alarm& alarm = static_cast<Ringing*>(base)->owner;
            if (alarm.home_ != nullptr) alarm.home_->work_started();
            KHIVE_YIELD_POINT();
            alarm.waits_.store(false); // from here on it may be set again, by another thread
            alarm.service_.on_alarm();
        }

        Alarm& owner;
    };

    void open()
    {
        timer_ = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
        const int error = timer_ < 0 ? errno : reactor_.register_descriptor(timer_, state_);
        if (error == 0) return;
        if (timer_ >= 0) ::close(std::exchange(timer_, -1));
        throw boost::system::system_error(error, boost::system::system_category(), "timer");
    }

    TimeService& service_;
    Reactor& reactor_;
    Reactor::per_descriptor_data state_ = nullptr;
    int timer_ = -1;
    std::atomic<Duration::rep> due_{0};
    std::atomic<bool> waits_{false};
    Home* home_ = nullptr; ///< no executor is kept: a strand must not outlive its context, nor work hold it up
    Ringing ringing_{*this};
};

} // namespace khive::inline KHIVE_ABI::async::detail

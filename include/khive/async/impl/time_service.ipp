// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/has_epoll.hpp>
#include <khive/async/post.hpp>
#include <khive/async/time_service.hpp>
#include <khive/core/yield_point.hpp>

#if defined(KHIVE_EPOLL)
#include <khive/async/impl/epoll_alarm.ipp>
#else
#include <khive/async/impl/asio_alarm.ipp>
#endif

#include <new>
#include <utility>

namespace khive::inline KHIVE_ABI::async {

KHIVE_DECL TimeService& time_service(const asio::any_io_executor& executor)
{
    auto& service = asio::use_service<TimeService>(asio::query(executor, asio::execution::context));
    service.attach(executor);
    return service;
}

KHIVE_DECL TimeService::TimeService(asio::execution_context& context)
    : asio::execution_context::service(context), alarm_(new detail::Alarm(*this, context))
{}

KHIVE_DECL TimeService::~TimeService() = default;

KHIVE_DECL void TimeService::attach(const asio::any_io_executor& executor)
{
    // Without the lock once attached: connections are made under the lock of a pool, which `on_time` takes.
    if (attached_.load(std::memory_order_acquire)) return;
    KHIVE_YIELD_POINT();
    const std::lock_guard lock(mutex_);
    if (attached_.load(std::memory_order_relaxed) || shut_down_) return;
    // Not by way of a strand: what else runs there could hold up every timer of the context, and a timer that is held up
    // gives up its unit of work before it is taken back, at which the context may stop.
    home_ = home_of(executor);
    if (home_ == nullptr) executor_ = executor;
    alarm_->attach(executor);
    attached_.store(true, std::memory_order_release);
}

KHIVE_DECL void TimeService::arm_earlier(TimerNode& node, TimePoint due)
{
    const std::lock_guard lock(mutex_);
    if (shut_down_ || node.due_rep_.load(std::memory_order_relaxed) == TimerNode::retired) return;
    if (node.is_linked() && node.due() <= due) return;
    erase(node);
    insert(node, due);
    schedule_wakeup();
}

KHIVE_DECL void TimeService::disarm(TimerNode& node) noexcept
{
    KHIVE_YIELD_POINT();
    const std::lock_guard lock(mutex_);
    erase(node);
}

KHIVE_DECL void TimeService::retire(TimerNode& node) noexcept
{
    KHIVE_YIELD_POINT();
    const std::lock_guard lock(mutex_);
    erase(node);
    node.due_rep_.store(TimerNode::retired, std::memory_order_release);
}

KHIVE_DECL std::size_t TimeService::armed() const
{
    const std::lock_guard lock(mutex_);
    return nodes_.size();
}

KHIVE_DECL void TimeService::insert(TimerNode& node, TimePoint due)
{
    node.due_rep_.store(due.time_since_epoch().count(), std::memory_order_release);
    nodes_.insert(node);
}

KHIVE_DECL void TimeService::erase(TimerNode& node) noexcept
{
    if (!node.is_linked()) return;
    nodes_.erase(node);
    node.due_rep_.store(TimerNode::not_armed, std::memory_order_release);
}

KHIVE_DECL void TimeService::run_due(TimePoint now)
{
    while (!nodes_.empty() && nodes_.first()->due() <= now) {
        TimerNode& node = *nodes_.first();
        // Unlinked before the call: who arms it meanwhile sees that, waits for the lock and is not lost.
        erase(node);
        KHIVE_YIELD_POINT();
        const TimePoint next = node.on_time(now);
        KHIVE_YIELD_POINT();
        if (next == no_deadline || shut_down_) continue;
        erase(node);
        insert(node, next > now ? next : now + Duration{1});
    }
}

KHIVE_DECL void TimeService::schedule_wakeup()
{
    if (virtual_.load(std::memory_order_relaxed) || nodes_.empty()) return;
    const TimePoint due = nodes_.first()->due();
    if (due == no_deadline || due >= wakeup_) return;
    wakeup_ = due;
    if (!std::exchange(wakeup_posted_, true)) post(*this);
}

KHIVE_DECL void TimeService::post(PostedTask& task)
{
    if (home_ != nullptr)
        async::post(*home_, task);
    else
        async::post(executor_, task);
}

/// On the executor: sets the alarm.
KHIVE_DECL void TimeService::run()
{
    const std::lock_guard lock(mutex_);
    wakeup_posted_ = false;
    if (shut_down_ || wakeup_ == no_deadline) return;
    try {
        alarm_->set(wakeup_);
    } catch (const std::bad_alloc&) { // looks at the clock instead, again and again until there is memory
        on_time();
    }
}

/// By the thread that has found it.
KHIVE_DECL void TimeService::on_alarm()
{
    if (home_ != nullptr) return on_time();
    const std::lock_guard lock(mutex_);
    if (!shut_down_ && !std::exchange(wakeup_posted_, true)) post(*this);
}

KHIVE_DECL void TimeService::on_time()
{
    const std::lock_guard lock(mutex_);
    if (shut_down_) return;
    wakeup_ = no_deadline;
    run_due(Clock::now());
    schedule_wakeup();
}

KHIVE_DECL void TimeService::use_virtual_time(TimePoint start)
{
    const std::lock_guard lock(mutex_);
    virtual_now_.store(start.time_since_epoch().count());
    virtual_.store(true);
}

KHIVE_DECL TimePoint TimeService::first_due() const
{
    const std::lock_guard lock(mutex_);
    if (nodes_.empty()) return no_deadline;
    return nodes_.first()->due();
}

KHIVE_DECL void TimeService::advance_to(TimePoint now)
{
    const std::lock_guard lock(mutex_);
    virtual_now_.store(now.time_since_epoch().count());
    run_due(now);
}

KHIVE_DECL void TimeService::shutdown() noexcept
{
    const std::lock_guard lock(mutex_);
    shut_down_ = true;
    while (!nodes_.empty()) {
        TimerNode& node = *nodes_.first();
        erase(node);
        node.on_shutdown();
    }
    alarm_->close();
}

KHIVE_DECL void TimeService::notify_fork(asio::execution_context::fork_event event)
{
    if (event == asio::execution_context::fork_child) alarm_->reopen();
}

} // namespace khive::inline KHIVE_ABI::async

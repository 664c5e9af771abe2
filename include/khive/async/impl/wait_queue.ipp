// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/wait_queue.hpp>
#include <khive/core/min_max.hpp>
#include <khive/core/yield_point.hpp>

#include <boost/asio/cancellation_type.hpp>

#include <string>

namespace khive::inline KHIVE_ABI::async {
namespace detail {

/// Without the timer where there is no memory for it.
inline Error wait_timeout(const WaitRequest& request, TimePoint since) noexcept
{
    const bool named = request.timer_value > Duration::zero();
    try {
        return Error{request.timeout_kind}.with_timer(request.timer, named ? request.timer_value : request.deadline - since);
    } catch (...) {
        return Error{request.timeout_kind};
    }
}

/// Ends each, in order, outside the queue's lock.
template <class List, class End>
void drain(List& list, End end) noexcept
{
    while (auto* const waiter = list.first()) {
        list.erase(*waiter);
        end(*waiter);
    }
}

} // namespace detail

KHIVE_DECL Waiter::Waiter(Shared<WaitQueue> queue, const WaitRequest& request)
    : ScopedWait(request.scope != nullptr ? share(*request.scope) : nullptr), queue_(std::move(queue)), request_(request)
{}

KHIVE_DECL Waiter::~Waiter()
{
    leave_scope();
    if (time_ != nullptr && !resumed_) time_->disarm(*this);
}

KHIVE_DECL void Waiter::cancel() noexcept
{
    end_wait(Error{ErrorKind::cancelled});
}

KHIVE_DECL void Waiter::deliver(Shared<Waiter> self, Error refusal) noexcept
{
    KHIVE_YIELD_POINT();
    Waiter& waiter = *self;
    waiter.refusal_ = std::move(refusal);
    if (!waiter.refusal_.failed()) waiter.take_grant();
    KHIVE_YIELD_POINT();
    waiter.resumption_.post(std::move(waiter.rest_), std::move(self).take_holder(), &waiter);
}

KHIVE_DECL void Waiter::before_resume() noexcept
{
    leave_scope();
    KHIVE_YIELD_POINT();
    time_->retire(*this);
    resumed_ = true;
}

KHIVE_DECL bool Waiter::Rearming::prepare(Waiter& waiter, TimePoint due) noexcept
{
    due_.store(due.time_since_epoch().count());
    KHIVE_YIELD_POINT();
    if (posted_.exchange(true)) return false; // `run` clears it before it looks at `due_`
    waiter_ = share(waiter);
    return true;
}

KHIVE_DECL void Waiter::Rearming::post()
{
    waiter_->time_->post(*this);
}

KHIVE_DECL void Waiter::Rearming::run()
{
    const auto waiter = std::move(waiter_);
    KHIVE_YIELD_POINT();
    posted_.store(false);
    KHIVE_YIELD_POINT();
    waiter->time_->arm(*waiter, TimePoint{Duration{due_.load()}});
}

KHIVE_DECL void Waiter::Rearming::abandon() noexcept
{
    const auto waiter = std::move(waiter_);
}

KHIVE_DECL void Waiter::end_wait(const Error& why) noexcept
{
    if (auto left = queue_->leave(*this, time_->now(), nullptr)) deliver(std::move(left), why);
}

KHIVE_DECL TimePoint Waiter::on_time(TimePoint now) noexcept
{
    return queue_->on_waiter_time(*this, now);
}

KHIVE_DECL void Waiter::on_shutdown() noexcept
{
    const auto left = queue_->leave(*this, time_->now(), time_);
    if (left) rest_.reset();
    time_ = nullptr; // the service outlives its shutdown, but not every waiter
}

KHIVE_DECL TimePoint WaitQueue::next_grant(const WaitRequest&, TimePoint) noexcept
{
    return no_deadline;
}

KHIVE_DECL Error WaitQueue::refuse(const WaitRequest&, TimePoint)
{
    return {};
}

KHIVE_DECL bool WaitQueue::blocks(const WaitRequest&) const noexcept
{
    return true;
}

KHIVE_DECL bool WaitQueue::has_to_queue(const WaitRequest&) const noexcept
{
    return !waiters_.empty();
}

KHIVE_DECL bool WaitQueue::is_full(const WaitRequest&) const noexcept
{
    return waiting_ >= max_waiting_;
}

KHIVE_DECL void WaitQueue::end_wait(MutexLock lock, const WaitRequest& request, Error why) noexcept
{
    WaiterList ended;
    Waiter* at = waiters_.first();
    while (&at->request() != &request) at = waiters_.after(*at);
    unlink(*at, ended);
    lock.unlock();
    detail::drain(ended, [&](Waiter& waiter) { Waiter::deliver(std::move(waiter.self_), std::move(why)); });
}

KHIVE_DECL std::size_t WaitQueue::waiting() const
{
    const std::lock_guard lock(mutex_);
    return waiting_;
}

KHIVE_DECL Error WaitQueue::refusal(const WaitRequest& request, TimePoint now)
{
    if (closed_) return Error{ErrorKind::closed};
    if (auto refused = refuse(request, now); refused.failed()) return refused;
    if (is_full(request))
        return Error{ErrorKind::queue_full}.with_message(std::to_string(max_waiting_) + " callers wait already");
    if (request.deadline <= now) return detail::wait_timeout(request, now);
    return {};
}

KHIVE_DECL void WaitQueue::start(Shared<Waiter> waiter, Completion& rest, asio::cancellation_slot slot)
{
    waiter->time_ = &time_service(rest.executor()); // which keeps the first executor that it is shown: before it is tracked
    waiter->since_ = waiter->time_->now();
    if (waiter->request_.arrived == no_deadline) waiter->request_.arrived = waiter->since_;
    rest.track();
    on_cancellation(slot, waiter.holder(), waiter.get(),
                    [](void* waiting, asio::cancellation_type) { static_cast<Waiter*>(waiting)->cancel(); });
    waiter->rest_ = std::move(rest);
    bool joined = false;
    try {
        waiter->queue_->admit(waiter, joined);
    } catch (...) {
        if (joined && !waiter->queue_->leave(*waiter, waiter->time().now(), nullptr)) return; // it has ended otherwise
        waiter->failure_ = std::current_exception();
        Waiter::deliver(std::move(waiter), Error{ErrorKind::cancelled});
    }
}

KHIVE_DECL void WaitQueue::admit(const Shared<Waiter>& waiter, bool& joined)
{
    const TimePoint now = waiter->time().now();
    const WaitRequest& request = waiter->request();
    std::unique_lock lock(mutex_);
    if (!closed_ && !has_to_queue(request) && try_grant(request, now)) {
        lock.unlock();
        return Waiter::deliver(waiter, Error{});
    }
    if (auto refused = refusal(request, now); refused.failed()) {
        lock.unlock();
        return Waiter::deliver(waiter, std::move(refused));
    }
    join(waiter);
    joined = true;
    const bool is_head = waiters_.first() == waiter.get();
    const TimePoint turn = is_head ? next_grant(request, now) : no_deadline;
    const TimePoint due = std::min(turn, request.deadline); // which the owner may move, once the lock is let go
    lock.unlock();
    KHIVE_YIELD_POINT();
    // Armed even if it never ends by itself: the time service lets go of it when the context ends.
    waiter->time().arm(*waiter, due);
    KHIVE_YIELD_POINT();
    if (!waiter->enter_scope()) return waiter->end_wait(Error{ErrorKind::closed});
    KHIVE_YIELD_POINT();
    after_join(*waiter);
}

KHIVE_DECL double WaitQueue::cost_ahead_of(const WaitRequest& newcomer) const noexcept
{
    double cost = waiting_cost();
    const Waiter* last = waiters_.last();
    for (; last != nullptr && last->request().arrived > newcomer.arrived; last = waiters_.before(*last))
        cost -= last->request().cost;
    return std::max(cost, 0.0);
}

KHIVE_DECL void WaitQueue::join(Shared<Waiter> waiter) noexcept
{
    Waiter* place = nullptr;
    Waiter* last = waiters_.last();
    for (; last != nullptr && last->request().arrived > waiter->request().arrived; last = waiters_.before(*last))
        place = last;
    waiting_cost_ = waiting_cost() + waiter->request().cost;
    Waiter& node = *waiter;
    node.self_ = std::move(waiter);
    node.queued_ = true;
    waiters_.insert(place, node);
    ++waiting_;
    on_join(node.request());
}

KHIVE_DECL void WaitQueue::unlink(Waiter& waiter, WaiterList& into) noexcept
{
    waiters_.erase(waiter);
    --waiting_;
    waiting_cost_ -= waiter.request().cost;
    waiter.queued_ = false;
    on_leave(waiter.request());
    into.push_back(waiter);
}

KHIVE_DECL void WaitQueue::grant_heads(TimePoint now, WaiterList& granted) noexcept
{
    for (Waiter* at = waiters_.first(); at != nullptr;) {
        Waiter& waiter = *at;
        at = waiters_.after(waiter);
        if (try_grant(waiter.request(), now))
            unlink(waiter, granted);
        else if (blocks(waiter.request()))
            break;
    }
}

KHIVE_DECL void WaitQueue::pump(MutexLock lock, TimePoint now) noexcept
{
    finish(std::move(lock), now, nullptr);
}

KHIVE_DECL void WaitQueue::pump(MutexLock lock) noexcept
{
    if (waiters_.empty()) return;
    const TimePoint now = waiters_.first()->time().now();
    finish(std::move(lock), now, nullptr);
}

KHIVE_DECL void WaitQueue::finish(MutexLock lock, TimePoint now, TimeService* held) noexcept
{
    if (waiters_.empty()) return;
    WaiterList granted;
    grant_heads(now, granted);
    Waiter* head = waiters_.first();
    const TimePoint due = head != nullptr ? next_grant(head->request(), now) : no_deadline;
    // Under a time service's lock no last reference may be dropped, see `deliver`. One of its own waiters stays until the lock is
    // let go, since it is retired before it goes; another's is kept by its rearming.
    const bool elsewhere = held != nullptr && head != nullptr && held != head->time_;
    if (due == no_deadline || (elsewhere && !head->rearming_.prepare(*head, due))) head = nullptr;
    const auto kept = head != nullptr && held == nullptr ? share(*head) : nullptr;
    lock.unlock();
    KHIVE_YIELD_POINT();
    detail::drain(granted, [](Waiter& waiter) { Waiter::deliver(std::move(waiter.self_), Error{}); });
    if (head == nullptr) return;
    KHIVE_YIELD_POINT();
    if (elsewhere) // two time services' locks taken in either order could deadlock
        head->rearming_.post();
    else
        head->time_->arm(*head, due);
}

KHIVE_DECL Shared<Waiter> WaitQueue::leave(Waiter& waiter, TimePoint now, TimeService* held) noexcept
{
    std::unique_lock lock(mutex_);
    if (!waiter.queued_) return nullptr;
    WaiterList left;
    unlink(waiter, left);
    left.erase(waiter);
    auto self = std::exchange(waiter.self_, nullptr);
    finish(std::move(lock), now, held);
    after_leave();
    return self;
}

KHIVE_DECL TimePoint WaitQueue::on_waiter_time(Waiter& waiter, TimePoint now) noexcept
{
    const auto alive = waiter.weak_from_this().lock();
    if (!alive) return no_deadline;
    {
        std::unique_lock lock(mutex_);
        finish(std::move(lock), now, waiter.time_);
    }
    KHIVE_YIELD_POINT();
    {
        const std::lock_guard lock(mutex_);
        if (!waiter.queued_) return no_deadline;
        const TimePoint deadline = waiter.request().deadline;
        const bool is_head = waiters_.first() == &waiter;
        if (deadline > now) return is_head ? std::min(next_grant(waiter.request(), now), deadline) : deadline;
    }
    if (auto late = leave(waiter, now, waiter.time_))
        Waiter::deliver(std::move(late), detail::wait_timeout(waiter.request(), waiter.since_));
    return no_deadline;
}

KHIVE_DECL void WaitQueue::close() noexcept
{
    WaiterList all;
    {
        const std::lock_guard lock(mutex_);
        closed_ = true;
        while (!waiters_.empty()) unlink(*waiters_.first(), all);
    }
    KHIVE_YIELD_POINT();
    detail::drain(all, [](Waiter& waiter) { Waiter::deliver(std::move(waiter.self_), Error{ErrorKind::closed}); });
}

} // namespace khive::inline KHIVE_ABI::async

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/detail/event_queue.hpp>

#include <boost/asio/post.hpp>

namespace khive::inline KHIVE_ABI::testing::detail {

KHIVE_TESTING_DECL EventQueue::EventQueue(asio::any_io_executor executor)
    : executor_(std::move(executor)), time_(async::time_service(executor_))
{
    time_.arm(*this, no_deadline);
}

KHIVE_TESTING_DECL EventQueue::~EventQueue()
{
    if (!ended_) time_.disarm(*this);
}

KHIVE_TESTING_DECL void EventQueue::at(TimePoint due, Event event)
{
    if (ended_ || due == no_deadline) return;
    events_.emplace(Key{due, random_ ? random_->next() : 0, ++made_}, std::move(event));
    // Armed from a handler: the caller may hold a lock that the time service must not be called with.
    post_turn();
}

KHIVE_TESTING_DECL void EventQueue::watch(std::weak_ptr<Abandonable> thing)
{
    std::erase_if(watched_, [](const auto& weak) { return weak.expired(); });
    watched_.push_back(std::move(thing));
}

inline void EventQueue::expect_next()
{
    const TimePoint next = events_.empty() ? no_deadline : events_.begin()->first.due;
    if (next <= now()) return post_turn();
    time_.arm(*this, next);
}

inline void EventQueue::post_turn()
{
    if (std::exchange(turn_posted_, true)) return;
    asio::post(executor_, [weak = weak_from_this()] {
        if (const auto self = weak.lock()) self->run_one();
    });
}

inline void EventQueue::run_one()
{
    turn_posted_ = false;
    if (ended_ || events_.empty() || events_.begin()->first.due > now()) return expect_next();
    const auto first = events_.extract(events_.begin());
    expect_next();
    first.mapped()();
}

KHIVE_TESTING_DECL TimePoint EventQueue::on_time(TimePoint) noexcept
{
    // Stays armed, or the end of the context would go unnoticed.
    time_.arm(*this, no_deadline);
    post_turn();
    return no_deadline;
}

KHIVE_TESTING_DECL void EventQueue::on_shutdown() noexcept
{
    const auto self = shared_from_this();
    ended_ = true;
    const auto events = std::exchange(events_, {});
    for (const auto& weak : std::exchange(watched_, {}))
        if (const auto thing = weak.lock()) thing->abandon();
}

} // namespace khive::inline KHIVE_ABI::testing::detail

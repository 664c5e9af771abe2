// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/min_max.hpp>
#include <khive/core/single_threaded.hpp>
#include <khive/net/write_batch.hpp>

#include <boost/asio/detail/scheduler.hpp>

#include <utility>

namespace khive::inline KHIVE_ABI::net {

KHIVE_DECL bool WriteBatch::expects(TimePoint now, async::Home* home)
{
    if (home == nullptr) return false;
    if (!khive::detail::is_single_threaded() && !(home->concurrency_hint() == 1 && home->can_dispatch())) return false;
    if (size_ != 0 && (size_ == most || now - since_ > longest)) give_turns(now);
    const bool soon = now - std::exchange(last_, now) <= thick;
    in_a_row_ = soon ? std::min(in_a_row_ + 1, enough) : 0;
    if (in_a_row_ < enough) return false;
    if (pause_ == 0) return size_ != most;
    --pause_;
    return false;
}

KHIVE_DECL void WriteBatch::join(ListenerPtr listener, TimePoint now, async::TimeService& time) noexcept
{
    if (size_ == 0) since_ = now;
    waiting_[size_++] = std::move(listener);
    if (std::exchange(posted_, true)) return;
    time_ = &time;
    joined_ = 0;
    async::post(*time.home(), *this);
}

KHIVE_DECL std::size_t WriteBatch::take(ListenerPtr (&into)[most]) noexcept
{
    for (std::size_t i = 0; i < size_; ++i) into[i].swap(waiting_[i]);
    return std::exchange(size_, 0);
}

KHIVE_DECL void WriteBatch::give_turns(TimePoint now)
{
    joined_ += size_;
    ListenerPtr first[most];
    const std::size_t size = take(first);
    for (std::size_t i = 0; i < size; ++i) first[i]->on_turn(now);
}

KHIVE_DECL void WriteBatch::run()
{
    posted_ = false;
    if (size_ != 0) give_turns(time_->now());
    if (joined_ > 1) {
        next_pause_ = 1;
        return;
    }
    pause_ = next_pause_;
    next_pause_ = std::min(2 * next_pause_, longest_pause);
}

KHIVE_DECL void WriteBatch::abandon() noexcept
{
    posted_ = false;
    ListenerPtr last[most];
    const std::size_t size = take(last);
    for (std::size_t i = 0; i < size; ++i) last[i]->on_abandoned();
}

} // namespace khive::inline KHIVE_ABI::net

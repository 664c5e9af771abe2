// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/post.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/net/async_exchange.hpp>
#include <khive/net/connection.hpp>

#include <utility>

namespace khive::inline KHIVE_ABI::net {

/// A turn of the connection: the lock, and what has to happen once it is let go.
class Connection::Step {
public:
    explicit Step(Connection& connection) noexcept : c_(connection) { c_.mutex_.lock(); }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step()
    {
        if (locked_) unlock();
    }

    /// What the turn does. Without memory for it, it ends what is under way.
    template <class Act>
    void act(Act act) noexcept
    {
        try {
            act();
        } catch (...) {
            c_.out_of_memory();
        }
    }

    /// Lets go of the lock and sets the deadline, or calls whoever waits for an end that is due.
    void finish(bool on_own_executor)
    {
        if (c_.ended_ && c_.pending_ == 0) return finish_end(on_own_executor);
        const bool active = c_.now_in_ != Stage::idle && c_.now_in_ != Stage::closed && !c_.ended_ && !c_.queued_;
        const TimePoint deadline = active ? c_.next_time() : no_deadline;
        const auto keeper = tell_keeper_ ? c_.setup_->keeper.lock() : nullptr;
        unlock();
        KHIVE_YIELD_POINT();
        if (deadline != no_deadline) c_.setup_->time.arm(c_, deadline);
        KHIVE_YIELD_POINT();
        if (keeper) keeper->on_idle_ended(c_);
    }

    void tell_keeper() noexcept { tell_keeper_ = true; }

private:
    /// Of a dial or an exchange: the connection is idle or closed then.
    void finish_end(bool on_own_executor)
    {
        c_.ended_ = false;
        const bool resumes = static_cast<bool>(c_.rest_);
        const bool resumes_here = on_own_executor && c_.resumes_here_;
        const bool dialled = std::exchange(c_.dialling_, false);
        auto rest = resumes_here ? std::move(c_.rest_) : async::Continuation{};
        const auto keeper = tell_keeper_ || dialled ? c_.setup_->keeper.lock() : nullptr;
        unlock();
        KHIVE_YIELD_POINT();
        if (keeper && tell_keeper_) keeper->on_idle_ended(c_);
        if (keeper && dialled) keeper->on_dialled(c_, std::move(c_.end_.error));
        if (!resumes) return;
        if (resumes_here) return std::move(rest).run();
        // Whoever is resumed has the connection, which may be gone once this is posted.
        const asio::any_io_executor executor = c_.executor_to_post_to();
        KHIVE_YIELD_POINT();
        async::post(executor, c_);
    }

    void unlock() noexcept
    {
        locked_ = false;
        c_.mutex_.unlock();
    }

    Connection& c_;
    bool locked_ = true;
    bool tell_keeper_ = false;
};

KHIVE_DECL Deadline Connection::total() const noexcept
{
    return now_in_ == Stage::exchanging ? exchange_->deadline() : dial_->total;
}

} // namespace khive::inline KHIVE_ABI::net

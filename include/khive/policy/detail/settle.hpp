// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/completion.hpp>
#include <khive/async/time_service.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

namespace khive::inline KHIVE_ABI::detail {

/// How an awaitable ended.
template <class Value>
struct Settlement {
    using Stored = std::conditional_t<std::is_void_v<Value>, std::monostate, Value>;

    std::optional<Stored> value;
    std::exception_ptr exception;
    bool timed_out = false; ///< it was cancelled because its time was up; it may have ended well all the same
};

template <class Value>
asio::awaitable<void> settle_into(asio::awaitable<Value> work, Settlement<Value>* settled)
{
    try {
        if constexpr (std::is_void_v<Value>) {
            co_await std::move(work);
            settled->value.emplace();
        } else {
            settled->value.emplace(co_await std::move(work));
        }
    } catch (...) {
        settled->exception = std::current_exception();
    }
}

/// A coroutine that runs against a deadline, on a strand: its steps, its deadline and its cancellation never run at once.
template <class Value>
class Race final : public async::TimerNode, public std::enable_shared_from_this<Race<Value>> {
public:
    /// `result` is in the frame that `rest` continues.
    Race(async::Completion rest, Settlement<Value>& result)
        : time_(&async::time_service(rest.executor())), strand_(asio::make_strand(rest.executor())), rest_(std::move(rest)),
          result_(result)
    {
        rest_.track();
    }
    ~Race()
    {
        if (time_ != nullptr) time_->disarm(*this);
    }

    void start(asio::awaitable<Value> work, TimePoint due)
    {
        auto self = this->shared_from_this();
        asio::co_spawn(strand_, run(self, std::move(work), due),
                       asio::bind_cancellation_slot(signal_.slot(), [self](std::exception_ptr) { self->finish(); }));
    }

    /// From any thread, after `start`.
    void cancel(asio::cancellation_type type, bool timed_out)
    {
        asio::post(strand_, [self = this->shared_from_this(), type, timed_out] {
            if (self->finished_) return;
            self->settled_.timed_out |= timed_out;
            self->signal_.emit(type);
        });
    }

private:
    static asio::awaitable<void> run(std::shared_ptr<Race> self, asio::awaitable<Value> work, TimePoint due)
    {
        // Armed only here, on the strand: Asio's co_spawn does not survive a cancellation before its first step.
        self->time_->arm(*self, due);
        auto end = settle_into(std::move(work), &self->settled_);
        co_await std::move(end);
    }

    TimePoint on_time(TimePoint) noexcept override
    {
        if (const auto alive = this->weak_from_this().lock()) alive->cancel(asio::cancellation_type::terminal, true);
        return no_deadline;
    }
    void on_shutdown() noexcept override { time_ = nullptr; }

    void finish()
    {
        finished_ = true;
        if (time_ != nullptr) time_->disarm(*this);
        result_ = std::move(settled_);
        std::move(rest_).post();
    }

    async::TimeService* time_; ///< null once the context ends
    asio::strand<asio::any_io_executor> strand_;
    async::Completion rest_;
    Settlement<Value>& result_;
    asio::cancellation_signal signal_;
    Settlement<Value> settled_;
    bool finished_ = false;
};

/// A coroutine's wait for the end of the race, in its frame.
template <class Value>
class RaceWait final : public async::Suspension {
public:
    RaceWait(asio::awaitable<Value> work, TimePoint due) : work_(std::move(work)), due_(due) {}
    [[nodiscard]] Settlement<Value> result() { return std::move(result_); }

private:
    void start(async::Completion rest, asio::cancellation_slot slot) override
    {
        const auto race = std::make_shared<Race<Value>>(std::move(rest), result_);
        if (slot.is_connected())
            slot.assign([weak = std::weak_ptr(race)](asio::cancellation_type type) {
                if (const auto alive = weak.lock()) alive->cancel(type, false);
            });
        race->start(std::move(work_), due_);
    }

    asio::awaitable<Value> work_;
    TimePoint due_;
    Settlement<Value> result_;
};

template <class Value>
asio::awaitable<Settlement<Value>> settle_by(asio::awaitable<Value> work, TimePoint due)
{
    RaceWait<Value> racing(std::move(work), due);
    auto race = async::suspend(racing);
    co_await std::move(race);
    co_return racing.result();
}

/// Runs `work` and says how it ended; cancels it at `due`, and then still waits for its end.
template <class Value>
asio::awaitable<Settlement<Value>> settle(asio::awaitable<Value> work, TimePoint due)
{
    if (due != no_deadline) {
        auto race = settle_by(std::move(work), due);
        co_return co_await std::move(race);
    }
    Settlement<Value> settled;
    auto plain = settle_into(std::move(work), &settled);
    co_await std::move(plain);
    co_return settled;
}

} // namespace khive::inline KHIVE_ABI::detail

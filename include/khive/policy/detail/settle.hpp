// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/completion.hpp>
#include <khive/async/time_service.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/policy/detail/awaitable_value.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::detail {

/// How an awaitable ended.
template <class Value>
struct Settlement {
    std::optional<Stored<Value>> value;
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
    /// `result` is in the frame that is to go on at the end.
    Race(const asio::any_io_executor& executor, Settlement<Value>& result)
        : time_(&async::time_service(executor)), strand_(asio::make_strand(executor)), result_(result)
    {}
    ~Race()
    {
        if (time_ != nullptr) time_->disarm(*this);
    }

    /// Where it throws, `rest` is where it was.
    void start(async::Completion& rest, asio::awaitable<Value> work, TimePoint due)
    {
        auto self = this->shared_from_this();
        auto racing = run(self, std::move(work), due);
        rest_ = std::move(rest);
        try {
            asio::co_spawn(strand_, std::move(racing),
                           asio::bind_cancellation_slot(signal_.slot(), [self](std::exception_ptr) { self->finish(); }));
        } catch (...) {
            rest = std::move(rest_);
            throw;
        }
    }

    /// From any thread, after `start`.
    void cancel(asio::cancellation_type type, bool timed_out) noexcept
    {
        if (timed_out) timed_out_.store(true);
        KHIVE_YIELD_POINT();
        types_.fetch_or(static_cast<unsigned>(type));
        KHIVE_YIELD_POINT();
        cancelling_.post(strand_, this->shared_from_this());
    }

private:
    /// Passes on, on the strand, what it has been told.
    class Cancelling final : public async::PostedTask {
    public:
        void post(const asio::any_io_executor& strand, std::shared_ptr<Race> race)
        {
            if (posted_.exchange(true)) return;
            KHIVE_YIELD_POINT();
            race_ = std::move(race);
            async::post(strand, *this);
        }

    private:
        void run() override
        {
            const auto race = std::move(race_);
            KHIVE_YIELD_POINT();
            posted_.store(false);
            KHIVE_YIELD_POINT();
            race->emit();
        }
        void abandon() noexcept override { const auto race = std::move(race_); }

        std::shared_ptr<Race> race_;      ///< of who has set `posted_`
        std::atomic<bool> posted_{false}; ///< cleared before `types_` are taken: what is asked later is posted again
    };

    void emit()
    {
        if (finished_) return;
        settled_.timed_out |= timed_out_.load();
        KHIVE_YIELD_POINT();
        const unsigned types = types_.exchange(0);
        if (types == 0) return;
        try {
            signal_.emit(static_cast<asio::cancellation_type>(types));
        } catch (const std::bad_alloc&) { // which Asio takes to pass it on: once more
            cancel(static_cast<asio::cancellation_type>(types), false);
        }
    }

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
        KHIVE_YIELD_POINT();
        if (time_ != nullptr) time_->disarm(*this);
        result_ = std::move(settled_);
        resumption_.post(std::move(rest_), this->shared_from_this());
    }

    async::TimeService* time_; ///< null once the context ends
    asio::any_io_executor strand_;
    async::Completion rest_;
    async::Resumption resumption_;
    Settlement<Value>& result_;
    asio::cancellation_signal signal_;
    Cancelling cancelling_;
    std::atomic<unsigned> types_{0};     ///< set before `posted_` is
    std::atomic<bool> timed_out_{false}; ///< set before `types_` are: what is passed on for it knows why
    Settlement<Value> settled_;
    bool finished_ = false;
};

/// A coroutine's wait for the end of the race, in its frame.
template <class Value>
class RaceWait final : public async::Suspension {
public:
    RaceWait(asio::awaitable<Value> work, TimePoint due) : work_(std::move(work)), due_(due) {}
    /// Throws `std::bad_alloc` where there was no memory to begin.
    [[nodiscard]] Settlement<Value> result()
    {
        if (failure_) std::rethrow_exception(failure_);
        return std::move(result_);
    }

private:
    void start(async::Completion& rest, asio::cancellation_slot slot) override
    {
        // Before the executor is tracked: what is made inside of the work may keep the one that it finds.
        const auto race = std::make_shared<Race<Value>>(rest.executor(), result_);
        rest.track();
        async::on_cancellation(slot, race, [](auto& racing, asio::cancellation_type type) { racing.cancel(type, false); });
        race->start(rest, std::move(work_), due_);
    }
    void failed(std::exception_ptr why) noexcept override { failure_ = std::move(why); }

    std::exception_ptr failure_;
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

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/sleep.hpp>
#include <khive/core/result.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <utility>

// Functions for policies to guard.
namespace khive_tests {

/// Takes that much virtual time; throws when it is cancelled, as Asio's own operations do.
inline boost::asio::awaitable<void> take(khive::Duration length)
{
    const boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
    const khive::TimePoint due = khive::saturating_add(khive::async::time_service(executor).now(), length);
    auto nap = khive::async::sleep_until(due);
    if (!co_await std::move(nap)) throw boost::system::system_error(boost::asio::error::operation_aborted);
}

inline boost::asio::awaitable<int> give(int value)
{
    co_await boost::asio::this_coro::executor;
    co_return value;
}

inline boost::asio::awaitable<khive::Result<int>> give_result(khive::Result<int> value)
{
    co_await boost::asio::this_coro::executor;
    co_return value;
}

inline boost::asio::awaitable<int> throw_it(std::exception_ptr exception)
{
    co_await boost::asio::this_coro::executor;
    std::rethrow_exception(exception);
}

template <class Exception>
boost::asio::awaitable<int> throwing(Exception exception)
{
    return throw_it(std::make_exception_ptr(std::move(exception)));
}

/// A coroutine that was started and can be cancelled.
template <class T>
class Started {
public:
    Started(boost::asio::any_io_executor executor, boost::asio::awaitable<T> operation)
    {
        auto end = [state = state_](std::exception_ptr e) {
            state->exception = e;
            state->done = true;
        };
        // The executor makes Asio queue a cancellation behind the start: 1.83 throws out of run() if it comes before.
        boost::asio::co_spawn(executor, keep(std::move(operation), state_),
                              boost::asio::bind_cancellation_slot(state_->signal.slot(),
                                                                  boost::asio::bind_executor(executor, std::move(end))));
    }

    void cancel() { state_->signal.emit(boost::asio::cancellation_type::terminal); }
    [[nodiscard]] bool done() const noexcept { return state_->done; }
    /// Its value, or what it threw.
    T value()
    {
        if (state_->exception) std::rethrow_exception(state_->exception);
        return std::move(*state_->value);
    }

private:
    struct State {
        boost::asio::cancellation_signal signal;
        std::optional<T> value;
        std::exception_ptr exception;
        bool done = false;
    };

    static boost::asio::awaitable<void> keep(boost::asio::awaitable<T> operation, std::shared_ptr<State> state)
    {
        state->value.emplace(co_await std::move(operation));
    }

    std::shared_ptr<State> state_ = std::make_shared<State>();
};

} // namespace khive_tests

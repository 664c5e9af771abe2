// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/sleep.hpp>
#include <khive/core/result.hpp>
#include <khive/testing/virtual_time.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <exception>
#include <stdexcept>
#include <utility>
#include <vector>

// Functions for policies to guard.
namespace khive_tests {

namespace asio = boost::asio;

/// Takes that much virtual time; throws when it is cancelled, as Asio's own operations do.
inline asio::awaitable<void> take(khive::Duration length)
{
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    const khive::TimePoint due = khive::saturating_add(khive::async::time_service(executor).now(), length);
    auto nap = khive::async::sleep_until(due);
    if (!co_await std::move(nap)) throw boost::system::system_error(asio::error::operation_aborted);
}

inline asio::awaitable<int> take_and_give(khive::Duration length, int value)
{
    auto nap = take(length);
    co_await std::move(nap);
    co_return value;
}

/// Ignores its cancellation for that long.
inline asio::awaitable<int> ignore_cancellation(khive::Duration length)
{
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    co_await take(length);
    co_return 1;
}

/// Notes when it begins.
inline asio::awaitable<int> note_start(khive::testing::VirtualTime* time, std::vector<khive::Duration>* starts,
                                       khive::Duration length)
{
    starts->push_back(time->elapsed());
    co_await take(length);
    co_return 1;
}

inline asio::awaitable<int> doubled(int value)
{
    co_await take(std::chrono::seconds{1});
    co_return 2 * value;
}

/// Fails at its second attempt no more.
inline asio::awaitable<int> second_time_lucky(unsigned attempt)
{
    co_await take(std::chrono::seconds{1});
    if (attempt == 1) throw std::runtime_error("not yet");
    co_return 1;
}

inline asio::awaitable<int> give(int value)
{
    co_await asio::this_coro::executor;
    co_return value;
}

inline asio::awaitable<khive::Result<int>> give_result(khive::Result<int> value)
{
    co_await asio::this_coro::executor;
    co_return value;
}

inline asio::awaitable<int> throw_it(std::exception_ptr exception)
{
    co_await asio::this_coro::executor;
    std::rethrow_exception(exception);
}

template <class Exception>
asio::awaitable<int> throwing(Exception exception)
{
    return throw_it(std::make_exception_ptr(std::move(exception)));
}

} // namespace khive_tests

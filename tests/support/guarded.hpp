// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/sleep.hpp>
#include <khive/core/result.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <exception>
#include <utility>

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

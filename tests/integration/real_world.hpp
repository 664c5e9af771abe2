// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/khive.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

// Running calls over real sockets, in real time but without a sleep.
namespace khive_tests {

using namespace khive;
using namespace std::chrono_literals;

template <class T>
asio::awaitable<void> keep_in(asio::awaitable<T> operation, std::shared_ptr<std::optional<T>> into)
{
    into->emplace(co_await std::move(operation));
}

/// Runs the context until it has nothing to do, and gives the operation's value or throws what it threw.
template <class T>
T run(asio::io_context& io, asio::awaitable<T> operation)
{
    auto value = std::make_shared<std::optional<T>>();
    std::exception_ptr error;
    asio::co_spawn(io, keep_in(std::move(operation), value), [&](std::exception_ptr e) { error = e; });
    io.restart();
    io.run();
    if (error) std::rethrow_exception(error);
    return std::move(value->value());
}

/// Runs the context on so many threads until it has nothing to do.
inline void run_on_threads(asio::io_context& io, unsigned count)
{
    io.restart();
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < count; ++i) threads.emplace_back([&] { io.run(); });
    for (auto& thread : threads) thread.join();
}

/// Whatever happens, no exception: what became of a call.
inline ErrorKind kind_of(const Result<Response>& result)
{
    return result ? ErrorKind{} : result.error().kind();
}

} // namespace khive_tests

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/time_service.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace khive_tests {

namespace asio = boost::asio;

/// An `io_context` whose time stands still while anything is ready to run, and else jumps to what is due next.
class VirtualTime {
public:
    VirtualTime() { service().use_virtual_time(start); }

    [[nodiscard]] asio::any_io_executor executor() { return io_.get_executor(); }
    [[nodiscard]] asio::io_context& context() noexcept { return io_; }
    [[nodiscard]] khive::async::TimeService& service() { return khive::async::time_service(io_.get_executor()); }
    [[nodiscard]] khive::TimePoint now() { return service().now(); }
    /// Virtual time since the beginning.
    [[nodiscard]] khive::Duration elapsed() { return now() - start; }

    /// Runs everything until `operation` has ended, and gives its value or throws what it threw.
    template <class T>
    T run(asio::awaitable<T> operation)
    {
        auto end = std::make_shared<End<T>>();
        asio::co_spawn(io_, keep(std::move(operation), end), [end](std::exception_ptr error) {
            end->error = error;
            end->done = true;
        });
        while (poll(), !end->done) jump();
        if (end->error) std::rethrow_exception(end->error);
        if constexpr (!std::is_void_v<T>) return std::move(*end->value);
    }

    /// Starts it beside whatever `run` runs; an exception that leaves it comes out of `run` or `poll`.
    void spawn(asio::awaitable<void> operation)
    {
        asio::co_spawn(io_, std::move(operation), [](std::exception_ptr error) {
            if (error) std::rethrow_exception(error);
        });
    }

    /// Runs what is ready at this point of time.
    void poll()
    {
        io_.restart();
        io_.poll();
    }

    /// Runs what is ready, then lets `step` of time pass, stopping wherever something is due.
    void advance(khive::Duration step)
    {
        const khive::TimePoint until = now() + step;
        poll();
        for (auto due = service().next_due(); due && *due <= until; due = service().next_due()) {
            service().advance_to(std::max(*due, now()));
            poll();
        }
        service().advance_to(until);
        poll();
    }

private:
    template <class T>
    struct End {
        std::optional<T> value;
        std::exception_ptr error;
        bool done = false;
    };
    template <class T>
        requires std::is_void_v<T>
    struct End<T> {
        std::exception_ptr error;
        bool done = false;
    };

    template <class T>
    static asio::awaitable<void> keep(asio::awaitable<T> operation, std::shared_ptr<End<T>> end)
    {
        if constexpr (std::is_void_v<T>)
            co_await std::move(operation);
        else
            end->value.emplace(co_await std::move(operation));
    }

    void jump()
    {
        const auto due = service().next_due();
        if (!due) throw std::logic_error("virtual time: nothing is due and the operation has not ended");
        service().advance_to(std::max(*due, now()));
    }

    static constexpr khive::TimePoint start = khive::TimePoint{} + std::chrono::hours{1};
    asio::io_context io_{1};
};

} // namespace khive_tests

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstddef>

namespace bulk {

namespace asio = boost::asio;

/// Counts what is under way, and lets one coroutine wait until that has become little enough.
class Gate {
public:
    explicit Gate(const asio::any_io_executor& executor) : bell_(executor, asio::steady_timer::time_point::max()) {}

    void enter() noexcept { ++inside_; }
    void leave()
    {
        --inside_;
        bell_.cancel();
    }
    [[nodiscard]] std::size_t inside() const noexcept { return inside_; }

    /// Waits until fewer than `limit` are under way.
    [[nodiscard]] asio::awaitable<void> fewer_than(std::size_t limit)
    {
        boost::system::error_code rung;
        while (inside_ >= limit) co_await bell_.async_wait(asio::redirect_error(asio::use_awaitable, rung));
    }

private:
    asio::steady_timer bell_;
    std::size_t inside_ = 0;
};

} // namespace bulk

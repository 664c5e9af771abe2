// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/untracked_work.hpp>
#include <khive/net/wire.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

namespace khive::inline KHIVE_ABI::net::detail {

enum class WireEvent : std::uint8_t { connected, written, read, readable };

inline void tell(WireListener& listener, WireEvent event, boost::system::error_code error, std::size_t bytes)
{
    switch (event) {
    case WireEvent::connected: return listener.on_connected(error);
    case WireEvent::written: return listener.on_written(error, bytes);
    case WireEvent::read: return listener.on_read(error, bytes);
    case WireEvent::readable: return listener.on_readable(error);
    }
}

/// One wait at a time that `run()` does not stay for, until it is cancelled: its handler has to be run then, or whoever waits
/// for all operations of the wire to end would not hear of it.
class BackgroundWait {
public:
    /// On an executor that outlives it, by operations that hold so many units of work.
    BackgroundWait(const asio::any_io_executor& executor, int units) noexcept : executor_(executor), units_(units) {}

    void begin() noexcept { under_way_.store(true); }
    /// Instead of `release`: the operation could not be started.
    void undo() noexcept { under_way_.store(false); }
    /// After the operation has been started.
    void release() const noexcept { async::UntrackedWork::release(executor_, units_); }
    /// By its handler or its cancellation, whichever comes first.
    void end() noexcept
    {
        if (under_way_.load(std::memory_order_relaxed) && under_way_.exchange(false))
            async::UntrackedWork::retake(executor_, units_);
    }
    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }

private:
    const asio::any_io_executor& executor_;
    int units_;
    std::atomic<bool> under_way_{
        false}; ///< whoever clears it takes the work back: handler and cancellation may come at once
};

} // namespace khive::inline KHIVE_ABI::net::detail

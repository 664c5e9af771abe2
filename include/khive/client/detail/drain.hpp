// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/wait_queue.hpp>
#include <khive/core/shared.hpp>

#include <atomic>
#include <cstddef>

namespace khive::inline KHIVE_ABI::detail {

/// Where `close` waits until no call is in flight.
class CallDrain final : public async::WaitQueue {
public:
    struct Empty {};
    explicit CallDrain(const std::atomic<std::size_t>& in_flight) : WaitQueue(static_cast<std::size_t>(-1)), in_flight_(in_flight) {}
    void check(TimePoint now) { pump(std::unique_lock(mutex_), now); }
    static Empty make_grant(const async::WaitRequest&) noexcept { return {}; }

private:
    bool try_grant(const async::WaitRequest&, TimePoint) noexcept override { return in_flight_.load() == 0; }
    const std::atomic<std::size_t>& in_flight_;
};

/// Refuses new calls, waits up to `timeout` for those in flight, then ends them. True if none had to be ended.
template <class Core>
asio::awaitable<bool> close(Shared<Core> core, Duration timeout)
{
    async::WaitRequest request;
    request.deadline = core->begin_closing(timeout);
    async::GrantWait<CallDrain, CallDrain::Empty> draining(core->drain(), request);
    auto wait = async::suspend(draining);
    co_await std::move(wait);
    core->abort();
    co_return draining.granted();
}

} // namespace khive::inline KHIVE_ABI::detail

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/virtual_time.hpp>

#include <boost/asio/strand.hpp>

#include <algorithm>

namespace khive::inline KHIVE_ABI::testing {

KHIVE_TESTING_DECL void VirtualTime::settle()
{
    do {
        io_.restart();
        io_.poll();
    } while (jump(now()));
}

KHIVE_TESTING_DECL void VirtualTime::run_for(Duration duration)
{
    const TimePoint until = saturating_add(now(), duration);
    for (settle(); jump(until); settle()) {}
    service().advance_to(until);
    settle();
}

KHIVE_TESTING_DECL void VirtualTime::run_until_idle()
{
    std::uint64_t jumps = 0;
    for (settle(); jump(no_deadline); settle())
        if (++jumps == max_jumps) throw std::runtime_error("no end: time has jumped ten million times");
}

KHIVE_TESTING_DECL void VirtualTime::spawn(asio::awaitable<void> operation)
{
    asio::co_spawn(in_order(), std::move(operation), [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    });
}

KHIVE_TESTING_DECL asio::any_io_executor VirtualTime::in_order()
{
    if (!shuffles_) return executor_;
    return asio::make_strand(executor_);
}

KHIVE_TESTING_DECL bool VirtualTime::jump(TimePoint until)
{
    const auto due = service().next_due();
    if (!due || *due > until) return false;
    service().advance_to(std::max(*due, now()));
    return true;
}

} // namespace khive::inline KHIVE_ABI::testing

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/net/async_exchange.hpp>
#include <khive/net/connection.hpp>

#include <boost/asio/cancellation_type.hpp>

#include <utility>

namespace khive::inline KHIVE_ABI::net {

KHIVE_DECL void Exchange::start(async::Completion& rest, asio::cancellation_slot slot)
{
    // A plain pointer: the caller keeps the connection until the end, at which an awaitable clears its slot. The slot itself may
    // outlive the execution context, which no connection does.
    if (slot.is_connected())
        slot.assign([connection = &connection_, serial = connection_.next_serial()](asio::cancellation_type) {
            connection->cancel_exchange(serial);
        });
    // On its own executor the socket operation is what keeps `run()` going.
    const bool resumes_here = rest.executor() == connection_.executor();
    if (!resumes_here) rest.track();
    KHIVE_YIELD_POINT();
    connection_.exchange(*this, rest, resumes_here);
}

KHIVE_DECL void Exchange::failed(std::exception_ptr) noexcept
{
    connection_.result() = {};
    connection_.result().error = detail::no_memory(ErrorKind::connection_lost);
}

} // namespace khive::inline KHIVE_ABI::net

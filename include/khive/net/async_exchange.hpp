// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/completion.hpp>
#include <khive/net/connection.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/deferred.hpp>

#include <utility>

namespace khive::inline KHIVE_ABI::net {

/// One exchange to be awaited; named on a line of its own, and alive until it has ended, as is its connection.
struct ExchangeCall {
    Connection* connection;
    Outgoing outgoing;
    ExchangeTimeouts timeouts;
    Deadline deadline;
    Attempt* attempt;
};

namespace detail {

template <class Handler>
void start_exchange(Handler handler, const ExchangeCall& call)
{
    using Completion = async::Completion<ExchangeEnd>;
    Connection& connection = *call.connection;
    const auto& home = connection.executor();
    const asio::any_io_executor executor = asio::get_associated_executor(handler, home);
    auto slot = asio::get_associated_cancellation_slot(handler);
    // A plain pointer: the caller keeps the connection until the end, at which an awaitable clears its slot. The slot itself may
    // outlive the execution context, which no connection does.
    if (slot.is_connected())
        slot.assign([&connection, serial = connection.next_serial()](asio::cancellation_type) {
            connection.cancel_exchange(serial);
        });
    // On its own executor the socket operation is what keeps `run()` going.
    auto completion = executor == home ? Completion(std::move(handler), executor, Completion::Untracked{})
                                       : Completion(std::move(handler), executor);
    connection.exchange(call.outgoing, call.timeouts, call.deadline, *call.attempt, std::move(completion));
}

} // namespace detail

/// The exchange as an operation to `co_await`, without a frame of its own. Gives an `ExchangeEnd`.
[[nodiscard]] inline auto async_exchange(const ExchangeCall& call)
{
    return asio::async_initiate<const asio::deferred_t, void(ExchangeEnd)>(
        [](auto handler, const ExchangeCall* what) { detail::start_exchange(std::move(handler), *what); }, asio::deferred,
        &call);
}

} // namespace khive::inline KHIVE_ABI::net

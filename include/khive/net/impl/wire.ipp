// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/shared.hpp>
#include <khive/net/tcp_wire.hpp>
#include <khive/net/wire.hpp>

namespace khive::inline KHIVE_ABI::net {

KHIVE_DECL NetworkService::NetworkService(asio::execution_context& context)
    : asio::execution_context::service(context), network_(make_once<TcpNetwork>(context))
{
}

KHIVE_DECL NetworkService& network_service(const asio::any_io_executor& executor)
{
    return asio::use_service<NetworkService>(asio::query(executor, asio::execution::context));
}

} // namespace khive::inline KHIVE_ABI::net

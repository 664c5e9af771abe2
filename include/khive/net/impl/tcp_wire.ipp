// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/impl/has_epoll.hpp>
#include <khive/net/tcp_wire.hpp>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/address_v4.hpp>

#include <optional>
#include <string>
#include <utility>

#if defined(KHIVE_EPOLL)
#include <khive/net/impl/epoll_wire.ipp>
#include <khive/net/impl/resolver.ipp>
#else
#include <khive/net/impl/asio_resolver.ipp>
#include <khive/net/impl/asio_wire.ipp>
#endif

namespace khive::inline KHIVE_ABI::net {
namespace detail {

#if defined(KHIVE_EPOLL)
using TcpWire = EpollWire;
#else
using TcpWire = AsioWire;
#endif

} // namespace detail

KHIVE_DECL TcpNetwork::TcpNetwork(asio::execution_context& context)
    : home_(std::make_shared<const detail::TcpWire::Home>(context))
{}

KHIVE_DECL WirePtr TcpNetwork::open(const asio::any_io_executor& executor)
{
    return WirePtr(new detail::TcpWire(executor, *static_cast<const detail::TcpWire::Home*>(home_.get())));
}

/// IPv4 first, as most are.
KHIVE_DECL std::optional<Endpoint> TcpNetwork::literal(const std::string& host, std::uint16_t port) const
{
    boost::system::error_code error;
    const auto v4 = asio::ip::make_address_v4(host, error);
    if (!error) return Endpoint(v4, port);
    const auto address = asio::ip::make_address(host, error);
    return error ? std::nullopt : std::optional(Endpoint(address, port));
}

KHIVE_DECL void TcpNetwork::resolve(const asio::any_io_executor& executor, const std::string& host, std::uint16_t port,
                                    ListenerPtr listener)
{
    detail::Resolver::look_up(executor, host, port, std::move(listener));
}

} // namespace khive::inline KHIVE_ABI::net

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/has_epoll.hpp>
#include <khive/core/shared.hpp>
#include <khive/net/tcp_wire.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>

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
    : home_(make_once<detail::TcpWire::Home>(context).take_holder())
{}

KHIVE_DECL WirePtr TcpNetwork::open(const asio::any_io_executor& executor)
{
    return WirePtr(new detail::TcpWire(executor, *static_cast<const detail::TcpWire::Home*>(home_.get())));
}

/// IPv4 first, as most are.
KHIVE_DECL bool TcpNetwork::literal(const std::string& host, std::uint16_t port, Endpoint& endpoint) const
{
    ::sockaddr_in v4{};
    ::sockaddr_in6 v6{};
    if (::inet_pton(v4.sin_family = AF_INET, host.c_str(), &v4.sin_addr) == 1) {
        v4.sin_port = htons(port);
        endpoint = Endpoint(reinterpret_cast<const ::sockaddr&>(v4));
        return true;
    }
    if (::inet_pton(v6.sin6_family = AF_INET6, host.c_str(), &v6.sin6_addr) != 1) return false;
    v6.sin6_port = htons(port);
    endpoint = Endpoint(reinterpret_cast<const ::sockaddr&>(v6));
    return true;
}

KHIVE_DECL void TcpNetwork::resolve(const asio::any_io_executor& executor, const std::string& host, std::uint16_t port,
                                    ListenerPtr listener)
{
    detail::Resolver::look_up(executor, host, port, std::move(listener));
}

} // namespace khive::inline KHIVE_ABI::net

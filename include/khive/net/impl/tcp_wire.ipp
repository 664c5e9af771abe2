// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/net/tcp_wire.hpp>

#include <boost/asio/detail/config.hpp>
#include <boost/asio/version.hpp>

#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

/// Define KHIVE_ASIO_SOCKETS to have Asio's own sockets everywhere. They are used without it too where Asio has no epoll, and with
/// versions of it whose reactor `EpollWire` has not been tried with: the fast one is for Boost 1.81 to 1.83.
#if !defined(KHIVE_ASIO_SOCKETS) && defined(BOOST_ASIO_HAS_EPOLL) && !defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT) &&        \
    !defined(BOOST_ASIO_ENABLE_HANDLER_TRACKING) && BOOST_ASIO_VERSION >= 102600 && BOOST_ASIO_VERSION < 102900
#include <khive/net/impl/epoll_wire.ipp>
#define KHIVE_EPOLL_WIRE 1
#else
#include <khive/net/impl/asio_wire.ipp>
#endif

namespace khive::inline KHIVE_ABI::net {
namespace detail {

#if defined(KHIVE_EPOLL_WIRE)
using TcpWire = EpollWire;
#else
using TcpWire = AsioWire;
#endif

inline Endpoints endpoints_of(const asio::ip::tcp::resolver::results_type& results)
{
    Endpoints found;
    for (const auto& entry : results) found.push_back(entry.endpoint());
    return found;
}

} // namespace detail

KHIVE_DECL TcpNetwork::TcpNetwork(asio::execution_context& context)
    : home_(std::make_shared<const detail::TcpWire::Home>(context))
{}

KHIVE_DECL std::unique_ptr<Wire> TcpNetwork::open(const asio::any_io_executor& executor)
{
    return std::make_unique<detail::TcpWire>(executor, *static_cast<const detail::TcpWire::Home*>(home_.get()));
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
    auto resolver = std::make_unique<asio::ip::tcp::resolver>(executor);
    auto& running = *resolver;
    running.async_resolve(host, std::to_string(port), asio::ip::tcp::resolver::numeric_service,
                          [kept = std::move(resolver), listener = std::move(listener)](
                              boost::system::error_code error, const asio::ip::tcp::resolver::results_type& results) {
                              Endpoints found;
                              try {
                                  found = detail::endpoints_of(results);
                              } catch (const std::bad_alloc&) {
                                  error = make_error_code(boost::system::errc::not_enough_memory);
                              }
                              listener->on_resolved(error, std::move(found));
                          });
}

} // namespace khive::inline KHIVE_ABI::net

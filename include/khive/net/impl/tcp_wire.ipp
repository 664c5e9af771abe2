// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/impl/has_epoll.hpp>
#include <khive/net/tcp_wire.hpp>

#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

#if defined(KHIVE_EPOLL)
#include <khive/net/impl/epoll_wire.ipp>
#else
#include <khive/net/impl/asio_wire.ipp>
#endif

namespace khive::inline KHIVE_ABI::net {
namespace detail {

#if defined(KHIVE_EPOLL)
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

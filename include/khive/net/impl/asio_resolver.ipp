// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/net/wire.hpp>

#include <boost/asio/ip/tcp.hpp>

#include <memory>
#include <new>
#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI::net::detail {

/// Asks the system's resolver by way of Asio's.
class Resolver {
public:
    static void look_up(const asio::any_io_executor& executor, const std::string& host, std::uint16_t port,
                        ListenerPtr listener)
    {
        auto resolver = std::make_unique<asio::ip::tcp::resolver>(executor);
        auto& running = *resolver;
        running.async_resolve(host, std::to_string(port), asio::ip::tcp::resolver::numeric_service,
                              [kept = std::move(resolver), listener = std::move(listener)](
                                  boost::system::error_code error, const asio::ip::tcp::resolver::results_type& results) {
                                  Endpoints found;
                                  try {
                                      for (const auto& entry : results) found.push_back(Endpoint(*entry.endpoint().data()));
                                  } catch (const std::bad_alloc&) {
                                      error = make_error_code(boost::system::errc::not_enough_memory);
                                  }
                                  listener->on_resolved(error, std::move(found));
                              });
    }
};

} // namespace khive::inline KHIVE_ABI::net::detail

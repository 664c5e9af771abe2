// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/net/wire.hpp>

#include <memory>

namespace khive::inline KHIVE_ABI::net {

/// Wires over TCP sockets, addresses from the system's resolver. TCP_NODELAY is set before a write that Nagle's algorithm
/// could hold back, TCP keep-alive before a wait that may be long.
class TcpNetwork final : public Network {
public:
    /// For executors of that context.
    KHIVE_COLD_DECL explicit TcpNetwork(asio::execution_context& context);
    KHIVE_COLD_DECL WirePtr open(const asio::any_io_executor& executor) override;
    [[nodiscard]] KHIVE_COLD_DECL bool literal(const std::string& host, std::uint16_t port, Endpoint& endpoint) const override;
    KHIVE_COLD_DECL void resolve(const asio::any_io_executor& executor, const std::string& host, std::uint16_t port,
                            ListenerPtr listener) override;

private:
    std::shared_ptr<void> home_; ///< what wires find in their context
};

} // namespace khive::inline KHIVE_ABI::net

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/net/impl/tcp_wire.ipp>
#include <khive/net/impl/wire.ipp>
#endif

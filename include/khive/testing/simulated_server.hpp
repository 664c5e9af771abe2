// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/time.hpp>
#include <khive/net/wire.hpp>
#include <khive/testing/config.hpp>
#include <khive/testing/reply.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace khive::inline KHIVE_ABI::testing {
namespace detail {
class EventQueue;
class SimulatedLink;
} // namespace detail

/// The server's end of one simulated connection. What it is told to do happens in that order: `pause` delays all that
/// follows, and nothing overtakes.
///
/// ```cpp
/// peer.send("HTTP/1.1 200 OK\r\nContent-Le").pause(5s).reset();
/// ```
///
/// - Lifetime: a handle; works, without effect, after the connection has ended.
class SimulatedPeer {
public:
    KHIVE_TESTING_DECL explicit SimulatedPeer(const std::shared_ptr<detail::SimulatedLink>& link);

    /// Which connection of the network this is, counted from 1.
    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    [[nodiscard]] const net::Endpoint& endpoint() const noexcept { return endpoint_; }
    [[nodiscard]] KHIVE_TESTING_DECL TimePoint now() const noexcept;
    /// Neither side has closed or reset it.
    [[nodiscard]] KHIVE_TESTING_DECL bool is_open() const noexcept;

    KHIVE_TESTING_DECL SimulatedPeer& send(std::string bytes);
    /// Waits before whatever is said next.
    KHIVE_TESTING_DECL SimulatedPeer& pause(Duration duration);
    /// Says that nothing more will be sent (FIN), and goes on reading.
    KHIVE_TESTING_DECL SimulatedPeer& end();
    /// Ends both directions; bytes that come afterwards are answered with a reset.
    KHIVE_TESTING_DECL SimulatedPeer& close();
    /// Breaks the connection (RST).
    KHIVE_TESTING_DECL SimulatedPeer& reset();
    /// Does the actions one after the other.
    KHIVE_TESTING_DECL SimulatedPeer& perform(const std::vector<PeerAction>& actions);

    /// Takes no more bytes: with a send window, the client's writes stall.
    KHIVE_TESTING_DECL SimulatedPeer& stop_reading();
    KHIVE_TESTING_DECL SimulatedPeer& resume_reading();
    /// Calls `then` in `duration`, unless the context ends before.
    KHIVE_TESTING_DECL void after(Duration duration, std::function<void(SimulatedPeer)> then) const;

private:
    KHIVE_TESTING_DECL SimulatedPeer& act(PeerAction action);

    std::shared_ptr<detail::EventQueue> queue_;
    std::weak_ptr<detail::SimulatedLink> link_; // which owns the server, which may keep this
    std::uint64_t id_;
    net::Endpoint endpoint_;
};

/// How the far side of a simulated connection behaves. Called from handlers of the network's executor; an exception comes
/// out where the context is run.
class SimulatedServer {
public:
    virtual ~SimulatedServer() = default;
    virtual void on_connection(SimulatedPeer /*peer*/) {}
    /// Bytes have arrived.
    virtual void on_bytes(SimulatedPeer peer, std::string_view bytes) = 0;
    /// The client has closed the connection, or gone; not called for one that this side has closed or reset before.
    virtual void on_end(SimulatedPeer /*peer*/) {}
};

/// A server of one function, called with the bytes as they arrive.
class SimulatedServerFunction final : public SimulatedServer {
public:
    using Function = std::function<void(SimulatedPeer, std::string_view)>;

    explicit SimulatedServerFunction(Function function) : function_(std::move(function)) {}
    void on_bytes(SimulatedPeer peer, std::string_view bytes) override { function_(std::move(peer), bytes); }

private:
    Function function_;
};

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/simulated_server.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/net/wire.hpp>
#include <khive/testing/simulated_address.hpp>
#include <khive/testing/simulated_host.hpp>
#include <khive/testing/simulated_server.hpp>
#include <khive/testing/virtual_time.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

namespace khive::inline KHIVE_ABI::testing {

/// A network inside one `VirtualTime`: names, addresses, connections, and what goes wrong with them.
///
/// Every connection that khive opens on that context goes through it, so the whole client (pool, timeouts, policies) runs
/// in one thread and in no real time. The same test gives the same run, event for event; `shuffle` gives another one for
/// each seed.
/// ```cpp
/// testing::VirtualTime time;
/// auto network = testing::SimulatedNetwork::install(time);
/// auto server = std::make_shared<testing::ScriptedServer>(testing::too_many_requests(90s), testing::ok());
/// network->serve("api.test", 80, server).latency(20ms);
/// ```
///
/// - Lifetime: shared by the context and the test. Pending operations are let go of when the context ends.
/// - Thread safety: none; it lives in the one thread of its context.
class SimulatedNetwork final : public net::Network {
public:
    /// Makes one and installs it in the context of `time`.
    [[nodiscard]] KHIVE_TESTING_DECL static std::shared_ptr<SimulatedNetwork> install(VirtualTime& time);
    KHIVE_TESTING_DECL explicit SimulatedNetwork(const asio::any_io_executor& executor);

    /// Lets `server` have the connections to `host` on `port`. A name without addresses gets one. Returns the first address.
    KHIVE_TESTING_DECL SimulatedAddress& serve(const std::string& host, std::uint16_t port,
                                               std::shared_ptr<SimulatedServer> server);
    /// A name; unknown ones are not found.
    [[nodiscard]] KHIVE_TESTING_DECL SimulatedHost& host(const std::string& name);
    /// An address; unknown ones refuse.
    [[nodiscard]] KHIVE_TESTING_DECL SimulatedAddress& address(const net::Endpoint& endpoint);
    [[nodiscard]] KHIVE_TESTING_DECL SimulatedAddress& address(const std::string& ip, std::uint16_t port);
    /// What is due at one time happens in an order that `seed` decides, and jitter comes to life.
    KHIVE_TESTING_DECL void shuffle(std::uint64_t seed);

    /// How many connections have been attempted.
    [[nodiscard]] KHIVE_TESTING_DECL std::size_t connects() const noexcept;
    /// How many accepted connections the client has not closed.
    [[nodiscard]] KHIVE_TESTING_DECL std::size_t open_connections() const;

    KHIVE_TESTING_DECL net::WirePtr open(const asio::any_io_executor& executor) override;
    /// An address takes no look-up, unless it has been set up as a `host`.
    [[nodiscard]] KHIVE_TESTING_DECL bool literal(const std::string& host, std::uint16_t port,
                                                  net::Endpoint& endpoint) const override;
    KHIVE_TESTING_DECL void resolve(const asio::any_io_executor& executor, const std::string& host, std::uint16_t port,
                                    net::ListenerPtr listener) override;

private:
    struct World;

    std::shared_ptr<World> world_;
    std::map<std::string, SimulatedHost> hosts_;
    unsigned next_ip_ = 0;
};

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/simulated_network.ipp>
#endif

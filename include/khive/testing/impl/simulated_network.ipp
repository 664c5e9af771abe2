// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/detail/simulated_link.hpp>
#include <khive/testing/simulated_network.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include <functional>
#include <utility>

namespace khive::inline KHIVE_ABI::testing {

/// What the wires share, which may outlive the network.
struct SimulatedNetwork::World {
    explicit World(const asio::any_io_executor& executor) : queue(std::make_shared<detail::EventQueue>(executor)) {}

    [[nodiscard]] const std::shared_ptr<SimulatedAddress>& find(const net::Endpoint& endpoint);
    [[nodiscard]] std::shared_ptr<detail::SimulatedLink> dial(const net::Endpoint& endpoint,
                                                              const asio::any_io_executor& executor);

    std::shared_ptr<detail::EventQueue> queue;
    std::map<std::string, std::shared_ptr<SimulatedAddress>> addresses; ///< by what their endpoints print
    std::uint64_t connects = 0;
};

namespace detail {

inline net::Endpoint to_endpoint(const asio::ip::address& ip, std::uint16_t port)
{
    return net::Endpoint(*asio::ip::tcp::endpoint(ip, port).data());
}

/// The client's end of simulated connections: each `connect` begins a new one.
class SimulatedWire final : public net::Wire {
public:
    /// Makes the connection to an address.
    using Dial = std::function<std::shared_ptr<SimulatedLink>(const net::Endpoint&)>;

    SimulatedWire(asio::any_io_executor executor, Dial dial) : executor_(std::move(executor)), dial_(std::move(dial)) {}
    ~SimulatedWire() override { SimulatedWire::close(); }

    bool connect(const net::Endpoint& endpoint, net::ListenerPtr listener) override
    {
        close();
        link_ = dial_(endpoint);
        return link_->connect(std::move(listener));
    }

    void read_some(net::ListenerPtr listener, net::Look look) override
    {
        if (link_) return link_->read_some(std::move(listener), look);
        refuse(std::move(listener), [](net::WireListener& l) { l.on_read(asio::error::bad_descriptor, 0); });
    }

    void write_some(const net::WriteBuffers& from, net::ListenerPtr listener) override
    {
        if (link_) return link_->write_some(from, std::move(listener));
        refuse(std::move(listener), [](net::WireListener& l) { l.on_written(asio::error::bad_descriptor, 0); });
    }

    void wait_readable(net::ListenerPtr listener) override
    {
        if (link_) return link_->wait_readable(std::move(listener));
        refuse(std::move(listener), [](net::WireListener& l) { l.on_readable(asio::error::bad_descriptor); });
    }

    std::size_t try_read(std::span<char> into, const net::ListenerPtr&, boost::system::error_code& error) override
    {
        return link_ ? link_->try_read(into, error) : 0;
    }

    void look_again() noexcept override
    {
        if (link_) link_->look_again();
    }

    std::size_t try_write(const net::WriteBuffers& from, boost::system::error_code& error) noexcept override
    {
        if (link_) return link_->try_write(from, error);
        error = asio::error::bad_descriptor;
        return 0;
    }
    bool readable_now() noexcept override { return !link_ || link_->readable_now(); }

    void cancel() noexcept override
    {
        if (link_) link_->cancel();
    }

    void close() noexcept override
    {
        if (const auto link = std::exchange(link_, nullptr)) link->close();
    }

private:
    template <class Call>
    void refuse(net::ListenerPtr listener, Call call)
    {
        asio::post(executor_, ToldLater<Call>(std::move(listener), std::move(call)));
    }

    asio::any_io_executor executor_;
    Dial dial_;
    std::shared_ptr<SimulatedLink> link_;
};

} // namespace detail

KHIVE_TESTING_DECL std::shared_ptr<SimulatedNetwork> SimulatedNetwork::install(VirtualTime& time)
{
    auto network = std::make_shared<SimulatedNetwork>(time.executor());
    net::network_service(time.executor()).install(network);
    return network;
}

inline const std::shared_ptr<SimulatedAddress>& SimulatedNetwork::World::find(const net::Endpoint& endpoint)
{
    auto& there = addresses[endpoint.peer().to_string()];
    if (!there) there = std::make_shared<SimulatedAddress>();
    return there;
}

inline std::shared_ptr<detail::SimulatedLink> SimulatedNetwork::World::dial(const net::Endpoint& endpoint,
                                                                            const asio::any_io_executor& executor)
{
    auto link = std::make_shared<detail::SimulatedLink>(queue, find(endpoint), endpoint, executor, ++connects);
    queue->watch(link);
    return link;
}

KHIVE_TESTING_DECL SimulatedNetwork::SimulatedNetwork(const asio::any_io_executor& executor)
    : world_(std::make_shared<World>(executor))
{}

KHIVE_TESTING_DECL void SimulatedNetwork::shuffle(std::uint64_t seed)
{
    world_->queue->shuffle(seed);
}

KHIVE_TESTING_DECL std::size_t SimulatedNetwork::connects() const noexcept
{
    return static_cast<std::size_t>(world_->connects);
}

KHIVE_TESTING_DECL SimulatedAddress& SimulatedNetwork::serve(const std::string& name, std::uint16_t port,
                                                             std::shared_ptr<SimulatedServer> server)
{
    SimulatedHost& there = host(name);
    if (there.addresses_.empty()) there.addresses({"10.0.0." + std::to_string(++next_ip_)});
    for (const auto& ip : there.addresses_) address(detail::to_endpoint(ip, port)).serve(server);
    return address(detail::to_endpoint(there.addresses_.front(), port));
}

KHIVE_TESTING_DECL SimulatedHost& SimulatedNetwork::host(const std::string& name)
{
    return hosts_[name];
}

KHIVE_TESTING_DECL SimulatedAddress& SimulatedNetwork::address(const net::Endpoint& endpoint)
{
    return *world_->find(endpoint);
}

KHIVE_TESTING_DECL SimulatedAddress& SimulatedNetwork::address(const std::string& ip, std::uint16_t port)
{
    return address(detail::to_endpoint(asio::ip::make_address(ip), port));
}

KHIVE_TESTING_DECL std::size_t SimulatedNetwork::open_connections() const
{
    std::size_t open = 0;
    for (const auto& [endpoint, there] : world_->addresses) open += there->open_connections();
    return open;
}

KHIVE_TESTING_DECL net::WirePtr SimulatedNetwork::open(const asio::any_io_executor& executor)
{
    auto dial = [world = world_, executor](const net::Endpoint& endpoint) { return world->dial(endpoint, executor); };
    return net::WirePtr(new detail::SimulatedWire(executor, std::move(dial)));
}

KHIVE_TESTING_DECL bool SimulatedNetwork::literal(const std::string& host, std::uint16_t port, net::Endpoint& endpoint) const
{
    boost::system::error_code error;
    const auto ip = asio::ip::make_address(host, error);
    if (error || hosts_.contains(host)) return false;
    endpoint = detail::to_endpoint(ip, port);
    return true;
}

KHIVE_TESTING_DECL void SimulatedNetwork::resolve(const asio::any_io_executor& executor, const std::string& name,
                                                  std::uint16_t port, net::ListenerPtr listener)
{
    boost::system::error_code not_literal;
    (void)asio::ip::make_address(name, not_literal);
    SimulatedHost& there = host(name);
    if (!not_literal) there.addresses({name});
    ++there.lookups_;
    net::Endpoints found;
    if (!there.error_)
        for (const auto& ip : there.addresses_) found.push_back(detail::to_endpoint(ip, port));
    auto answer = [executor, listener = std::move(listener), error = there.error_, found = std::move(found)] {
        asio::post(executor, [listener, error, found] { listener->on_resolved(error, found); });
    };
    world_->queue->at(saturating_add(world_->queue->now(), there.delay_), std::move(answer));
}

} // namespace khive::inline KHIVE_ABI::testing

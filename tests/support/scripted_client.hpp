// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/async_api_client.hpp>
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/testing/scripted_server.hpp>
#include <khive/testing/simulated_network.hpp>
#include <khive/testing/virtual_time.hpp>

#include <boost/asio/awaitable.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>

namespace khive_tests {

namespace asio = boost::asio;

/// A network with one server, `api.test`, which answers from a script.
struct ScriptedWorld {
    explicit ScriptedWorld(khive::testing::VirtualTime& time, std::initializer_list<khive::testing::Reply> replies = {})
        : network(khive::testing::SimulatedNetwork::install(time)), server(std::make_shared<khive::testing::ScriptedServer>()),
          address(&network->serve("api.test", 80, server))
    {
        for (const auto& reply : replies) server->reply(reply);
    }

    std::shared_ptr<khive::testing::SimulatedNetwork> network;
    std::shared_ptr<khive::testing::ScriptedServer> server;
    khive::testing::SimulatedAddress* address;
};

/// A client of that server, and the way to look behind it.
template <class... Policies>
class ScriptedClient : public khive::AsyncAPIClient<Policies...> {
public:
    ScriptedClient(const ScriptedWorld& world, khive::testing::VirtualTime& time, khive::ClientOptions options,
                   Policies... policies)
        : khive::AsyncAPIClient<Policies...>(time.executor(), std::move(options), std::move(policies)...), world_(world)
    {
    }

    [[nodiscard]] khive::testing::ScriptedServer& server() const { return *world_.server; }
    [[nodiscard]] khive::testing::SimulatedAddress& address() const { return *world_.address; }
    [[nodiscard]] khive::testing::SimulatedNetwork& network() const { return *world_.network; }
    /// What the server has received.
    [[nodiscard]] const khive::testing::ReceivedRequest& received(std::size_t index = 0) const
    {
        return world_.server->requests().at(index);
    }

private:
    ScriptedWorld world_;
};

/// A client with these policies whose server gives `replies`, or `ok()` to everything if there are none.
template <class... Policies>
ScriptedClient<Policies...> scripted_client(khive::testing::VirtualTime& time,
                                            std::initializer_list<khive::testing::Reply> replies, khive::ClientOptions options,
                                            Policies... policies)
{
    const ScriptedWorld world(time, replies);
    return ScriptedClient<Policies...>(world, time, std::move(options), std::move(policies)...);
}

/// For that server, with all the time in the world.
inline khive::ClientOptions patient()
{
    khive::ClientOptions options("http://api.test");
    options.timeouts({.total = khive::unlimited});
    return options;
}

/// Retries without chance: 500 ms, 1 s, 2 s, and exactly what the server asks for.
inline khive::RetryWithBackoff exact_retry(unsigned max_attempts = 3)
{
    return khive::RetryWithBackoff{{.max_attempts = max_attempts, .jitter = khive::Jitter::none}};
}

/// The usual one: three exact attempts, all the time in the world.
inline ScriptedClient<khive::RetryWithBackoff> scripted_client(khive::testing::VirtualTime& time,
                                                               std::initializer_list<khive::testing::Reply> replies = {})
{
    return scripted_client(time, replies, patient(), exact_retry());
}

inline asio::awaitable<std::string> text_of(asio::awaitable<khive::Response> sending)
{
    const khive::Response response = co_await std::move(sending);
    co_return response.text();
}

inline asio::awaitable<std::string> name_in(asio::awaitable<nlohmann::json> reading)
{
    const nlohmann::json read = co_await std::move(reading);
    co_return read.at("name").get<std::string>();
}

/// Runs one handler, or lets time jump to what is due next; false if nothing is left to happen.
inline bool step(khive::testing::VirtualTime& time)
{
    time.context().restart();
    if (time.context().poll_one() != 0) return true;
    const auto due = time.service().next_due();
    if (!due) return false;
    time.service().advance_to(std::max(*due, time.now()));
    return true;
}

} // namespace khive_tests

// SPDX-License-Identifier: BSL-1.0
// Testing code that uses khive: the whole client on a simulated network and on virtual time. An hour's wait takes no time.

#include <khive/client/json.hpp>
#include <khive/khive.hpp>
#include <khive/testing/scripted_server.hpp>
#include <khive/testing/simulated_network.hpp>
#include <khive/testing/virtual_time.hpp>

#include <chrono>
#include <iostream>
#include <memory>
#include <stdexcept>

namespace asio = boost::asio;
namespace testing = khive::testing;
using namespace std::chrono_literals;

// The code under test: it takes a client, so a test can give it one.
asio::awaitable<double> price_of(khive::AnyAPIClient api, int item)
{
    const auto json = co_await api.get("/items/{}", item).as<nlohmann::json>();
    co_return json.at("price").get<double>();
}

namespace {

void check(bool good, const char* what)
{
    std::cout << (good ? "ok: " : "failed: ") << what << '\n';
    if (!good) throw std::logic_error(what);
}

} // namespace

int main()
{
    testing::VirtualTime time;
    auto network = testing::SimulatedNetwork::install(time);
    auto server = std::make_shared<testing::ScriptedServer>(testing::too_many_requests(90s), // asks for a minute and a half,
                                                            testing::reset(),                // breaks the connection,
                                                            testing::ok_json(R"({"price": 9.5})"));
    network->serve("shop.test", 80, server).latency(20ms);

    const khive::RetryOptions retry{.max_attempts = 3, .base_delay = 1s, .jitter = khive::Jitter::none};
    khive::ClientOptions options("http://shop.test");
    options.timeouts({.total = 5min});
    const khive::AsyncAPIClient api(time.context(), options, khive::RetryWithBackoff(retry));

    const double price = time.run(price_of(api, 7));

    check(price == 9.5, "the third answer counts");
    check(server->requests().at(0).target == "/items/7", "it asks for the item");
    check(time.elapsed() >= 92s && time.elapsed() < 93s, "it waits as long as it is asked to, then its own two seconds");

    // What a caller sees when the network is gone.
    network->host("shop.test").fail();
    const khive::AsyncAPIClient offline(time.context(), "http://shop.test");
    const auto result = time.run(offline.get("/items/7").try_send());
    check(result.error().kind() == khive::ErrorKind::resolve, "the name is not found");
}

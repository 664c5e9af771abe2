// SPDX-License-Identifier: BSL-1.0
// One call through all four policies, decoded into a type of one's own.

#include <khive/testing/fault_server.hpp>

// [readme]
#include <khive/client/json.hpp>
#include <khive/khive.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;

std::string base_url = "https://api.example.com";

struct User { std::string name; int id; };
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(User, name, id)

asio::awaitable<void> greet(khive::AnyAPIClient api)
{
    const auto user = co_await api.get("/users/{}", 42).query("expand", "teams").timeout(2s).as<User>();
    std::cout << "hello " << user.name << '\n';
}

int main()
{
    asio::io_context io;
    khive::AsyncAPIClient api{io, base_url,
                              khive::TokenBucketRateLimiter{{.rate = 20, .burst = 40}},
                              khive::AsyncExecutor{{.max_concurrency = 64}},
                              khive::CircuitBreaker{{.open_for = 15s}},
                              khive::RetryWithBackoff{{.max_attempts = 4}}};
    asio::co_spawn(io, greet(api), [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    });
    io.run();
}
// [/readme]

namespace {

khive::testing::Reply answer(const khive::testing::ReceivedRequest& request)
{
    return request.target == "/users/42?expand=teams" ? khive::testing::ok_json(R"({"name": "Ann", "id": 42})")
                                                      : khive::testing::status(404);
}

/// Takes the place of https://api.example.com before `main` begins, so that this runs without a network.
struct StandIn {
    StandIn() { base_url = server.url(); }
    khive::testing::FaultServer server{answer};
} stand_in;

} // namespace

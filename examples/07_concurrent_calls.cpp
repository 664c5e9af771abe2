// SPDX-License-Identifier: BSL-1.0
// Many calls at once: map() keeps the order of its items and pulls the next only when there is a slot for it.

#include <khive/client/json.hpp>
#include <khive/khive.hpp>
#include <khive/testing/fault_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <chrono>
#include <exception>
#include <iostream>
#include <ranges>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace asio = boost::asio;
namespace testing = khive::testing;
using namespace std::chrono_literals;

struct User {
    int id = 0;
    std::string name;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(User, id, name)

namespace {

testing::Reply answer(const testing::ReceivedRequest& request)
{
    const auto id = request.path().substr(request.path().rfind('/') + 1);
    if (id == "13") return testing::status(404);
    return testing::ok_json(R"({"id": )" + id + R"(, "name": "user )" + id + "\"}").after(5ms);
}

asio::awaitable<User> fetch(khive::AnyAPIClient api, int id)
{
    return api.get("/users/{}", id).as<User>();
}

asio::awaitable<void> run(khive::AnyAPIClient api)
{
    using namespace asio::experimental::awaitable_operators;
    khive::AsyncExecutor executor{{.max_concurrency = 8}};
    const auto fetch_one = [api](int id) { return fetch(api, id); };

    // All or nothing: the first failure cancels the rest and is thrown. Items may come from any range, also an endless lazy one.
    const std::vector<User> users = co_await executor.map(std::views::iota(100, 150), fetch_one);
    std::cout << users.size() << " users, the last is " << users.back().name << '\n';

    // Whatever can be had: a value or an exception for each.
    const auto settled = co_await executor.map(std::views::iota(10, 20), fetch_one, khive::MapMode::collect);
    const auto found = std::ranges::count_if(settled, [](const auto& user) { return user.has_value(); });
    std::cout << found << " of " << settled.size() << " users found\n";
    if (found != 9) throw std::logic_error("only user 13 is missing");

    // Two different things at once, with Asio's own operator.
    auto both = fetch(api, 1) && fetch(api, 2);
    const auto pair = co_await std::move(both);
    std::cout << std::get<0>(pair).name << " and " << std::get<1>(pair).name << '\n';
}

} // namespace

int main()
{
    testing::FaultServer server(answer);
    asio::io_context io;
    const khive::AsyncAPIClient api(io, server.url());
    asio::co_spawn(io, run(api), [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    });
    io.run();
}

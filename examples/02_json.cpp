// SPDX-License-Identifier: BSL-1.0
// JSON out and in: types of one's own, JSON without a type, and what happens when an answer does not fit.

#include <khive/client/json.hpp>
#include <khive/khive.hpp>
#include <khive/testing/fault_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>
#include <vector>

namespace asio = boost::asio;
namespace testing = khive::testing;

struct Item {
    std::string name;
    int quantity = 1;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Item, name, quantity)

struct Order {
    int id = 0;
    std::vector<Item> items;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Order, id, items)

namespace {

testing::Reply answer(const testing::ReceivedRequest& request)
{
    if (request.method == "POST") return testing::Reply(201, R"({"id": 7, "items": )" + request.body + "}");
    if (request.path() == "/orders/7") return testing::ok_json(R"({"id": 7, "note": "fragile", "items": []})");
    return testing::ok("<html>not what you asked for</html>");
}

asio::awaitable<void> run(khive::AnyAPIClient api)
{
    // A body made from a value, an answer decoded into one.
    const std::vector<Item> items{{"tea", 2}, {"cup", 4}};
    const auto order = co_await api.post("/orders").json(items).as<Order>();
    std::cout << "order " << order.id << " with " << order.items.size() << " items\n";

    // JSON without a type.
    const auto json = co_await api.get("/orders/{}", order.id).as<nlohmann::json>();
    std::cout << "note: " << json.at("note").get<std::string>() << '\n';

    // An answer that does not fit is an error with everything that is known about it.
    const auto none = co_await api.get("/orders/8").try_as<Order>();
    if (none.has_value() || none.error().kind() != khive::ErrorKind::decode) throw std::runtime_error("that was no order");
    std::cout << none.error().message() << '\n';

    // The text itself.
    const auto text = co_await api.get("/orders/8").as<std::string>();
    std::cout << text.size() << " bytes of text\n";
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

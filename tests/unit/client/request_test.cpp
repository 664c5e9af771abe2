// SPDX-License-Identifier: BSL-1.0
#include <khive/client/request.hpp>

#include <khive/client/json.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

using namespace khive;
using namespace khive::testing;
using namespace khive_tests;

TEST_CASE("Request: is a value that is sent as often as one likes and stays as it was", "[client][CL-4][RT-4]")
{
    VirtualTime time;
    auto api = scripted_client(time);
    Request request("POST", "/orders/{}", 7);
    request.query("dry", true).header("X-A", "1").json(std::map<std::string, int>{{"n", 1}});

    (void)time.run(api.call(request));
    (void)time.run(api.try_call(request));
    (void)time.run(api.call(std::move(request)));

    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(api.received(i).method == "POST");
        CHECK(api.received(i).target == "/orders/7?dry=true");
        CHECK(api.received(i).headers.get("X-A") == "1");
        CHECK(api.received(i).body == R"({"n":1})");
    }
}

TEST_CASE("Request: is GET / where nothing is said", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    (void)time.run(api.call(Request{}));

    CHECK(api.received().method == "GET");
    CHECK(api.received().target == "/");
}

TEST_CASE("Request: keeps its mistake with it", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);
    const Request request("GET", "/{}");

    CHECK(time.run(api.try_call(request)).error().kind() == ErrorKind::invalid_argument);
    CHECK(time.run(api.try_call(request)).error().kind() == ErrorKind::invalid_argument);
    CHECK(api.server().connections() == 0);
}

TEST_CASE("Request: a copy does not share", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);
    const Request plain("GET", "/a");
    Request changed = plain;
    changed.query("b", 1);

    (void)time.run(api.call(plain));
    (void)time.run(api.call(changed));

    CHECK(api.received(0).target == "/a");
    CHECK(api.received(1).target == "/a?b=1");
}

// SPDX-License-Identifier: BSL-1.0
#include <khive/client/request.hpp>

#include <khive/client/json.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <limits>
#include <optional>

namespace khive_tests::request_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::VirtualTime;

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

TEST_CASE("Request: each is its own, however like the one before", "[client][CL-4]")
{
    VirtualTime time;
    ClientOptions options("http://api.test/v1");
    auto api = scripted_client(time, {}, options);
    struct Line {
        std::string method, path, query;
    };
    const std::vector<Line> all = {{"GET", "/a", ""},  {"GET", "/a", ""},  {"GET", "/a", "k"}, {"GET", "/a", ""},  {"GET", "/ab", ""},
                                   {"GET", "/b", ""},  {"GE", "/b", ""},   {"GETX", "/b", ""}, {"HEAD", "/b", ""}, {"DELETE", "/b", ""},
                                   {"GET", "/b", ""},  {"PUT", "/b", ""},  {"GET", "/b", ""},  {"GET", "/", ""},   {"GET", "", ""},
                                   {"GET", "/b?c", ""}, {"GET", "/b", "c"}, {"GET", "/b", ""}};

    for (const Line& line : all) {
        auto request = api.request(line.method, line.path);
        if (!line.query.empty()) request.query(line.query, 1);
        (void)time.run(std::move(request).try_send());
    }

    for (std::size_t i = 0; i < all.size(); ++i) {
        CHECK(api.received(i).method == all[i].method);
        CHECK(api.received(i).target == "/v1" + all[i].path + (all[i].query.empty() ? "" : "?" + all[i].query + "=1"));
    }
}

TEST_CASE("Request: one with a header or a body leaves nothing to the next, nor does a refused one", "[client][CL-4]")
{
    VirtualTime time;
    ClientOptions options("http://api.test");
    auto api = scripted_client(time, {}, options);

    (void)time.run(api.get("/a").send());
    (void)time.run(api.get("/a").header("X-A", "1").send());
    (void)time.run(api.get("/a").send());
    (void)time.run(api.request("GET", "/a").body("text").send());
    (void)time.run(api.get("/a").send());
    CHECK_FALSE(time.run(api.get("/a\r\nX: y").try_send()).has_value());
    CHECK(time.run(api.get("/a").timeout(-std::chrono::seconds{1}).try_send()).error().url() == "http://api.test/a");
    (void)time.run(api.get("/a").send());

    for (const std::size_t i : {0u, 2u, 4u, 5u}) {
        CHECK(api.received(i).target == "/a");
        CHECK_FALSE(api.received(i).headers.contains("X-A"));
        CHECK(api.received(i).body.empty());
    }
    CHECK(api.received(1).headers.get("X-A") == "1");
    CHECK(api.received(3).body == "text");
}

TEST_CASE("Request: what was said of one does not hold for the next of the same line", "[client][CL-4]")
{
    VirtualTime time;
    auto api =
        scripted_client(time, {status(404), status(404), status(404), ok(), status(404)}, ClientOptions("http://api.test"));
    const auto fails = [&](auto&& request) { return !time.run(request.try_send()).has_value(); };

    CHECK(fails(api.get("/a")));
    CHECK_FALSE(fails(api.get("/a").raise_for_status(false)));
    CHECK(fails(api.get("/a")));
    (void)api.get("/b");
    (void)api.get("/a").raise_for_status(false);
    CHECK_FALSE(fails(api.get("/b")));
    CHECK(fails(api.get("/a", 1)));
    CHECK(fails(api.get("/{}", std::numeric_limits<double>::quiet_NaN())));
    CHECK(fails(api.get("/{}", "b")));

    CHECK(api.received(3).target == "/b");
    CHECK(api.received(4).target == "/b");
    CHECK(api.server().requests().size() == 5);
}

TEST_CASE("Request: one that was made elsewhere is as good as one of the client", "[client][CL-4]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    for (const std::string method : {"GET", "HEAD"})
        for (const std::string path : {"/a", "/a", "/b"}) {
            (void)time.run(api.request(method, path).send());
            (void)time.run(api.call(Request(method, path)));
            (void)time.run(api.call(Request(method, path).header("X-A", "1")));
        }

    for (std::size_t i = 0; i < 18; ++i) {
        CHECK(api.received(i).method == (i < 9 ? "GET" : "HEAD"));
        CHECK(api.received(i).target == (i % 9 < 6 ? "/a" : "/b"));
        CHECK(api.received(i).headers.contains("X-A") == (i % 3 == 2));
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

TEST_CASE("Request: has one body, a form or another", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    for (const auto& request : {Request("POST", "/").body("x").form("a", 1), Request("POST", "/").form("a", 1).body("x")}) {
        const auto error = time.run(api.try_call(request)).error();
        CHECK(error.kind() == ErrorKind::invalid_argument);
        CHECK_THAT(error.message(), contains("one body"));
    }
    CHECK(api.server().connections() == 0);
    (void)time.run(api.call(Request("POST", "/").body("a=1", "application/x-www-form-urlencoded").form("b", 2)));
    CHECK(api.received().body == "a=1&b=2");
}

TEST_CASE("Request: numbers and options are written where text is", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);
    const std::optional<int> nothing;

    (void)time.run(api.call(Request("POST", "/{}/{}", 52.5, true)
                                .query("lat", 0.1)
                                .query("f", 1.5F)
                                .query("g", 0.1F)
                                .form("a", 1e21)
                                .form("b", nothing)));

    CHECK(api.received().target == "/52.5/true?lat=0.1&f=1.5&g=0.1");
    CHECK(api.received().body == "a=1e%2B21");
}

TEST_CASE("Request: a number that is none is refused", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);
    const double none = std::numeric_limits<double>::quiet_NaN();
    const double endless = std::numeric_limits<double>::infinity();

    for (const auto& request :
         {Request("GET", "/{}", none), Request("GET", "/").query("a", endless), Request("GET", "/").form("a", none)})
        CHECK(time.run(api.try_call(request)).error().kind() == ErrorKind::invalid_argument);
    CHECK(api.server().connections() == 0);
}

TEST_CASE("Request: basic authentication of its own, and no user with a colon", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    (void)time.run(api.call(Request("GET", "/").basic_auth("Aladdin", Secret("open sesame"))));

    CHECK(api.received().headers.get("Authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    const auto error = time.run(api.try_call(Request("GET", "/").basic_auth("a:b", Secret("hunter2")))).error();
    CHECK(error.kind() == ErrorKind::invalid_argument);
    CHECK_THAT(error.message(), contains("colon"));
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

} // namespace khive_tests::request_test

// SPDX-License-Identifier: BSL-1.0
#include <khive/client/client_options.hpp>

#include <khive/client/json.hpp>
#include <khive/core/exceptions.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <memory>
#include <string>
#include <tuple>
#include <vector>

namespace khive_tests::client_options_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

namespace {

/// `api.test` and `other.test`, and a client of the first.
struct TwoOrigins {
    explicit TwoOrigins(ClientOptions options) : world(time), api(world, time, std::move(options))
    {
        world.network->serve("other.test", 80, other);
    }

    VirtualTime time;
    std::shared_ptr<ScriptedServer> other = std::make_shared<ScriptedServer>();
    ScriptedWorld world;
    ScriptedClient<> api;
};

} // namespace

TEST_CASE("ClientOptions: paths are appended to the base", "[client]")
{
    const auto [base, path, target] = GENERATE(table<std::string, std::string, std::string>({
        {"http://api.test", "/users", "/users"},
        {"http://api.test", "users", "/users"},
        {"http://api.test", "", "/"},
        {"http://api.test/v1", "/users", "/v1/users"},
        {"http://api.test/v1/", "/users", "/v1/users"},
        {"http://api.test/v1/", "users/", "/v1/users/"},
        {"http://api.test/v1", "", "/v1"},
        {"http://api.test/v1", "//other.test/x", "/v1/other.test/x"},
        {"http://api.test/v1", "/a/./b", "/v1/a/./b"},
        {"http://api.test/v1?key=1", "/users", "/v1/users?key=1"},
        {"http://api.test/v1?key=1&b=2", "/users?key=3", "/v1/users?b=2&key=3"},
        {"http://api.test:80/v1", "/users#part", "/v1/users"},
        {"http://API.test", "/a b", "/a%20b"},
        {"http://api.test/v1", "http://api.test/else", "/else"},
    }));
    VirtualTime time;
    auto api = scripted_client(time, {}, ClientOptions(base));

    (void)time.run(api.get(path).send());

    CHECK(api.received().target == target);
    CHECK(api.received().headers.get("Host") == "api.test");
}

TEST_CASE("ClientOptions: the quick way to make a request's head gives the same bytes as the other", "[client]")
{
    VirtualTime time;
    ClientOptions options("http://api.test/v1");
    options.header("X-A", "1").bearer(Secret("token")).user_agent("me/1");
    auto api = scripted_client(time, {}, options);

    (void)time.run(api.get("/plain").send());
    (void)time.run(api.get("/plain").header("X-A", "1").send());

    CHECK(api.received(0).target == api.received(1).target);
    CHECK(api.received(0).headers.size() == api.received(1).headers.size());
    for (const auto field : api.received(0).headers) CHECK(api.received(1).headers.get(field.name) == field.value);
}

TEST_CASE("ClientOptions: so does the quick way of a request with a body, whatever was sent before", "[client]")
{
    const std::vector<Request> requests{
        Request("POST", "/a"),
        Request("POST", "/a").body("12345"),
        Request("POST", "/a").body("1234567890", " text/plain\t"),
        Request("POST", "/a").body("", ""),
        Request("POST", "/a").body("x", " "),
        Request("POST", "/a").form("k", "v w").form("n", 2),
        Request("POST", "/a").json(std::vector<int>{1, 2}).query("q", "1 2"),
        Request("POST", "/a").body("x").replay_safe(true),
        Request("PUT", "/a").body("12345"),
        Request("PATCH", "/b").json(nullptr),
        Request("DELETE", "/a").body("12345"),
        Request("GET", "/a").body("12345"),
        Request("GET", "/a"),
    };
    const auto extra = GENERATE(table<std::string, std::string>({{"X-Extra", "1"},
                                                                 {"Content-Type", "text/x-default"},
                                                                 {"Content-Length", ""},
                                                                 {"Idempotency-Key", "k"},
                                                                 {"Connection", "close"},
                                                                 {"Host", "other.test"}}));
    VirtualTime time;
    ClientOptions options("http://api.test/v1");
    options.header(std::get<0>(extra), std::get<1>(extra)).header("X-Last", "1");
    auto api = scripted_client(time, {}, options);
    const auto sent = [&](Request request) {
        const std::size_t before = api.server().requests().size();
        const auto response = time.run(api.try_call(std::move(request)));
        if (!response) return "nothing: " + response.error().message();
        const ReceivedRequest& received = api.received(before);
        return received.method + " " + received.target + "\r\n" + received.headers.lines() + "\r\n" + received.body;
    };
    std::vector<std::string> bytes; // the slow way, which a header of the request's own takes
    for (const Request& request : requests) bytes.push_back(sent(Request(request).header("X-Last", "1")));

    for (std::size_t first = 0; first < requests.size(); ++first) {
        for (std::size_t second = 0; second < requests.size(); ++second) {
            INFO("the default " << std::get<0>(extra) << ", request " << second << " after " << first);
            CHECK(sent(requests[first]) == bytes[first]);
            CHECK(sent(requests[second]) == bytes[second]);
        }
    }
}

TEST_CASE("ClientOptions: a body's request is sent again where its method, the client or the caller says that it may",
          "[client]")
{
    const auto [method, key, said, attempts] = GENERATE(table<std::string, bool, bool, std::size_t>({
        {"POST", false, false, 1},
        {"PUT", false, false, 2},
        {"POST", true, false, 2},
        {"POST", false, true, 2},
    }));
    VirtualTime time;
    ClientOptions options("http://api.test");
    if (key) options.header("Idempotency-Key", "k");
    auto api = scripted_client(time, {ok(), status(503), ok()}, options, exact_retry());
    (void)time.run(api.call(Request(method, "/a").body("1")));
    Request request = Request(method, "/a").body("1");
    if (said) request.replay_safe(true);

    (void)time.run(api.try_call(std::move(request)));

    CHECK(api.server().requests().size() == 1 + attempts);
}

TEST_CASE("ClientOptions: bad URLs are refused at once, without the secrets in them", "[client]")
{
    const std::string url = GENERATE("", "api.test", "ftp://api.test", "http://", "http://user:hunter2@:80/", "http://a b/",
                                     "http://api.test:99999/", "http://user:hunter2@api.test\r\n/");

    try {
        const ClientOptions options(url);
        FAIL("accepted " << url);
    } catch (const InvalidURLError& error) {
        CHECK(error.error().kind() == ErrorKind::invalid_url);
        CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
    }
}

TEST_CASE("ClientOptions: every request says who asks", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time, {}, ClientOptions("http://api.test"));

    (void)time.run(api.get("/").send());

    CHECK(api.received().headers.get_or("User-Agent", "").substr(0, 6) == "khive/");
    CHECK(api.received().headers.get("Accept") == "*/*");
}

TEST_CASE("ClientOptions: bearer, basic and secret headers go to the base's origin", "[client][auth]")
{
    VirtualTime time;
    ClientOptions bearer("http://api.test");
    bearer.bearer(Secret("t0ken")).secret_header("X-Api-Key", Secret("k3y"));
    auto with_bearer = scripted_client(time, {}, bearer);
    (void)time.run(with_bearer.get("/").send());
    CHECK(with_bearer.received().headers.get("Authorization") == "Bearer t0ken");
    CHECK(with_bearer.received().headers.get("X-Api-Key") == "k3y");

    ClientOptions basic("http://api.test");
    basic.basic_auth("Aladdin", Secret("open sesame"));
    auto with_basic = scripted_client(time, {}, basic);
    (void)time.run(with_basic.get("/").send());
    CHECK(with_basic.received().headers.get("Authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

TEST_CASE("ClientOptions: user and password of the base become basic authentication and are in no target", "[client][auth]")
{
    VirtualTime time;
    auto api = scripted_client(time, {}, ClientOptions("http://Aladdin:open%20sesame@api.test/v1"));

    (void)time.run(api.get("/x").send());

    CHECK(api.received().headers.get("Authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    CHECK(api.received().target == "/v1/x");
    CHECK(api.received().headers.get("Host") == "api.test");
}

TEST_CASE("ClientOptions: what can be no header or no user name is refused at once", "[client][auth]")
{
    ClientOptions options("http://api.test");

    CHECK_THROWS_AS(options.header("X A", "1"), InvalidArgumentError);
    CHECK_THROWS_AS(options.header("X-A", "1\r\nX-B: 2"), InvalidArgumentError);
    CHECK_THROWS_AS(options.bearer(Secret("a\nb")), InvalidArgumentError);
    CHECK_THROWS_AS(options.basic_auth("a:b", Secret("c")), InvalidArgumentError);
    CHECK_THROWS_AS(options.user_agent(std::string("a\0b", 3)), InvalidArgumentError);
}

TEST_CASE("ClientOptions: a refused secret is not in the error", "[client][auth]")
{
    ClientOptions options("http://api.test");
    try {
        options.bearer(Secret("hunter2\n"));
        FAIL("accepted");
    } catch (const InvalidArgumentError& error) {
        CHECK(std::string(error.what()).find("hunter2") == std::string::npos);
    }
}

TEST_CASE("ClientOptions: an absolute URL of another origin carries no credentials and no default headers", "[client][auth]")
{
    const std::string other = GENERATE("http://other.test/x", "HTTP://OTHER.TEST/x");
    ClientOptions options("http://user:pass@api.test");
    options.header("X-Default", "1").secret_header("X-Api-Key", Secret("k3y"));
    TwoOrigins two(options);

    (void)two.time.run(two.api.get(other).send());
    (void)two.time.run(two.api.get("http://api.test/y").send());

    const Headers& foreign = two.other->requests().at(0).headers;
    CHECK_FALSE(foreign.contains("Authorization"));
    CHECK_FALSE(foreign.contains("X-Api-Key"));
    CHECK_FALSE(foreign.contains("X-Default"));
    CHECK(foreign.get("Host") == "other.test");
    CHECK(foreign.contains("User-Agent"));
    CHECK(two.api.received().headers.contains("Authorization"));
    CHECK(two.api.received().headers.contains("X-Api-Key"));
}

TEST_CASE("ClientOptions: another port of the same host is another origin", "[client][auth]")
{
    ClientOptions options("http://api.test");
    options.bearer(Secret("t0ken"));
    TwoOrigins two(options);
    two.world.network->serve("api.test", 8080, two.other);

    (void)two.time.run(two.api.get("http://api.test:8080/").send());

    CHECK_FALSE(two.other->requests().at(0).headers.contains("Authorization"));
    CHECK(two.other->requests().at(0).headers.get("Host") == "api.test:8080");
}

TEST_CASE("ClientOptions: credentials of the request itself go where it goes", "[client][auth]")
{
    ClientOptions options("http://api.test");
    options.bearer(Secret("base"));
    TwoOrigins two(options);

    (void)two.time.run(two.api.get("http://other.test/a").bearer(Secret("mine")).send());
    (void)two.time.run(two.api.get("http://Aladdin:open%20sesame@other.test/b").send());
    (void)two.time.run(two.api.get("http://Aladdin:open%20sesame@api.test/c").send());

    CHECK(two.other->requests().at(0).headers.get("Authorization") == "Bearer mine");
    CHECK(two.other->requests().at(1).headers.get("Authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    CHECK(two.api.received().headers.get("Authorization") == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    CHECK(two.api.received().target == "/c");
}

TEST_CASE("ClientOptions: another origin can be refused altogether", "[client][auth]")
{
    ClientOptions options("http://api.test");
    options.only_base_origin(true);
    TwoOrigins two(options);

    const auto refused = two.time.run(two.api.get("http://u:hunter2@other.test/x?token=hunter2").try_send());
    const auto allowed = two.time.run(two.api.get("http://api.test/x").try_send());

    REQUIRE(refused.has_error());
    CHECK(refused.error().kind() == ErrorKind::invalid_url);
    CHECK(refused.error().message().find("hunter2") == std::string::npos);
    CHECK(two.other->connections() == 0);
    CHECK(allowed.has_value());
}

TEST_CASE("ClientOptions: impossible pools are refused when the client is made", "[client]")
{
    const PoolOptions pool = GENERATE(PoolOptions{.max_connections = 0}, PoolOptions{.idle_timeout = 0s},
                                      PoolOptions{.max_connections = 2, .max_per_origin = 3});
    VirtualTime time;
    ClientOptions options("http://api.test");
    options.pool(pool);

    CHECK_THROWS_AS(scripted_client(time, {}, options), ConfigurationError);
}

TEST_CASE("ClientOptions: limits of the answer are errors of their own", "[client]")
{
    VirtualTime time;
    ClientOptions options("http://api.test");
    options.limits({.max_header_bytes = 512, .max_body_bytes = 16});
    auto api = scripted_client(time, {ok(std::string(17, 'x')), ok(std::string(16, 'x')), ok().header("X", std::string(600, 'y'))},
                               options);

    CHECK(time.run(api.get("/").try_send()).error().kind() == ErrorKind::body_too_large);
    CHECK(time.run(api.get("/").try_send()).has_value());
    CHECK(time.run(api.get("/").try_send()).error().kind() == ErrorKind::header_too_large);
}

} // namespace khive_tests::client_options_test

// SPDX-License-Identifier: BSL-1.0
#include <khive/client/request_builder.hpp>

#include <khive/client/json.hpp>
#include <khive/core/exceptions.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace khive_tests::request_builder_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

namespace {

struct User {
    std::string name;
    int id = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(User, name, id)

asio::awaitable<Result<Response>> send_twice(AnyAPIClient api)
{
    auto request = api.get("/once");
    (void)co_await request.send();
    co_return co_await request.try_send();
}

} // namespace

TEST_CASE("RequestBuilder: each verb sends its method", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);
    using Make = std::function<RequestBuilder()>;
    const std::vector<std::pair<std::string, Make>> verbs{
        {"GET", [&] { return api.get("/x/{}", 1); }},         {"HEAD", [&] { return api.head("/x/{}", 1); }},
        {"POST", [&] { return api.post("/x/{}", 1); }},       {"PUT", [&] { return api.put("/x/{}", 1); }},
        {"PATCH", [&] { return api.patch("/x/{}", 1); }},     {"DELETE", [&] { return api.delete_("/x/{}", 1); }},
        {"OPTIONS", [&] { return api.options("/x/{}", 1); }}, {"PURGE", [&] { return api.request("PURGE", "/x/{}", 1); }},
    };

    for (const auto& [method, make] : verbs) {
        const auto response = time.run(make().send());
        CHECK(response.status() == 200);
        CHECK(api.server().requests().back().method == method);
        CHECK(api.server().requests().back().target == "/x/1");
    }
}

TEST_CASE("RequestBuilder: methods that expect a body say that there is none", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);
    const auto [method, length] = GENERATE(table<std::string, std::string>(
        {{"POST", "0"}, {"PUT", "0"}, {"PATCH", "0"}, {"GET", "none"}, {"DELETE", "none"}, {"PURGE", "none"}}));

    (void)time.run(api.request(method, "/").send());

    CHECK(api.received().headers.get_or("Content-Length", "none") == length);
}

TEST_CASE("RequestBuilder: a path template encodes its arguments once", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    (void)time.run(api.get("/users/{}/files/{}/{}", 42, "a/b c%2F", true).send());

    CHECK(api.received().target == "/users/42/files/a%2Fb%20c%252F/true");
}

TEST_CASE("RequestBuilder: query values are encoded, kept in order, repeated, and left out where there is none", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    (void)time.run(api.get("/q?given=1")
                       .query("b", "x y&z")
                       .query("a", 7)
                       .query("b", "")
                       .query("no", std::optional<int>{})
                       .query("yes", std::optional<std::string>{"ü"})
                       .query("flag", false)
                       .send());

    CHECK(api.received().target == "/q?given=1&b=x%20y%26z&a=7&b=&yes=%C3%BC&flag=false");
}

TEST_CASE("RequestBuilder: a header replaces the client's default of that name", "[client]")
{
    VirtualTime time;
    ClientOptions options("http://api.test");
    options.header("X-Team", "default").header("X-Other", "kept");
    auto api = scripted_client(time, {}, options);

    (void)time.run(api.get("/").header("x-team", "mine").header("Accept", "text/plain").send());

    CHECK(api.received().headers.count("X-Team") == 1);
    CHECK(api.received().headers.get("X-Team") == "mine");
    CHECK(api.received().headers.get("X-Other") == "kept");
    CHECK(api.received().headers.count("Accept") == 1);
    CHECK(api.received().headers.get("Accept") == "text/plain");
}

TEST_CASE("RequestBuilder: a raw body goes out as it is, with its type and length", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);
    const std::string bytes("a\0b\r\n", 5);

    (void)time.run(api.put("/blob").body(bytes, "image/png").send());
    (void)time.run(api.put("/blob").body("").send());

    CHECK(api.received(0).body == bytes);
    CHECK(api.received(0).headers.get("Content-Type") == "image/png");
    CHECK(api.received(0).headers.get("Content-Length") == "5");
    CHECK(api.received(1).headers.get("Content-Type") == "application/octet-stream");
    CHECK(api.received(1).headers.get("Content-Length") == "0");
}

TEST_CASE("RequestBuilder: a body of a type of the user's goes out as JSON and comes back as one", "[client][json]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok_json(R"({"name":"bee","id":7,"more":true})")});

    const auto back = time.run(api.post("/users").json(User{"ant", 3}).as<User>());

    CHECK(api.received().body == R"({"id":3,"name":"ant"})");
    CHECK(api.received().headers.get("Content-Type") == "application/json");
    CHECK(back.name == "bee");
    CHECK(back.id == 7);
}

TEST_CASE("RequestBuilder: its own content type beats the one of the body", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    (void)time.run(api.post("/").header("content-type", "application/merge-patch+json").json(User{"ant", 3}).send());

    CHECK(api.received().headers.count("Content-Type") == 1);
    CHECK(api.received().headers.get("Content-Type") == "application/merge-patch+json");
}

TEST_CASE("RequestBuilder: a form is urlencoded, with + for a space", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    (void)time.run(api.post("/login").form("user", "a b").form("key", "1+1=2&").form("n", 5).send());

    CHECK(api.received().body == "user=a+b&key=1%2B1%3D2%26&n=5");
    CHECK(api.received().headers.get("Content-Type") == "application/x-www-form-urlencoded");
}

TEST_CASE("RequestBuilder: mistakes are reported when it is sent, and nothing goes out", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);
    const std::vector<std::pair<ErrorKind, Request>> mistakes{
        {ErrorKind::invalid_argument, Request("GET", "/").header("X-A", "one\r\nX-B: two")},
        {ErrorKind::invalid_argument, Request("GET", "/").header("bad name", "x")},
        {ErrorKind::invalid_argument, Request("GET", "/").bearer(Secret("to\nken"))},
        {ErrorKind::invalid_argument, Request("POST", "/").body("x", "text/plain\r\nX: y")},
        {ErrorKind::invalid_argument, Request("GE T", "/")},
        {ErrorKind::invalid_argument, Request("", "/")},
        {ErrorKind::invalid_argument, Request("GET", "/{}/{}", 1)},
        {ErrorKind::invalid_argument, Request("GET", "/{}", "..")},
        {ErrorKind::invalid_argument, Request("POST", "/").json(std::string("\xff"))},
        {ErrorKind::invalid_argument, Request("GET", "/").header("Transfer-Encoding", "chunked")},
        {ErrorKind::invalid_argument, Request("POST", "/").body("abc").header("Content-Length", "2")},
        {ErrorKind::invalid_url, Request("GET", "/../up")},
        {ErrorKind::invalid_url, Request("GET", "ftp://api.test/")},
        {ErrorKind::invalid_url, Request("GET", "/a\nb")},
        {ErrorKind::configuration, Request("GET", "/").timeout(0s)},
        {ErrorKind::configuration, Request("GET", "/").attempt_timeout(-1s)},
        {ErrorKind::configuration, Request("GET", "/").timeout(1s).attempt_timeout(2s)},
    };

    for (const auto& [kind, request] : mistakes) {
        const auto result = time.run(api.try_call(request));
        REQUIRE(result.has_error());
        CHECK(result.error().kind() == kind);
        CHECK_FALSE(result.error().retryable());
        CHECK_FALSE(result.error().maybe_processed());
        CHECK_THROWS_AS(time.run(api.call(request)), APIClientError);
    }
    CHECK(api.server().connections() == 0);
    CHECK(api.in_flight() == 0);
}

TEST_CASE("RequestBuilder: the awaitable outlives builder and client handle's copy", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    auto pending = [&] {
        AnyAPIClient copy = api;
        std::string path = "/gone";
        auto builder = copy.post(path);
        builder.body(std::string(1000, 'x'));
        return builder.send();
    }();
    const auto response = time.run(std::move(pending));

    CHECK(response.status() == 200);
    CHECK(api.received().body.size() == 1000);
}

TEST_CASE("RequestBuilder: sent twice is an error, and the second time sends nothing", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    const auto second = time.run(send_twice(api));

    REQUIRE(second.has_error());
    CHECK(second.error().kind() == ErrorKind::invalid_argument);
    CHECK(api.server().requests().size() == 1);
}

TEST_CASE("RequestBuilder: changed after it was sent throws", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);
    auto request = api.get("/");
    (void)time.run(request.send());

    CHECK_THROWS_AS(request.header("X-Late", "1"), InvalidArgumentError);
    CHECK_THROWS_AS(request.timeout(1s), InvalidArgumentError);
}

TEST_CASE("RequestBuilder: one that is never sent, and an awaitable that is never awaited, leave nothing behind", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    {
        auto unsent = api.get("/a");
        auto unawaited = api.get("/b").send();
    }
    time.run_until_idle();

    CHECK(api.in_flight() == 0);
    CHECK(api.server().connections() == 0);
}

TEST_CASE("RequestBuilder: a status of 400 or more is an answer where it is asked for, per request and per client", "[client]")
{
    VirtualTime time;
    ClientOptions options("http://api.test");
    options.raise_for_status(false);
    auto api = scripted_client(time, {status(404, {}, "no"), status(404), status(404)}, options);

    const auto response = time.run(api.get("/").send());
    const auto raised = time.run(api.get("/").raise_for_status(true).try_send());
    const auto text = time.run(api.get("/").as<std::string>());

    CHECK(response.status() == 404);
    CHECK_FALSE(response.ok());
    CHECK(response.body() == "no");
    CHECK(response.ledger().stop_reason() == StopReason::not_retryable);
    REQUIRE(raised.has_error());
    CHECK(raised.error().status() == 404);
    CHECK(text.empty());
}

TEST_CASE("RequestBuilder: HEAD has no body, whatever the answer's length says", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok("twelve bytes"), ok("next")});

    const auto head = time.run(api.head("/").send());
    const auto next = time.run(api.get("/").send());

    CHECK(head.body().empty());
    CHECK(head.header("Content-Length") == "12");
    CHECK(next.body() == "next");
    CHECK(api.server().connections() == 1);
}

TEST_CASE("RequestBuilder: send_into uses the memory of the response that it is given again", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok(std::string(300, 'a')), ok(std::string(200, 'b')), status(404), ok()});
    Response response;

    time.run(api.get("/1").send_into(response));
    const char* const memory = response.body().data();
    CHECK(response.body() == std::string(300, 'a'));
    time.run(api.get("/2").send_into(response));
    CHECK(response.body() == std::string(200, 'b'));
    CHECK(response.body().data() == memory);
    CHECK(response.ledger().size() == 1);

    CHECK_THROWS_AS(time.run(api.get("/3").send_into(response)), ResourceNotFoundError);
    CHECK(response.status() == 0);
    CHECK(response.body().empty());
    time.run(api.get("/4").send_into(response));
    CHECK(response.status() == 200);
}

} // namespace khive_tests::request_builder_test

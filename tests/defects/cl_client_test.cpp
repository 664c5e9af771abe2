// SPDX-License-Identifier: BSL-1.0
#include <khive/client/json.hpp>
#include <khive/core/exceptions.hpp>
#include <khive/khive.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <exception>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace khive_tests::cl_client_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

TEST_CASE("CL-1: Retry-After is seen whatever its case, on 429 and on 503", "[defect][CL-1]")
{
    const std::string name = GENERATE("Retry-After", "retry-after", "RETRY-AFTER");
    const unsigned code = GENERATE(429u, 503u);
    VirtualTime time;
    auto api = scripted_client(time, {Reply(code).header(name, "7")}, ClientOptions("http://api.test"));

    CHECK(time.run(api.get("/").try_send()).error().retry_after() == 7s);
}

TEST_CASE("CL-1: a Retry-After that is negative, infinite or not a number is not believed", "[defect][CL-1]")
{
    const std::string value = GENERATE("-1", "inf", "nan", "1e9", "99999999999", "soon", "");
    VirtualTime time;
    auto api = scripted_client(time, {Reply(429).header("Retry-After", value)}, ClientOptions("http://api.test"));

    CHECK_FALSE(time.run(api.get("/").try_send()).error().retry_after());
}

TEST_CASE("CL-2: a successful DELETE without a body is sent once", "[defect][CL-2]")
{
    VirtualTime time;
    auto api = scripted_client(time, {status(204)});

    CHECK(time.run(api.delete_("/x").send()).status() == 204);
    CHECK(api.server().requests().size() == 1);
}

TEST_CASE("CL-2: text is an answer", "[defect][CL-2]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok("plain text")});

    CHECK(time.run(api.get("/").send()).body() == "plain text");
}

TEST_CASE("CL-3: an error whose body is a list, text or null keeps its class and its body", "[defect][CL-3]")
{
    const std::string body = GENERATE("[1,2]", "\"text\"", "null", "", "<html>", "{");
    VirtualTime time;
    auto api = scripted_client(time, {status(422, {}, body), status(422, {}, body)});

    CHECK_THROWS_AS(time.run(api.get("/").send()), UnprocessableEntityError);
    const auto error = time.run(api.get("/").try_as<nlohmann::json>()).error();
    CHECK(error.status() == 422);
    CHECK(error.body() == body);
}

TEST_CASE("CL-4: no verb drops query or body", "[defect][CL-4]")
{
    const std::string method = GENERATE("GET", "POST", "PUT", "PATCH", "DELETE", "PURGE");
    VirtualTime time;
    auto api = scripted_client(time);

    (void)time.run(api.request(method, "/d").query("filter", 1).json(std::vector<int>{1, 2}).send());

    CHECK(api.received().method == method);
    CHECK(api.received().target == "/d?filter=1");
    CHECK(api.received().body == "[1,2]");
}

TEST_CASE("CL-4: a fragment swallows no query", "[defect][CL-4]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    (void)time.run(api.delete_("/items#x").query("filter", 1).send());
    (void)time.run(api.delete_("http://api.test/items?a=b#x").query("filter", 2).send());

    CHECK_FALSE(time.run(api.get("/items#x\r\ny").query("filter", 1).try_send()).has_value());

    CHECK(api.received(0).target == "/items?filter=1");
    CHECK(api.received(1).target == "/items?a=b&filter=2");
}

TEST_CASE("CL-5: closing a client leaves the policies that it shares alone", "[defect][CL-5]")
{
    VirtualTime time;
    const ScriptedWorld world(time);
    const AsyncExecutor executor{{.max_concurrency = 1}};
    const AsyncAPIClient one{time.context(), "http://api.test", executor};
    const AsyncAPIClient two{time.context(), "http://api.test", executor};

    (void)time.run(one.close(1s));

    CHECK(time.run(two.get("/").try_send()).has_value());
}

TEST_CASE("CL-6: what went wrong in transport has a kind of its own, and our own starvation is not the server's timeout",
          "[defect][CL-6]")
{
    static_assert(!std::is_base_of_v<APIConnectionError, ProtocolError>);
    static_assert(std::is_base_of_v<ProtocolError, TruncatedBodyError>);
    VirtualTime time;
    ClientOptions options("http://api.test");
    options.pool({.max_connections = 1}).timeouts({.pool_wait = 2s});
    auto api = scripted_client(time, {no_answer()}, options, CircuitBreaker{{.consecutive_failures = 1}});
    auto holder = time.start(api.get("/").try_send());
    time.run_for(1s);

    const auto starved = time.run(api.get("/").try_send()).error();

    CHECK(starved.kind() == ErrorKind::pool_timeout);
    CHECK(api.policy<CircuitBreaker>().state(time.now()) == BreakerState::closed);
    CHECK_FALSE(holder.done());
}

TEST_CASE("CL-6: nor is the caller's own deadline, run out while waiting for a connection", "[defect][CL-6]")
{
    VirtualTime time;
    ClientOptions options("http://api.test");
    options.pool({.max_connections = 1});
    auto api = scripted_client(time, {no_answer()}, options, CircuitBreaker{{.consecutive_failures = 1}});
    auto holder = time.start(api.get("/").try_send());
    time.run_for(1s);

    const auto starved = time.run(api.get("/").timeout(1s).try_send()).error();

    CHECK(starved.kind() == ErrorKind::timeout);
    CHECK(starved.timer() == Timer::total);
    CHECK(starved.ledger()[0].verdict == Verdict::neutral);
    CHECK(api.policy<CircuitBreaker>().state(time.now()) == BreakerState::closed);
    CHECK_FALSE(holder.done());

    // While a connection is made it is: the server does not answer.
    api.address().black_hole();
    holder.cancel();
    time.settle();
    CHECK(time.run(api.get("/").timeout(1s).try_send()).error().ledger()[0].verdict == Verdict::failure);
    CHECK(api.policy<CircuitBreaker>().state(time.now()) == BreakerState::open);
}

TEST_CASE("CL-7: a mistake of the caller is told as one and not tried again", "[defect][CL-7]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    const auto error = time.run(api.get("/{}").try_send()).error();

    CHECK(error.kind() == ErrorKind::invalid_argument);
    CHECK_FALSE(error.retryable());
    CHECK(time.elapsed() == 0s);
    CHECK(api.server().connections() == 0);
}

TEST_CASE("CL-8: close waits for a running request, and a call that comes meanwhile is refused", "[defect][CL-8]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok().after(3s)});
    auto running = time.start(api.get("/").try_send());
    time.run_for(1s);

    auto closing = time.start(api.close(1min));
    time.settle();
    const auto refused = time.run(api.get("/").try_send());
    time.run_until_idle();

    CHECK(refused.error().kind() == ErrorKind::closed);
    CHECK(running.get().has_value());
    CHECK(closing.get());
}

TEST_CASE("CL-9: a call that is cancelled while its answer arrives leaves no connection behind", "[defect][CL-9]")
{
    VirtualTime time;
    auto api = scripted_client(time, {trickle(ok(std::string(100, 'x')), 10, 1s), ok("mine")});
    auto call = time.start(api.get("/").try_send());
    time.run_for(8s);

    call.cancel();
    time.settle();

    CHECK(api.connections().open() == 0);
    CHECK(time.run(api.get("/").send()).body() == "mine");
}

TEST_CASE("CL-10: a success has status, headers, elapsed time and the attempts it took", "[defect][CL-10]")
{
    VirtualTime time;
    auto api = scripted_client(time, {status(503), status(202).header("ETag", "\"1\"").after(1s)});

    const auto response = time.run(api.get("/").send());

    CHECK(response.status() == 202);
    CHECK(response.header("etag") == "\"1\"");
    CHECK(response.elapsed() == 1500ms);
    CHECK(response.ledger().size() == 2);
}

TEST_CASE("CL-11: the whole call has a deadline, however often a byte comes", "[defect][CL-11]")
{
    VirtualTime time;
    auto api = scripted_client(time, {trickle(ok(std::string(1000, 'x')), 1, 9s)}, ClientOptions("http://api.test"));

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK(error.timer() == Timer::total);
    CHECK(time.elapsed() <= 60s + 200ms);
}

TEST_CASE("CL-13: no error takes the name or the place of a standard one", "[defect][CL-13]")
{
    static_assert(std::is_base_of_v<std::exception, APIClientError>);
    static_assert(!std::is_base_of_v<std::runtime_error, APITimeoutError>);
    static_assert(!std::is_base_of_v<std::logic_error, InvalidArgumentError>);
    SUCCEED();
}

TEST_CASE("CL-14: the cause stays with the error", "[defect][CL-14]")
{
    VirtualTime time;
    auto api = scripted_client(time, {}, ClientOptions("http://api.test"));
    api.address().refuse();

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK(error.cause() == boost::asio::error::connection_refused);
}

TEST_CASE("CL-15: a client does not see what happens to the options that it was made of", "[defect][CL-15]")
{
    VirtualTime time;
    ClientOptions options("http://api.test");
    options.header("X-A", "before");
    auto api = scripted_client(time, {}, options);

    options.header("X-A", "after");
    (void)time.run(api.get("/").send());

    CHECK(api.received().headers.get("X-A") == "before");
}

} // namespace khive_tests::cl_client_test

// SPDX-License-Identifier: BSL-1.0
// What retries, breaker and limits did wrong together with a client.
#include <khive/khive.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <optional>
#include <string>
#include <vector>

namespace khive_tests::client_rt_co_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::Started;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

TEST_CASE("RT-2: a POST that the server may have done is not sent again", "[defect][RT-2]")
{
    const Reply reply = GENERATE(status(500), status(503), reset(), close_without_answer(), no_answer());
    VirtualTime time;
    ClientOptions options("http://api.test");
    options.timeouts({.first_byte = 1s});
    auto api = scripted_client(time, {reply}, options, exact_retry());

    const auto error = time.run(api.post("/orders").try_send()).error();

    CHECK(error.maybe_processed());
    CHECK(error.ledger().stop_reason() == StopReason::not_replayable);
    CHECK(api.server().requests().size() == 1);
}

TEST_CASE("RT-3: what server and breaker ask for is heeded", "[defect][RT-3]")
{
    VirtualTime time;
    auto api = scripted_client(time, {too_many_requests(30s), Reply(503).header("Retry-After", "40"), ok()});

    CHECK(time.run(api.get("/").send()).ok());
    CHECK(time.elapsed() == 70s);
}

TEST_CASE("RT-4: every attempt sends the same request, and the caller's is as it was", "[defect][RT-4]")
{
    VirtualTime time;
    auto api = scripted_client(time, {status(503), status(503), ok(), ok()});
    const auto request = Request("POST", "/orders").query("a", 1).body("everything").idempotency_key("k");

    (void)time.run(api.call(request));
    (void)time.run(api.call(request));

    REQUIRE(api.server().requests().size() == 4);
    for (const auto& received : api.server().requests()) {
        CHECK(received.method == "POST");
        CHECK(received.target == "/orders?a=1");
        CHECK(received.body == "everything");
        CHECK(received.headers.lines() == api.received().headers.lines());
    }
}

TEST_CASE("CO-3: calls that queue behind the limiter when the service dies are not sent", "[defect][CO-3]")
{
    VirtualTime time;
    auto api = scripted_client(time, {}, patient(), TokenBucketRateLimiter{{.rate = 1, .burst = 1}},
                               CircuitBreaker{{.consecutive_failures = 3, .open_for = 1h}});
    api.server().otherwise([](const ReceivedRequest&) { return status(503); });

    std::vector<Started<Result<Response>>> calls;
    for (int i = 0; i < 100; ++i) calls.push_back(time.start(api.get("/").try_send()));
    time.run_until_idle();

    std::size_t refused = 0;
    for (auto& call : calls) refused += call.get().error().kind() == ErrorKind::circuit_open ? 1 : 0;
    CHECK(api.server().requests().size() == 3);
    CHECK(refused == 97);
}

TEST_CASE("CO-4: four attempts cost four tokens", "[defect][CO-4]")
{
    VirtualTime time;
    const TokenBucketRateLimiter limiter{{.rate = 1, .period = 10000h, .burst = 10}};
    auto api = scripted_client(time, {status(503), status(503), status(503), ok()}, patient(), limiter, exact_retry(4));

    (void)time.run(api.get("/").send());

    CHECK(limiter.tokens(time.now()) == Approx(6));
}

TEST_CASE("CO-5: with a threshold of two the third request of a retry loop is not sent", "[defect][CO-5]")
{
    VirtualTime time;
    auto api = scripted_client(time, {}, patient(), CircuitBreaker{{.consecutive_failures = 2}}, exact_retry(4));
    api.server().otherwise([](const ReceivedRequest&) { return status(503); });

    CHECK(time.run(api.post("/").idempotency_key("k").try_send()).error().kind() == ErrorKind::circuit_open);
    CHECK(time.run(api.post("/").idempotency_key("k").try_send()).error().kind() == ErrorKind::circuit_open);
    CHECK(api.server().requests().size() == 2);
}

TEST_CASE("CO-7: what answers say of a quota reaches the caller, and a limiter that the client uses follows it", "[defect][CO-7]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 1000, .burst = 1}};
    auto api = scripted_client(
        time, {ok().header("X-RateLimit-Limit", "2"), status(429).header("X-RateLimit-Limit", "0.5"), ok()}, patient(), limiter);
    const auto follow = [&](const Headers& headers) {
        limiter.set_rate(std::stod(std::string(headers.get_or("x-ratelimit-limit", "none"))), std::nullopt, time.now());
    };

    follow(time.run(api.get("/").send()).headers());
    CHECK(time.elapsed() == 0s);
    follow(time.run(api.get("/").try_send()).error().headers());
    CHECK(time.elapsed() == 500ms);
    CHECK(time.run(api.get("/").send()).ok());
    CHECK(time.elapsed() == 2500ms);
}

} // namespace khive_tests::client_rt_co_test

// SPDX-License-Identifier: BSL-1.0
#include <khive/client/any_api_client.hpp>

#include <khive/core/exceptions.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <memory>
#include <optional>

namespace khive_tests::any_api_client_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::Started;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

namespace {

static_assert(ResourceClient<AnyAPIClient>);
static_assert(ResourceClient<AsyncAPIClient<>>);
static_assert(ResourceClient<AsyncAPIClient<RetryWithBackoff, TokenBucketRateLimiter>>);
static_assert(std::copyable<AnyAPIClient>);

asio::awaitable<int> status_of(AnyAPIClient api, std::string path)
{
    const auto response = co_await api.get(path).send();
    co_return response.status();
}

asio::awaitable<void> tell_end(asio::awaitable<int> operation, bool* ended)
{
    (void)co_await std::move(operation);
    *ended = true;
}

/// The error of a call that must have ended with one of that kind.
Error error_of(Started<Result<Response>>& call, ErrorKind kind)
{
    REQUIRE(call.done());
    const auto result = call.get();
    REQUIRE(result.has_error());
    CHECK(result.error().kind() == kind);
    return result.error();
}

} // namespace

TEST_CASE("AnyAPIClient: is what a client with policies becomes when it is handed on", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time);

    CHECK(time.run(status_of(api, "/a")) == 200);
    AnyAPIClient one = api;
    const AnyAPIClient two = one;
    one = two;
    CHECK(time.run(status_of(std::move(one), "/b")) == 200);
    CHECK(api.server().requests().size() == 2);
    CHECK(api.server().connections() == 1);
}

TEST_CASE("AnyAPIClient: the policies stay with the client when it is sliced", "[client]")
{
    VirtualTime time;
    const AnyAPIClient api = scripted_client(time, {status(503), ok()});

    const auto response = time.run(api.get("/").send());

    CHECK(response.ledger().size() == 2);
}

TEST_CASE("AnyAPIClient: another client can take its place", "[client]")
{
    VirtualTime time;
    const ScriptedWorld world(time);
    AnyAPIClient api = AsyncAPIClient(time.context(), "http://nowhere.test");
    api = AsyncAPIClient(time.context(), "http://api.test", exact_retry());

    CHECK(time.run(status_of(api, "/")) == 200);
}

TEST_CASE("AnyAPIClient: close waits for what is in flight and refuses what comes", "[client][close][CL-8]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok("slow").after(10s)});
    auto call = time.start(api.get("/").try_send());
    time.run_for(1s);
    CHECK(api.in_flight() == 1);

    auto closing = time.start(api.close(30s));
    time.run_for(1s);
    const auto refused = time.run(api.get("/").try_send());
    CHECK_FALSE(closing.done());
    time.run_until_idle();

    CHECK(refused.error().kind() == ErrorKind::closed);
    CHECK(refused.error().ledger().stop_reason() == StopReason::refused);
    CHECK(call.get()->body() == "slow");
    CHECK(closing.get());
    CHECK(api.in_flight() == 0);
    CHECK(api.connections().open() == 0);
    CHECK(api.network().open_connections() == 0);
}

TEST_CASE("AnyAPIClient: close ends what is left after its timeout", "[client][close][CL-8]")
{
    VirtualTime time;
    auto api = scripted_client(time, {no_answer()});
    auto call = time.start(api.post("/").try_send());
    time.run_for(1s);

    const bool drained = time.run(api.close(5s));
    time.settle();

    CHECK_FALSE(drained);
    CHECK(time.elapsed() == 6s);
    const auto error = error_of(call, ErrorKind::closed);
    CHECK(error.maybe_processed());
    CHECK(error.ledger().stop_reason() == StopReason::cancelled);
    CHECK(api.in_flight() == 0);
    CHECK(api.connections().open() == 0);
}

TEST_CASE("AnyAPIClient: close without time ends everything now", "[client][close]")
{
    VirtualTime time;
    auto api = scripted_client(time, {no_answer()});
    auto call = time.start(api.get("/").try_send());
    time.run_for(1s);

    CHECK_FALSE(time.run(api.close(0s)));
    time.settle();

    (void)error_of(call, ErrorKind::closed);
    CHECK(time.elapsed() == 1s);
}

TEST_CASE("AnyAPIClient: close may be called again and from several places", "[client][close]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok().after(10s)});
    auto call = time.start(api.get("/").try_send());
    time.run_for(1s);
    AnyAPIClient other = api;

    auto one = time.start(api.close(1min));
    auto two = time.start(other.close(1min));
    time.run_until_idle();

    CHECK(one.get());
    CHECK(two.get());
    CHECK(call.get().has_value());
    CHECK(time.run(api.close(1s)));
}

TEST_CASE("AnyAPIClient: a close that is cancelled ends everything at once and leaves the client closed", "[client][close][CL-8]")
{
    VirtualTime time;
    auto api = scripted_client(time, {no_answer()});
    auto call = time.start(api.get("/").try_send());
    auto closing = time.start(api.close(1h));
    time.run_for(1s);

    closing.cancel();
    time.settle();

    CHECK(closing.done());
    (void)error_of(call, ErrorKind::closed);
    CHECK(time.run(api.get("/").try_send()).error().kind() == ErrorKind::closed);
}

TEST_CASE("AnyAPIClient: a closed client is not tried again", "[client][close][CL-8]")
{
    VirtualTime time;
    auto api = scripted_client(time);
    (void)time.run(api.close(1s));

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK(error.kind() == ErrorKind::closed);
    CHECK(error.ledger().size() == 1);
    CHECK_FALSE(error.retryable());
    CHECK(time.elapsed() == 0s);
    CHECK_THROWS_AS(time.run(api.get("/").send()), ClosedError);
}

TEST_CASE("AnyAPIClient: close ends the delay before another attempt and the wait for a token", "[client][close]")
{
    VirtualTime time;
    auto api = scripted_client(time, {too_many_requests(100s)}, patient(), exact_retry(),
                               TokenBucketRateLimiter{{.rate = 1, .period = 1h, .burst = 1}});
    auto sleeper = time.start(api.get("/").try_send());
    time.run_for(1s);
    auto waiter = time.start(api.get("/").try_send());
    time.run_for(1s);

    CHECK_FALSE(time.run(api.close(3s)));
    time.settle();

    CHECK(error_of(sleeper, ErrorKind::closed).ledger().stop_reason() == StopReason::cancelled);
    CHECK(error_of(waiter, ErrorKind::closed).ledger().stop_reason() == StopReason::cancelled);
}

TEST_CASE("AnyAPIClient: when the last handle goes, calls in flight end with closed", "[client][close]")
{
    VirtualTime time;
    auto api = std::make_optional(scripted_client(time, {no_answer()}));
    const auto address = &api->address();
    auto call = time.start(api->get("/").try_send());
    time.run_for(1s);
    auto copy = std::make_optional<AnyAPIClient>(*api);

    api.reset();
    time.run_for(1s);
    CHECK_FALSE(call.done());
    copy.reset();
    time.settle();

    (void)error_of(call, ErrorKind::closed);
    CHECK(address->open_connections() == 0);
}

TEST_CASE("AnyAPIClient: a call or a close that begins after the last handle has gone ends with closed", "[client][close]")
{
    VirtualTime time;
    auto api = std::make_optional(scripted_client(time));
    auto late_call = api->get("/").try_send();
    auto late_close = api->close(1s);

    api.reset();

    CHECK(time.run(std::move(late_call)).error().kind() == ErrorKind::closed);
    CHECK(time.run(std::move(late_close)));
}

TEST_CASE("AnyAPIClient: the execution context may end with calls under way", "[client][close]")
{
    const int when = GENERATE(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
    bool ended = false;
    {
        VirtualTime time;
        {
            auto api = scripted_client(time, {no_answer()});
            time.spawn(tell_end(status_of(api, "/"), &ended));
        }
        for (int i = 0; i < when; ++i) (void)step(time);
    }

    CHECK_FALSE(ended);
}

} // namespace khive_tests::any_api_client_test

// SPDX-License-Identifier: BSL-1.0
#include <khive/client/detail/policy_core.hpp>

#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <optional>
#include <string>

namespace khive_tests::policy_core_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

namespace {

/// A call that every kind of wait is in the way of, and one that began before it.
///
/// The rival holds the only slot; then the victim waits for a slot, a token, the look-up, the connect, an answer that asks for
/// a pause, the pause, a token again, an exchange that breaks, another pause, and the last exchange.
struct Obstacles {
    Obstacles()
        : api(ScriptedWorld(time), time, patient().pool({.max_connections = 1}), limiter, executor, breaker, exact_retry(4))
    {
        api.network().host("api.test").delay(10ms);
        api.address().connect_delay(10ms).latency(5ms);
        api.server().reply(ok("rival").after(300ms).then_close());
        api.server().reply(too_many_requests(2s).after(50ms)).reply(reset().after(50ms)).reply(ok("victim").after(50ms));
        api.server().otherwise([](const ReceivedRequest&) { return ok("later"); });
    }

    /// Everything that was taken has been given back.
    void check_balance()
    {
        time.run_until_idle();
        CHECK(api.in_flight() == 0);
        CHECK(executor.stats().running == 0);
        CHECK(executor.stats().queued == 0);
        CHECK(limiter.waiting() == 0);
        CHECK(api.connections().leased == 0);
        CHECK(api.connections().waiting == 0);
        CHECK(api.connections().connecting == 0);
        CHECK(api.network().open_connections() == api.connections().idle);
        time.run_for(10s);
        CHECK(limiter.tokens(time.now()) == 1);
        const auto later = time.run(api.get("/later").try_send());
        CHECK(later.has_value());
        CHECK(later->body() != "rival");
    }

    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 1, .period = 1s, .burst = 1}};
    AsyncExecutor executor{{.max_concurrency = 1}};
    CircuitBreaker breaker{{.consecutive_failures = 100}};
    ScriptedClient<TokenBucketRateLimiter, AsyncExecutor, CircuitBreaker, RetryWithBackoff> api;
};

/// How far the victim came before step `n`, when `stop` was called; false if it had ended by itself.
template <class Stop>
bool stop_at(Obstacles& world, int n, ErrorKind kind, Stop stop)
{
    auto rival = world.time.start(world.api.get("/rival").try_send());
    auto victim = world.time.start(world.api.get("/victim").try_send());
    for (int i = 0; i < n && !victim.done(); ++i) REQUIRE(step(world.time));
    const bool in_time = !victim.done();

    stop(victim);
    world.time.run_until_idle();

    REQUIRE(victim.done());
    REQUIRE(rival.done());
    if (victim.error()) return in_time; // Asio's own: it had not begun
    const auto result = victim.get();
    if (result.has_error()) {
        CHECK(result.error().kind() == kind);
        CHECK(result.error().ledger().stop_reason() == StopReason::cancelled);
    }
    return in_time;
}

} // namespace

TEST_CASE("a call that is cancelled at any step ends with cancelled, and all it held goes back", "[client][cancellation]")
{
    bool more = true;
    int steps = 0;
    for (int n = 1; more; ++n) {
        Obstacles world;
        INFO("cancelled at step " << n);
        more = stop_at(world, n, ErrorKind::cancelled, [](auto& victim) { victim.cancel(); });
        world.check_balance();
        steps = n;
    }
    CHECK(steps > 50);
}

TEST_CASE("a call that the end of its client meets at any step ends with closed, and all it held goes back",
          "[client][cancellation][close]")
{
    bool more = true;
    for (int n = 1; more; ++n) {
        Obstacles world;
        INFO("closed at step " << n);
        more = stop_at(world, n, ErrorKind::closed, [&](auto&) { (void)world.time.run(world.api.close(0s)); });
        CHECK(world.api.in_flight() == 0);
        CHECK(world.executor.stats().running == 0);
        CHECK(world.executor.stats().queued == 0);
        CHECK(world.limiter.waiting() == 0);
        CHECK(world.api.connections().open() == 0);
        CHECK(world.api.connections().waiting == 0);
        CHECK(world.api.network().open_connections() == 0);
    }
}

TEST_CASE("a probe that is cancelled at any step leaves its place to the next", "[client][cancellation][CB-2]")
{
    bool more = true;
    for (int n = 1; more; ++n) {
        VirtualTime time;
        const CircuitBreaker breaker{{.consecutive_failures = 1, .open_for = 1s, .open_jitter = 0, .max_probe = 1h}};
        auto api = scripted_client(time, {status(503)}, patient(), breaker);
        api.server().otherwise([](const ReceivedRequest&) { return ok().after(1s); });
        (void)time.run(api.get("/").try_send());
        time.run_for(1s);

        auto probe = time.start(api.get("/").try_send());
        for (int i = 0; i < n && !probe.done(); ++i) REQUIRE(step(time));
        more = !probe.done();
        probe.cancel();
        time.settle();

        INFO("cancelled at step " << n);
        CHECK(probe.done());
        CHECK(time.run(api.get("/").try_send()).has_value());
        CHECK(breaker.state(time.now()) == BreakerState::closed);
    }
}

TEST_CASE("a call that is cancelled before its request was sent gives its token back, one that was sent does not",
          "[client][cancellation]")
{
    bool more = true;
    for (int n = 1; more; ++n) {
        VirtualTime time;
        const TokenBucketRateLimiter limiter{{.rate = 1, .period = 10000h, .burst = 10}};
        auto api = scripted_client(time, {}, patient(), limiter);
        api.address().connect_delay(10ms);
        api.server().otherwise([](const ReceivedRequest&) { return ok().after(1s); });

        auto call = time.start(api.get("/").try_send());
        for (int i = 0; i < n && !call.done(); ++i) REQUIRE(step(time));
        more = !call.done();
        call.cancel();
        time.settle();

        INFO("cancelled at step " << n);
        const double spent = 10 - limiter.tokens(time.now());
        const auto requests = static_cast<double>(api.server().requests().size());
        CHECK(spent >= requests - 0.01);
        if (api.network().connects() == 0 || api.server().connections() == 0) CHECK(spent < 0.01);
    }
}

TEST_CASE("a call that is cancelled says what the server may have done", "[client][cancellation]")
{
    VirtualTime time;
    auto api = scripted_client(time, {no_answer(), no_answer(), status(503)}, patient(), exact_retry());
    auto sent = time.start(api.post("/").try_send());
    time.run_for(1s);
    sent.cancel();
    time.settle();
    api.network().host("api.test").delay(unlimited);
    auto unsent = time.start(api.post("/").try_send());
    time.run_for(1s);
    unsent.cancel();
    time.settle();

    const auto sent_error = sent.get().error();
    CHECK(sent_error.kind() == ErrorKind::cancelled);
    CHECK(sent_error.maybe_processed());
    CHECK_FALSE(sent_error.retryable());
    const auto unsent_error = unsent.get().error();
    CHECK(unsent_error.kind() == ErrorKind::cancelled);
    CHECK_FALSE(unsent_error.maybe_processed());
}

TEST_CASE("a call that is cancelled is no evidence for the breaker", "[client][cancellation][R3]")
{
    VirtualTime time;
    const CircuitBreaker breaker{{.consecutive_failures = 1}};
    auto api = scripted_client(time, {no_answer()}, patient(), breaker);
    auto call = time.start(api.get("/").try_send());
    time.run_for(1s);

    call.cancel();
    time.settle();

    CHECK(breaker.stats(time.now()).neutral == 1);
    CHECK(breaker.state(time.now()) == BreakerState::closed);
}

TEST_CASE("ledger: says where the time of an attempt went", "[client][ledger]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok(std::string(100, 'x')).after(50ms), ok()}, patient());
    api.network().host("api.test").delay(30ms);
    api.address().connect_delay(20ms).latency(5ms);

    const auto first = time.run(api.get("/").send());
    const auto second = time.run(api.get("/").send());

    const Attempt& fresh = first.ledger()[0];
    CHECK(fresh.resolve == 30ms);
    CHECK(fresh.connect == 20ms);
    CHECK(fresh.tls == 0s);
    CHECK(fresh.pool_wait == 0s);
    CHECK(fresh.write + fresh.first_byte + fresh.body == 60ms);
    CHECK(fresh.elapsed == 110ms);
    CHECK(fresh.status == 200);
    CHECK(fresh.error == ErrorKind{});
    CHECK(fresh.verdict == Verdict::success);
    CHECK(fresh.bytes_sent > 20);
    CHECK(fresh.bytes_received > 100);
    CHECK(fresh.peer.to_string() == "10.0.0.1:80");
    CHECK_FALSE(fresh.reused);
    const Attempt& reused = second.ledger()[0];
    CHECK(reused.reused);
    CHECK(reused.resolve == 0s);
    CHECK(reused.connect == 0s);
    CHECK(reused.elapsed == 10ms);
    CHECK(first.ledger().stop_reason() == StopReason::done);
}

TEST_CASE("ledger: has every attempt with its waits and its end", "[client][ledger]")
{
    VirtualTime time;
    auto api = scripted_client(time, {status(503).after(1s).then_close(), reset(), too_many_requests(7s), ok()},
                               patient(), exact_retry(5), TokenBucketRateLimiter{{.rate = 1, .period = 5s, .burst = 1}});

    const auto ledger = time.run(api.get("/").send()).ledger();

    REQUIRE(ledger.size() == 4);
    CHECK(ledger[0].status == 503);
    CHECK(ledger[0].error == ErrorKind::status);
    CHECK(ledger[0].verdict == Verdict::failure);
    CHECK(ledger[0].backoff == 0s);
    CHECK(ledger[1].backoff == 500ms);
    CHECK(ledger[1].rate_wait == 3500ms);
    CHECK(ledger[1].error == ErrorKind::connection_lost);
    CHECK(ledger[1].maybe_processed);
    CHECK(ledger[1].status == 0);
    CHECK(ledger[2].status == 429);
    CHECK(ledger[2].verdict == Verdict::throttled);
    CHECK(ledger[3].backoff == 7s);
    CHECK(ledger[3].status == 200);
    CHECK_THAT(ledger.summary(), contains("4 attempts: 503"));
    CHECK_THAT(ledger.summary(), contains("connection_lost"));
}

TEST_CASE("ledger: tells waiting for a slot from waiting for a connection", "[client][ledger]")
{
    VirtualTime time;
    auto slots = scripted_client(time, {ok().after(3s), ok()}, patient(), AsyncExecutor{{.max_concurrency = 1}});
    auto a = time.start(slots.get("/").send());
    auto b = time.start(slots.get("/").send());
    time.run_until_idle();
    CHECK(a.get().ledger()[0].slot_wait == 0s);
    CHECK(b.get().ledger()[0].slot_wait == 3s);

    auto pool = scripted_client(time, {ok().after(3s), ok()}, patient().pool({.max_connections = 1}));
    auto c = time.start(pool.get("/").send());
    auto d = time.start(pool.get("/").send());
    time.run_until_idle();
    CHECK(c.get().ledger()[0].pool_wait == 0s);
    CHECK(d.get().ledger()[0].pool_wait == 3s);
}

TEST_CASE("stale: a request that met a dead idle connection is sent again, as part of the same attempt", "[client][stale]")
{
    VirtualTime time;
    const TokenBucketRateLimiter limiter{{.rate = 1, .period = 10000h, .burst = 10}};
    const CircuitBreaker breaker{{.consecutive_failures = 1}};
    const Reply death = GENERATE(reset(), close_without_answer());
    auto api = scripted_client(time, {ok(), death, ok("again")}, patient(), limiter, breaker, exact_retry());
    (void)time.run(api.get("/").send());

    const auto response = time.run(api.get("/").send());

    CHECK(response.body() == "again");
    REQUIRE(response.ledger().size() == 1);
    CHECK(response.ledger()[0].replayed);
    CHECK_FALSE(response.ledger()[0].reused);
    CHECK_THAT(response.ledger().summary(), contains("replayed"));
    CHECK(time.elapsed() == 0s);
    CHECK(api.server().requests().size() == 3);
    CHECK(limiter.tokens(time.now()) == Approx(8));
    CHECK(breaker.state(time.now()) == BreakerState::closed);
}

TEST_CASE("stale: a POST without a key is not sent again, and the error says what may have happened", "[client][stale]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok(), reset()}, patient(), exact_retry());
    (void)time.run(api.get("/").send());

    const auto error = time.run(api.post("/").try_send()).error();

    CHECK(error.kind() == ErrorKind::connection_lost);
    CHECK(error.maybe_processed());
    CHECK(error.ledger().size() == 1);
    CHECK(error.ledger().stop_reason() == StopReason::not_replayable);
    CHECK(api.server().requests().size() == 2);
}

TEST_CASE("stale: a POST with a key is sent again, whole", "[client][stale]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok(), reset(), ok()}, patient());
    (void)time.run(api.get("/").send());

    (void)time.run(api.post("/").idempotency_key("k").body("all of it").send());

    CHECK(api.received(1).body == "all of it");
    CHECK(api.received(2).body == "all of it");
}

TEST_CASE("stale: it is sent again on a connection that nobody has used, and other idle ones are given up", "[client][stale]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok().after(1s), ok().after(1s), reset(), ok()}, patient());
    auto one = time.start(api.get("/").send());
    auto two = time.start(api.get("/").send());
    time.run_for(1s);
    REQUIRE(api.connections().idle == 2);

    CHECK(time.run(api.get("/").send()).ledger()[0].replayed);

    CHECK(api.received(3).connection == 3);
    CHECK(api.connections().open() == 1);
}

TEST_CASE("stale: it is sent again once", "[client][stale]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok(), reset(), reset()}, patient());
    (void)time.run(api.get("/").send());

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK(error.kind() == ErrorKind::connection_lost);
    CHECK(error.ledger()[0].replayed);
    CHECK(api.server().requests().size() == 3);
}

TEST_CASE("stale: a connection that fails on its first request is no stale one", "[client][stale]")
{
    VirtualTime time;
    auto api = scripted_client(time, {reset()}, patient());

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK(error.kind() == ErrorKind::connection_lost);
    CHECK_FALSE(error.ledger()[0].replayed);
    CHECK(api.server().requests().size() == 1);
}

TEST_CASE("an error after the head of an answer has its status and headers, and so does the ledger", "[client][ledger]")
{
    VirtualTime time;
    auto api =
        scripted_client(time, {raw("HTTP/1.1 200 OK\r\nX-Id: 7\r\nContent-Length: 5\r\n\r\nhel").then_close()}, patient());

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK(error.kind() == ErrorKind::truncated_body);
    CHECK(error.status() == 200);
    CHECK(error.headers().get("X-Id") == "7");
    CHECK(error.ledger()[0].status == 200);
    CHECK(error.ledger()[0].error == ErrorKind::truncated_body);
    CHECK_THAT(error.message(), contains("(status 200)"));
}

TEST_CASE("a status that fails the call is told though the text with it is too long", "[client]")
{
    VirtualTime time;
    const Reply busy = raw("HTTP/1.1 503 Busy\r\nRetry-After: 3\r\nContent-Length: 100\r\n\r\n" + std::string(100, 'x'));
    ReaderLimits limits;
    limits.max_body_bytes = 10;
    auto api = scripted_client(time, {busy, busy}, patient().limits(limits));

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK(error.kind() == ErrorKind::status);
    CHECK(error.status() == 503);
    CHECK(error.retry_after() == 3s);
    CHECK(error.retryable());
    CHECK(api.connections().open() == 0);
    CHECK(time.run(api.get("/").raise_for_status(false).try_send()).error().kind() == ErrorKind::body_too_large);
}

TEST_CASE("stale: a part of an answer ends the matter", "[client][stale]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok(), reset_after(10, ok("x"))}, patient());
    (void)time.run(api.get("/").send());

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK_FALSE(error.ledger()[0].replayed);
    CHECK(error.maybe_processed());
    CHECK(api.server().requests().size() == 2);
}

TEST_CASE("stale: sending again can be switched off", "[client][stale]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok(), reset()}, patient().replay_stale(false));
    (void)time.run(api.get("/").send());

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK(error.kind() == ErrorKind::connection_lost);
    CHECK(api.server().requests().size() == 2);
}

TEST_CASE("an attempt that got no connection gives its token back", "[client]")
{
    VirtualTime time;
    const TokenBucketRateLimiter limiter{{.rate = 1, .period = 10000h, .burst = 10}};
    const RateLimitedExecutor both{{.rate = 1, .period = 10000h, .burst = 1}};
    auto api = scripted_client(time, {}, patient(), limiter);
    auto other = scripted_client(time, {}, patient(), both);
    api.address().refuse();
    other.address().refuse();

    (void)time.run(api.get("/").try_send());
    (void)time.run(other.get("/").try_send());
    other.address().accept();

    CHECK(limiter.tokens(time.now()) == 10);
    CHECK(time.run(other.get("/").try_send()).has_value());
}

} // namespace khive_tests::policy_core_test

// SPDX-License-Identifier: BSL-1.0
// A client with all its policies and its pool, over real connections to a server in a bad mood, under several threads: timeouts
// of microseconds, cancellation at any moment, close and destruction while calls run.
#include "stress/stress.hpp"

#include <khive/client/async_api_client.hpp>
#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>
#include <khive/testing/fault_server.hpp>

namespace khive_tests::client_stress_test {

using namespace khive::testing;

namespace {

constexpr std::size_t connections = 4;

/// Answers with the target, and spoils some answers.
Reply moody(const ReceivedRequest& request)
{
    if (request.target == "/last") return ok(request.target);
    switch (request.number % 23) {
    case 3: return reset();
    case 7: return close_without_answer();
    case 11: return ok(request.target).cut_after(30).then_reset();
    case 13: return ok(request.target).header("Connection", "close");
    case 15: return ok(request.target).in_pieces(20);
    case 17: return no_answer();
    case 19: return status(503);
    case 21: return ok(request.target).then_close();
    default: return ok(request.target);
    }
}

struct Tally {
    std::atomic<int> answered{0};
    std::atomic<int> failed{0};
    std::atomic<int> wrong{0};
    std::atomic<std::size_t> most_open{0};
};

/// A limit of the caller's own for some of the calls.
struct Plan {
    int number;
    Duration timeout;
    bool writes;
};

Plan plan(Dice& dice, int number)
{
    const Duration timeout = dice.chance(0.3) ? Duration{std::chrono::microseconds{dice.whole(50, 3'000)}} : Duration{50ms};
    return {number, timeout, dice.chance(0.2)};
}

void check_answer(const Result<Response>& result, const std::string& expected, Tally& tally)
{
    if (!result) {
        ++tally.failed;
        return;
    }
    ++tally.answered;
    if (result->body() != expected) ++tally.wrong;
}

/// Two calls, one after the other. The client is a handle of the caller's.
asio::awaitable<void> call_twice(AnyAPIClient api, Tally* tally, Plan plan)
{
    for (int i = 0; i < 2; ++i) {
        const std::string path = "/" + std::to_string(plan.number) + "/" + std::to_string(i);
        auto request = api.request(plan.writes ? "POST" : "GET", path);
        request.timeout(plan.timeout);
        auto sending = std::move(request).try_send();
        const auto result = co_await std::move(sending);
        check_answer(result, path, *tally);
        if (api.connections().open() > connections) ++tally->wrong;
    }
}

/// One call that does not keep the client open.
asio::awaitable<void> finish_call(asio::awaitable<Result<Response>> call, Tally* tally, std::string path)
{
    const auto result = co_await std::move(call);
    check_answer(result, path, *tally);
}

asio::awaitable<void> close_client(AnyAPIClient api, Duration timeout)
{
    auto closing = api.close(timeout);
    (void)co_await std::move(closing);
}

ClientOptions options(const FaultServer& server)
{
    return ClientOptions(server.url())
        .pool({.max_connections = connections, .max_waiting = 20, .idle_timeout = 60ms})
        .timeouts({.pool_wait = 20ms, .total = 50ms});
}

/// Nothing is under way.
bool is_at_rest(const AnyAPIClient& api)
{
    const net::PoolCounts counts = api.connections();
    return api.in_flight() == 0 && counts.leased == 0 && counts.waiting == 0 && counts.connecting == 0;
}

asio::awaitable<void> call_last(AnyAPIClient api, std::atomic<int>* good)
{
    for (int i = 0; i < 20; ++i) {
        auto sending = api.get("/last").timeout(5s).try_send();
        const auto result = co_await std::move(sending);
        if (result && result->body() == "/last") {
            good->fetch_add(1);
            co_return;
        }
    }
}

} // namespace

TEST_CASE("Stress: of a client with all policies each call ends once with its own answer", "[stress][client]")
{
    FaultServer server(moody);
    server.forget_requests();
    Threads threads;
    const AsyncExecutor executor{{.max_concurrency = 6}};
    TokenBucketRateLimiter limiter{{.rate = 50'000, .burst = 20}};
    const CircuitBreaker breaker{{.consecutive_failures = 10, .open_for = 200us}};
    const RetryWithBackoff retry{{.max_attempts = 3, .base_delay = 100us, .max_delay = 1ms}};
    const AnyAPIClient api = AsyncAPIClient(threads.main(), options(server), limiter, executor, breaker, retry);
    Tally tally;
    Rounds rounds("client");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        Callers callers(threads);
        for (int i = 0; i < 30; ++i) {
            callers.start(dice, call_twice(api, &tally, plan(dice, i)));
            if (dice.chance(0.4)) callers.cancel_one(dice);
            if (dice.chance(0.03)) breaker.isolate();
            if (dice.chance(0.05)) breaker.reset();
            if (dice.chance(0.05)) limiter.set_rate(dice.real(5'000, 50'000));
            if (dice.chance(0.02)) server.reset_connections();
            if (dice.chance(0.2)) spin(100us);
        }
        breaker.reset();
        for (int i = 0; i < 5; ++i) {
            spin(200us);
            callers.cancel_one(dice);
        }
        rounds.count(2 * callers.size(), callers.cancelled());

        REQUIRE(callers.missing() == 0);
        CHECK(tally.wrong == 0);
        CHECK(eventually([&] { return is_at_rest(api); }));
        CHECK(eventually([&] { return executor.stats().running == 0; }));
        CHECK(executor.stats().queued == 0);
        CHECK(limiter.waiting() == 0);
    }
    breaker.reset();
    std::atomic<int> good{0};
    Dice dice(1);
    Callers last(threads);
    last.start(dice, call_last(api, &good));
    REQUIRE(last.missing() == 0);
    CHECK(good == 1);
    CHECK(tally.answered > 0);
}

TEST_CASE("Stress: a client that is closed while calls begin ends them all", "[stress][client]")
{
    FaultServer server(moody);
    server.forget_requests();
    Threads threads;
    RateLimitedExecutor dispatch{{.rate = 50'000, .burst = 20, .max_concurrency = 6}};
    Tally tally;
    Rounds rounds("client, close");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        // On a strand too: its connections are watched although they count as no work.
        const asio::any_io_executor executor = dice.chance(0.5) ? asio::any_io_executor(threads.main().get_executor())
                                                                : asio::any_io_executor(asio::make_strand(threads.main()));
        const AnyAPIClient api = AsyncAPIClient(executor, options(server), dispatch, RetryWithBackoff{{.base_delay = 100us}});
        Callers callers(threads);
        const Duration timeout = dice.chance(0.5) ? Duration{10s} : Duration{std::chrono::microseconds{dice.whole(1, 2'000)}};
        const int closes_at = dice.whole(0, 19);
        for (int i = 0; i < 20; ++i) {
            callers.start(dice, call_twice(api, &tally, plan(dice, i)));
            if (i == closes_at || dice.chance(0.05)) callers.start(dice, close_client(api, timeout));
            if (dice.chance(0.2)) callers.cancel_one(dice);
        }
        rounds.count(2 * callers.size(), callers.cancelled());

        REQUIRE(callers.missing() == 0);
        CHECK(tally.wrong == 0);
        CHECK(eventually([&] { return is_at_rest(api) && api.connections().open() == 0; }));
        CHECK(eventually([&] { return dispatch.stats().running == 0; }));
        CHECK(dispatch.stats().queued == 0);
    }
}

TEST_CASE("Stress: the last handle of a client goes while its calls run", "[stress][client]")
{
    FaultServer server(moody);
    server.forget_requests();
    Tally tally;
    Rounds rounds("client, destruction");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        Threads threads;
        const bool context_first = dice.chance(0.3);
        if (context_first) threads.use_one_context();
        auto api = std::make_unique<AsyncAPIClient<AsyncExecutor, CircuitBreaker>>(
            threads.main(), options(server), AsyncExecutor{{.max_concurrency = 3}}, CircuitBreaker{});
        Callers callers(threads);
        for (int i = 0; i < 16; ++i) {
            const std::string path = "/" + std::to_string(i);
            callers.start(dice, finish_call(api->get(path).timeout(50ms).try_send(), &tally, path));
            if (dice.chance(0.2)) callers.cancel_one(dice);
        }
        spin(std::chrono::microseconds{dice.whole(0, 2'000)});
        if (context_first) threads.stop(); // what still runs is destroyed with the context
        api.reset();
        rounds.count(callers.size(), callers.cancelled());

        if (!context_first) REQUIRE(callers.missing() == 0);
        CHECK(tally.wrong == 0);
    }
    server.wait_for_open_connections(0);
}

} // namespace khive_tests::client_stress_test

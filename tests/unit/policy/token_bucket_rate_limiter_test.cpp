// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include <khive/core/exceptions.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <atomic>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace khive_tests::token_bucket_rate_limiter_test {

using namespace std::chrono_literals;
using khive::AcquireOptions;
using khive::Duration;
using khive::ErrorKind;
using khive::Result;
using khive::TokenBucketRateLimiter;
using khive::testing::VirtualTime;

namespace {

/// Who was let through, and when.
struct Log {
    std::vector<int> order;
    std::vector<Duration> times;
};

asio::awaitable<void> pass(TokenBucketRateLimiter limiter, VirtualTime* time, Log* log, int who, AcquireOptions options)
{
    co_await limiter.acquire(options);
    log->order.push_back(who);
    log->times.push_back(time->elapsed());
}

asio::awaitable<int> pass_once(TokenBucketRateLimiter limiter, AcquireOptions options)
{
    co_await limiter.acquire(options);
    co_return 1;
}

asio::awaitable<std::optional<ErrorKind>> refusal(TokenBucketRateLimiter limiter, AcquireOptions options)
{
    const Result<void> acquired = co_await limiter.acquire_or_error(options);
    if (acquired) co_return std::nullopt;
    co_return acquired.error().kind();
}

void take_everything(const TokenBucketRateLimiter& limiter, khive::TimePoint now)
{
    auto copy = limiter;
    while (copy.try_acquire(1, now)) continue;
}

} // namespace

TEST_CASE("TokenBucketRateLimiter: who waits is let through one by one at the rate", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 2}};
    Log log;

    for (int i = 0; i < 6; ++i) time.spawn(pass(limiter, &time, &log, i, {}));
    time.run_for(10s);

    CHECK(log.order == std::vector{0, 1, 2, 3, 4, 5});
    CHECK(log.times == std::vector<Duration>{0ms, 0ms, 100ms, 200ms, 300ms, 400ms});
    CHECK(limiter.waiting() == 0);
}

TEST_CASE("TokenBucketRateLimiter: try_acquire never waits and never overtakes", "[policy][limiter][RL-7]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 5}};
    Log log;
    take_everything(limiter, time.now());
    time.spawn(pass(limiter, &time, &log, 1, {.cost = 5}));
    time.run_for(200ms); // two tokens are there, and somebody waits for five

    CHECK_FALSE(limiter.try_acquire(1, time.now()));
    CHECK(limiter.waiting() == 1);
    time.run_for(300ms);
    CHECK(log.times == std::vector<Duration>{500ms});
    CHECK_FALSE(limiter.try_acquire(1, time.now()));
    time.run_for(100ms);
    CHECK(limiter.try_acquire(1, time.now()));
}

TEST_CASE("TokenBucketRateLimiter: a large request is not starved by small ones", "[policy][limiter][RL-7]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 5}};
    Log log;
    take_everything(limiter, time.now());

    time.spawn(pass(limiter, &time, &log, 0, {.cost = 5}));
    for (int i = 1; i < 4; ++i) time.spawn(pass(limiter, &time, &log, i, {}));
    time.run_for(2s);

    CHECK(log.order == std::vector{0, 1, 2, 3});
    CHECK(log.times == std::vector<Duration>{500ms, 600ms, 700ms, 800ms});
}

TEST_CASE("TokenBucketRateLimiter: a wait that cannot end in time is refused at once with its length", "[policy][limiter][RL-9]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 1, .burst = 2}};
    take_everything(limiter, time.now());
    const bool by_deadline = GENERATE(false, true);
    const AcquireOptions impatient = by_deadline ? AcquireOptions{.cost = 2, .deadline = time.now() + 1999ms}
                                                 : AcquireOptions{.cost = 2, .max_wait = 1999ms};

    auto attempt = limiter.acquire_or_error(impatient);
    const Result<void> refused = time.run(std::move(attempt));

    REQUIRE(refused.has_error());
    CHECK(refused.error().kind() == ErrorKind::rate_limited);
    CHECK(refused.error().retry_after() == Duration{2s});
    CHECK(time.elapsed() == 0s);
    CHECK_THROWS_AS(time.run(limiter.acquire(impatient)), khive::LocalRateLimitError);
}

TEST_CASE("TokenBucketRateLimiter: a wait that just fits is granted", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 1, .burst = 2}};
    take_everything(limiter, time.now());

    time.run(limiter.acquire({.cost = 2, .max_wait = 2s}));

    CHECK(time.elapsed() == 2s);
}

TEST_CASE("TokenBucketRateLimiter: the estimated wait counts those who wait already", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 1}};
    Log log;
    CHECK(limiter.estimated_wait(1, time.now()) == 0s);

    for (int i = 0; i < 4; ++i) time.spawn(pass(limiter, &time, &log, i, {}));
    time.settle();

    CHECK(limiter.waiting() == 3);
    CHECK(limiter.estimated_wait(1, time.now()) == 400ms);
    CHECK(time.run(refusal(limiter, {.max_wait = 399ms})) == ErrorKind::rate_limited);
}

TEST_CASE("TokenBucketRateLimiter: a queue has a bound", "[policy][limiter][RL-11]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 1, .max_waiters = 2}};
    Log log;
    for (int i = 0; i < 3; ++i) time.spawn(pass(limiter, &time, &log, i, {}));
    time.settle();

    CHECK(time.run(refusal(limiter, {})) == ErrorKind::queue_full);
    CHECK(limiter.waiting() == 2);
    time.run_for(100ms);
    CHECK(limiter.waiting() == 1);
}

TEST_CASE("TokenBucketRateLimiter: with no room to wait it still lets through what can go", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 1, .max_waiters = 0}};

    CHECK(time.run(refusal(limiter, {})) == std::nullopt);
    CHECK(time.run(refusal(limiter, {})) == ErrorKind::queue_full);
}

TEST_CASE("TokenBucketRateLimiter: a cancelled waiter charges nothing and those behind move up", "[policy][limiter][RL-10]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 5}};
    Log log;
    take_everything(limiter, time.now());
    auto first = time.start(pass_once(limiter, {.cost = 5}));
    time.settle();
    time.spawn(pass(limiter, &time, &log, 1, {}));
    time.run_for(150ms);

    first.cancel();
    time.settle();

    CHECK_THROWS_AS(first.get(), khive::CancelledError);
    CHECK(log.times == std::vector<Duration>{150ms});
    CHECK(limiter.tokens(time.now()) == Approx(0.5));
}

TEST_CASE("TokenBucketRateLimiter: execute cancelled after the grant and before its start gives the token back", "[policy][limiter][RL-10]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 1}};
    take_everything(limiter, time.now());
    auto fn = [] { return give(1); };
    auto call = time.start(limiter.execute(fn));
    time.settle();

    call.cancel(); // posted, as the grant is
    time.service().advance_to(time.now() + 100ms);
    REQUIRE(limiter.waiting() == 0);
    time.settle();

    CHECK_THROWS(call.get());
    CHECK(limiter.tokens(time.now()) == Approx(1));
}

TEST_CASE("TokenBucketRateLimiter: a token that is not spent goes back exactly", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 5}};

    {
        auto token = limiter.try_take(3, time.now());
        REQUIRE(token);
        CHECK(limiter.tokens(time.now()) == 2);
        auto moved = std::move(*token);
        CHECK(limiter.tokens(time.now()) == 2);
    }
    CHECK(limiter.tokens(time.now()) == 5);

    limiter.try_take(3, time.now())->spend();
    CHECK(limiter.tokens(time.now()) == 2);
}

TEST_CASE("TokenBucketRateLimiter: a token given back serves the next waiter at once", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 1, .burst = 3}};
    Log log;
    auto token = limiter.try_take(3, time.now());
    time.spawn(pass(limiter, &time, &log, 1, {.cost = 2}));
    time.run_for(500ms);
    REQUIRE(log.order.empty());

    token.reset();
    time.settle();

    CHECK(log.times == std::vector<Duration>{500ms});
}

TEST_CASE("TokenBucketRateLimiter: assigning a token gives the old one back", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 1, .burst = 5}};
    auto token = limiter.try_take(3, time.now()).value();

    token = limiter.try_take(1, time.now()).value();

    CHECK(limiter.tokens(time.now()) == 4);
    token.spend();
    token.spend(); // again: nothing
    CHECK(limiter.tokens(time.now()) == 4);
}

TEST_CASE("TokenBucketRateLimiter: a token may outlive every handle", "[policy][limiter]")
{
    VirtualTime time;
    const bool spent = GENERATE(false, true);
    auto limiter = std::make_unique<TokenBucketRateLimiter>(khive::TokenBucketOptions{.rate = 1, .burst = 5});
    auto first = limiter->try_take(1, time.now());
    auto second = limiter->try_take(1, time.now());
    limiter->try_take(1, time.now())->spend();
    limiter.reset();

    if (spent) first->spend();
    first.reset();
    second->spend();
    SUCCEED("the sanitizers have nothing to say");
}

TEST_CASE("TokenBucketRateLimiter: execute spends its token whether or not the function fails", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 1, .burst = 5}};
    auto fails = [] { return throwing(std::runtime_error("no")); };
    auto works = [] { return give(7); };

    CHECK(time.run(limiter.execute(works)) == 7);
    CHECK_THROWS_AS(time.run(limiter.execute(fails, {.cost = 2})), std::runtime_error);

    CHECK(limiter.tokens(time.now()) == 2);
}

TEST_CASE("TokenBucketRateLimiter: execute is refused with the limiter's own error and does not call", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 1, .burst = 1}};
    take_everything(limiter, time.now());
    int calls = 0;
    auto fn = [&calls] { return give(++calls); };

    CHECK_THROWS_AS(time.run(limiter.execute(fn, {.max_wait = 10ms})), khive::LocalRateLimitError);

    CHECK(calls == 0);
}

TEST_CASE("TokenBucketRateLimiter: a raised rate serves those who wait earlier", "[policy][limiter][RL-9]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 1, .burst = 1}};
    Log log;
    take_everything(limiter, time.now());
    for (int i = 0; i < 3; ++i) time.spawn(pass(limiter, &time, &log, i, {}));
    time.run_for(500ms);

    limiter.set_rate(10, std::nullopt, time.now());
    time.run_for(1s);

    CHECK(log.times == std::vector<Duration>{550ms, 650ms, 750ms});
}

TEST_CASE("TokenBucketRateLimiter: a lowered rate holds those back who wait", "[policy][limiter][RL-9]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 1}};
    Log log;
    take_everything(limiter, time.now());
    time.spawn(pass(limiter, &time, &log, 0, {}));
    time.spawn(pass(limiter, &time, &log, 1, {}));
    time.run_for(50ms);

    limiter.set_rate(1, std::nullopt, time.now());
    time.run_for(10s);

    CHECK(log.times == std::vector<Duration>{550ms, 1550ms});
}

TEST_CASE("TokenBucketRateLimiter: a deadline that a lowered rate breaks ends in a timeout of the queue", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 1}};
    take_everything(limiter, time.now());
    auto call = time.start(pass_once(limiter, {.max_wait = 200ms}));
    time.settle();

    limiter.set_rate(0.1, std::nullopt, time.now());
    time.run_for(200ms);

    REQUIRE(call.done());
    CHECK_THROWS_AS(call.get(), khive::APITimeoutError);
    CHECK(time.elapsed() == 200ms);
    CHECK(limiter.waiting() == 0);
}

TEST_CASE("TokenBucketRateLimiter: a burst reduced below a waiter's cost does not block the queue", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 1, .burst = 10}};
    Log log;
    take_everything(limiter, time.now());
    time.spawn(pass(limiter, &time, &log, 0, {.cost = 8}));
    time.spawn(pass(limiter, &time, &log, 1, {}));
    time.settle();

    limiter.set_rate(1, 2, time.now());
    time.run_for(20s);

    CHECK(log.order == std::vector{0, 1});
    CHECK(log.times == std::vector<Duration>{2s, 9s});
}

TEST_CASE("TokenBucketRateLimiter: impossible costs are typed errors", "[policy][limiter][RL-4][RL-5]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 10}};
    const double cost = GENERATE(0.0, -1.0, 10.5, 1000.0, std::numeric_limits<double>::quiet_NaN(),
                                 std::numeric_limits<double>::infinity());

    CHECK(limiter.check_cost(cost)->kind() == ErrorKind::invalid_argument);
    CHECK_FALSE(limiter.try_take(cost, time.now()));
    CHECK_THROWS_AS(limiter.try_acquire(cost, time.now()), khive::InvalidArgumentError);
    CHECK_THROWS_AS(limiter.estimated_wait(cost, time.now()), khive::InvalidArgumentError);
    CHECK(time.run(refusal(limiter, {.cost = cost})) == ErrorKind::invalid_argument);
    CHECK(limiter.tokens(time.now()) == 10);
}

TEST_CASE("TokenBucketRateLimiter: bad options are refused at construction", "[policy][limiter][RL-5]")
{
    CHECK_THROWS_AS(TokenBucketRateLimiter({.rate = 0}), khive::ConfigurationError);
    CHECK_THROWS_WITH(TokenBucketRateLimiter({.rate = -1}), khive_tests::contains("TokenBucketRateLimiter: rate is -1"));
    TokenBucketRateLimiter limiter{{.rate = 1}};
    CHECK_THROWS_AS(limiter.set_rate(-3), khive::ConfigurationError);
}

TEST_CASE("TokenBucketRateLimiter: copies share the bucket and the queue", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter one{{.rate = 10, .burst = 2}};
    TokenBucketRateLimiter other = one;
    Log log;

    CHECK(one.try_acquire(1, time.now()));
    CHECK(other.try_acquire(1, time.now()));
    CHECK_FALSE(one.try_acquire(1, time.now()));
    time.spawn(pass(one, &time, &log, 1, {}));
    time.spawn(pass(other, &time, &log, 2, {}));
    time.run_for(1s);
    CHECK(log.order == std::vector{1, 2});
}

TEST_CASE("TokenBucketRateLimiter: contexts that share it and end at different times lose nothing", "[policy][limiter]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 1}};
    Log log;
    take_everything(limiter, time.now());
    {
        VirtualTime doomed;
        doomed.spawn(pass(limiter, &doomed, &log, 1, {}));
        doomed.settle();
        time.spawn(pass(limiter, &time, &log, 2, {}));
        time.settle();
        CHECK(limiter.waiting() == 2);
    }
    CHECK(limiter.waiting() == 1);
    time.run_for(100ms);
    CHECK(log.order == std::vector{2});
}

TEST_CASE("TokenBucketRateLimiter: threads never get more than there is between them", "[policy][limiter][threads]")
{
    // Far from full, so that what goes back finds room in any order.
    TokenBucketRateLimiter limiter{{.rate = 1e-3, .burst = 10'000, .initial_tokens = 1000}};
    std::atomic<int> taken{0};
    const khive::TimePoint now = khive::TimePoint{} + 1h;
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&taken, now, mine = limiter]() mutable {
                for (int k = 0; k < 2000; ++k) {
                    auto token = mine.try_take(1, now);
                    if (!token || k % 7 == 0) continue; // some go back
                    token->spend();
                    ++taken;
                }
            });
    }
    CHECK(taken == 1000);
}

} // namespace khive_tests::token_bucket_rate_limiter_test

// SPDX-License-Identifier: BSL-1.0
// The rate limiter's defects of the origin, each impossible here.
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include <khive/core/exceptions.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <algorithm>
#include <functional>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

namespace khive_tests::rl_rate_limiter_test {

using namespace std::chrono_literals;
using khive::Duration;
using khive::ErrorKind;
using khive::TokenBucketRateLimiter;
using khive::testing::Started;
using khive::testing::VirtualTime;

namespace {

asio::awaitable<void> start_note(VirtualTime* time, std::vector<Duration>* starts)
{
    starts->push_back(time->elapsed());
    co_return;
}

asio::awaitable<void> call_once(TokenBucketRateLimiter limiter, VirtualTime* time, std::vector<Duration>* starts)
{
    auto fn = [time, starts] { return start_note(time, starts); };
    co_await limiter.execute(fn);
}

asio::awaitable<void> call_in_series(TokenBucketRateLimiter limiter, VirtualTime* time, std::vector<Duration>* starts, int count)
{
    for (int i = 0; i < count; ++i) co_await call_once(limiter, time, starts);
}

std::vector<Duration> starts_of_concurrent_calls(TokenBucketRateLimiter limiter, VirtualTime& time, int count)
{
    std::vector<Duration> starts;
    for (int i = 0; i < count; ++i) time.spawn(call_once(limiter, &time, &starts));
    time.run_for(1h);
    return starts;
}

asio::awaitable<int> acquire_once(TokenBucketRateLimiter limiter, double cost)
{
    co_await limiter.acquire(cost);
    co_return 1;
}

} // namespace

TEST_CASE("RL-1: a hundred concurrent callers start one by one, each at its own time", "[defect][RL-1]")
{
    VirtualTime time;
    const auto starts = starts_of_concurrent_calls(TokenBucketRateLimiter({.rate = 10}), time, 100);

    REQUIRE(starts.size() == 100);
    CHECK(starts[9] == 0s);
    CHECK(starts[10] == 100ms);
    CHECK(starts.back() == 9s);
}

TEST_CASE("RL-2: the token that was waited for is charged", "[defect][RL-2]")
{
    VirtualTime time;
    std::vector<Duration> starts;

    time.run(call_in_series(TokenBucketRateLimiter({.rate = 10, .burst = 1}), &time, &starts, 21));

    CHECK(starts.back() == 2s);
}

TEST_CASE("RL-3: a rate below one per period is a limit too", "[defect][RL-3]")
{
    VirtualTime time;
    const auto starts = starts_of_concurrent_calls(TokenBucketRateLimiter({.rate = 0.5, .period = 100ms}), time, 50);

    REQUIRE(starts.size() == 50);
    CHECK(starts[1] == 200ms);
    CHECK(starts.back() == 49 * 200ms);
}

TEST_CASE("RL-4: a request larger than the bucket is an error and is not let through", "[defect][RL-4]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10}};
    int calls = 0;
    auto fn = [&calls] { return give(++calls); };

    CHECK_THROWS_AS(time.run(limiter.acquire(1000)), khive::InvalidArgumentError);
    CHECK_THROWS_AS(time.run(limiter.execute(fn, {.cost = 1000})), khive::InvalidArgumentError);

    CHECK(calls == 0);
    CHECK(time.elapsed() == 0s);
}

TEST_CASE("RL-5: no value that breaks the arithmetic gets in", "[defect][RL-5]")
{
    VirtualTime time;
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    constexpr double infinite = std::numeric_limits<double>::infinity();
    CHECK_THROWS_AS(TokenBucketRateLimiter({.rate = 0}), khive::ConfigurationError);
    CHECK_THROWS_AS(TokenBucketRateLimiter({.rate = nan}), khive::ConfigurationError);
    CHECK_THROWS_AS(TokenBucketRateLimiter({.rate = infinite}), khive::ConfigurationError);
    CHECK_THROWS_AS(TokenBucketRateLimiter({.rate = 1, .period = 0s}), khive::ConfigurationError);

    TokenBucketRateLimiter limiter{{.rate = 10}};
    CHECK_THROWS_AS(time.run(limiter.acquire(-5)), khive::InvalidArgumentError);
    CHECK_THROWS_AS(time.run(limiter.acquire(nan)), khive::InvalidArgumentError);
    CHECK(limiter.tokens(time.now()) == 10);
}

TEST_CASE("RL-6: burst and initial fill are choices, so a start need not be twice the rate", "[defect][RL-6]")
{
    VirtualTime time;
    const auto starts =
        starts_of_concurrent_calls(TokenBucketRateLimiter({.rate = 10, .burst = 1, .initial_tokens = 1}), time, 30);

    CHECK(std::count_if(starts.begin(), starts.end(), [](Duration at) { return at < 1s; }) == 10);
}

TEST_CASE("RL-7: a newcomer does not overtake those who wait", "[defect][RL-7]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 2}};
    REQUIRE(limiter.try_acquire(2, time.now()));
    auto large = time.start(acquire_once(limiter, 2));
    time.run_for(150ms);

    auto small = time.start(acquire_once(limiter, 1));
    CHECK_FALSE(limiter.try_acquire(1, time.now()));
    time.run_for(50ms);

    CHECK(large.done());
    CHECK_FALSE(small.done());
}

TEST_CASE("RL-8: any callable will do", "[defect][RL-8]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10}};
    auto bound = std::bind(&give, 3);
    const std::function<asio::awaitable<int>()> erased = [] { return give(4); };

    CHECK(time.run(limiter.execute(bound)) == 3);
    CHECK(time.run(limiter.execute(erased)) == 4);
    CHECK(time.run(limiter.execute([owned = std::make_unique<int>(5)] { return give(*owned); })) == 5);
}

TEST_CASE("RL-9: a wait follows a change of the rate, has a maximum and can be asked for", "[defect][RL-9]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 1}};
    REQUIRE(limiter.try_acquire(1, time.now()));
    CHECK(limiter.estimated_wait(1, time.now()) == 100ms);
    auto waiter = time.start(acquire_once(limiter, 1));
    time.settle();

    limiter.set_rate(1, std::nullopt, time.now());
    time.run_for(999ms);
    CHECK_FALSE(waiter.done());
    time.run_for(1ms);
    CHECK(waiter.done());

    CHECK_THROWS_AS(time.run(limiter.acquire({.max_wait = 500ms})), khive::LocalRateLimitError);
}

TEST_CASE("RL-10: a cancelled waiter gives up its place and those behind move up", "[defect][RL-10]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 10, .burst = 1}};
    REQUIRE(limiter.try_acquire(1, time.now()));
    auto first = time.start(acquire_once(limiter, 1));
    auto second = time.start(acquire_once(limiter, 1));
    time.run_for(50ms);

    first.cancel();
    time.run_for(50ms);

    CHECK(second.done());
    CHECK(limiter.waiting() == 0);
}

TEST_CASE("RL-11: the number of waiters has a bound", "[defect][RL-11]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 1, .burst = 1, .max_waiters = 3}};
    REQUIRE(limiter.try_acquire(1, time.now()));
    std::vector<Started<int>> waiters;
    for (int i = 0; i < 3; ++i) waiters.push_back(time.start(acquire_once(limiter, 1)));
    time.settle();

    CHECK_THROWS_AS(time.run(limiter.acquire()), khive::QueueFullError);
    CHECK(limiter.waiting() == 3);
}

TEST_CASE("RL-12: the limiter's settings are not taken out of the function's arguments", "[defect][RL-12]")
{
    VirtualTime time;
    TokenBucketRateLimiter limiter{{.rate = 1, .burst = 5}};
    const std::string endpoint = "/items";
    const int tokens = 42;
    auto fn = [&] { return give(static_cast<int>(endpoint.size()) + tokens); };

    CHECK(time.run(limiter.execute(fn, {.cost = 2})) == 48);

    CHECK(limiter.tokens(time.now()) == 3);
}

} // namespace khive_tests::rl_rate_limiter_test

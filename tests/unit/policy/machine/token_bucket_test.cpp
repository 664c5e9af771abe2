// SPDX-License-Identifier: BSL-1.0
#include <khive/core/error.hpp>
#include <khive/core/exceptions.hpp>
#include <khive/policy/machine/token_bucket.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace khive_tests::token_bucket_test {

using namespace std::chrono_literals;
using khive::Duration;
using khive::TimePoint;
using khive::machine::TokenBucket;
using khive::machine::TokenBucketSettings;

namespace {

constexpr TimePoint start = TimePoint{} + 1h;

int take_all(TokenBucket& bucket, TimePoint now)
{
    int taken = 0;
    while (bucket.try_take(1, now)) ++taken;
    return taken;
}

std::string fault_of(const TokenBucketSettings& settings)
{
    try {
        TokenBucket bucket(settings, "Owner");
        return {};
    } catch (const khive::ConfigurationError& error) {
        return error.what();
    }
}

} // namespace

TEST_CASE("TokenBucket: lets the burst through at once and then the rate", "[policy][machine]")
{
    TokenBucket bucket({.rate = 10, .burst = 5});

    CHECK(take_all(bucket, start) == 5);
    CHECK(take_all(bucket, start + 99ms) == 0);
    CHECK(take_all(bucket, start + 100ms) == 1);
    CHECK(take_all(bucket, start + 400ms) == 3);
}

TEST_CASE("TokenBucket: the rate is per period", "[policy][machine]")
{
    TokenBucket bucket({.rate = 30, .period = 1min, .burst = 1});

    CHECK(bucket.try_take(1, start));
    CHECK(bucket.time_until(1, start) == 2s);
}

TEST_CASE("TokenBucket: the burst defaults to the rate, and is never below one token", "[policy][machine][RL-3]")
{
    const auto [rate, burst] = GENERATE(table<double, double>({{20, 20}, {1, 1}, {0.5, 1}, {0.001, 1}, {2.5, 2.5}}));

    CHECK(TokenBucket({.rate = rate}).burst() == burst);
}

TEST_CASE("TokenBucket: what it holds at first is a choice", "[policy][machine][RL-6]")
{
    const auto [initial, first] = GENERATE(table<double, int>({{-1, 10}, {0, 0}, {3, 3}, {10, 10}}));
    TokenBucket bucket({.rate = 10, .initial_tokens = initial});

    CHECK(take_all(bucket, start) == first);
    CHECK(take_all(bucket, start + 1s) == 10);
}

TEST_CASE("TokenBucket: idling does not save up more than the burst", "[policy][machine]")
{
    TokenBucket bucket({.rate = 10, .burst = 4});
    take_all(bucket, start);

    CHECK(take_all(bucket, start + 24h * 365) == 4);
}

TEST_CASE("TokenBucket: costs may be fractions and weights", "[policy][machine]")
{
    TokenBucket bucket({.rate = 10, .burst = 10});

    CHECK(bucket.try_take(7.5, start));
    CHECK_FALSE(bucket.try_take(3, start));
    CHECK(bucket.tokens(start) == Approx(2.5));
    CHECK(bucket.time_until(3, start) == 50ms);
    CHECK(bucket.try_take(3, start + 50ms));
}

TEST_CASE("TokenBucket: waiting for the announced time is enough and one tick less is not", "[policy][machine][RL-9]")
{
    const double rate = GENERATE(0.3, 1.0, 3.0, 7.0, 999.0, 1e6, 3e8);
    TokenBucket bucket({.rate = rate, .burst = 1});
    TimePoint now = start;
    for (int round = 0; round < 200; ++round) {
        REQUIRE(bucket.try_take(1, now));
        const Duration wait = bucket.time_until(1, now);
        REQUIRE(bucket.ready_at(1, now) == now + wait);
        REQUIRE_FALSE(bucket.try_take(1, now + wait - Duration{1}));
        now += wait;
    }
}

TEST_CASE("TokenBucket: a step back of time is ignored", "[policy][machine]")
{
    TokenBucket bucket({.rate = 10, .burst = 2});
    bucket.try_take(2, start);

    CHECK_FALSE(bucket.try_take(1, start - 1h));
    CHECK(bucket.tokens(start - 1h) == 0);
    CHECK(bucket.try_take(1, start + 100ms));
}

TEST_CASE("TokenBucket: giving back undoes the taking exactly", "[policy][machine][RL-10]")
{
    const double cost = GENERATE(1.0, 0.1, 2.7, 3.0);
    TokenBucket bucket({.rate = 7, .burst = 3});
    bucket.try_take(0.3, start);
    const std::string before = bucket.describe(start + 1s);

    REQUIRE(bucket.try_take(cost, start + 1s));
    bucket.give_back(cost, bucket.mark());

    CHECK(bucket.describe(start + 1s) == before);
}

TEST_CASE("TokenBucket: giving back never fills it above the burst", "[policy][machine]")
{
    TokenBucket bucket({.rate = 10, .burst = 3});
    bucket.try_take(2, start);

    bucket.give_back(2, bucket.mark());

    CHECK(bucket.tokens(start + 1s) == 3);
    CHECK(take_all(bucket, start + 1s) == 3);
}

TEST_CASE("TokenBucket: what was filled meanwhile is not given a second time by giving back", "[policy][machine][RL-1]")
{
    TokenBucket bucket({.rate = 10, .burst = 3});
    bucket.try_take(2, start);
    const auto taken = bucket.mark();

    bucket.try_take(1, start + 1s); // it was full again before, and would have spilled the 2
    bucket.give_back(2, taken);

    CHECK(bucket.tokens(start + 1s) == 2);
}

TEST_CASE("TokenBucket: giving back before it has filled up gives back everything", "[policy][machine][RL-10]")
{
    TokenBucket bucket({.rate = 10, .burst = 3, .initial_tokens = 2});
    bucket.try_take(2, start);
    const auto taken = bucket.mark();

    bucket.give_back(2, taken);
    CHECK(bucket.tokens(start) == 2);
    bucket.try_take(2, start);
    const auto later = bucket.mark();
    bucket.try_take(1, start + 100ms);
    bucket.give_back(2, later);

    CHECK(bucket.tokens(start + 100ms) == Approx(2));
}

TEST_CASE("TokenBucket: two that overlap give back everything in their order, and no more in another", "[policy][machine][RL-10]")
{
    const auto [in_order, left] = GENERATE(table<bool, double>({{true, 3.0}, {false, 2.0}}));
    TokenBucket bucket({.rate = 10, .burst = 3});
    bucket.try_take(1, start);
    const auto first = bucket.mark();
    bucket.try_take(1, start);
    const auto second = bucket.mark();

    bucket.give_back(1, in_order ? first : second);
    bucket.give_back(1, in_order ? second : first);

    CHECK(bucket.tokens(start) == left);
    CHECK(bucket.tokens(start + 1s) == 3);
}

TEST_CASE("TokenBucket: a change of rate does not work backwards", "[policy][machine][RL-9]")
{
    TokenBucket bucket({.rate = 1, .burst = 100, .initial_tokens = 0});
    bucket.try_take(1, start);

    bucket.change(100, 100, start + 10s);

    CHECK(bucket.tokens(start + 10s) == Approx(10));
    CHECK(bucket.tokens(start + 10s + 100ms) == Approx(20));
}

TEST_CASE("TokenBucket: a smaller burst cuts what is saved up", "[policy][machine]")
{
    TokenBucket bucket({.rate = 10, .burst = 50});
    bucket.try_take(1, start);

    bucket.change(10, 5, start);

    CHECK(take_all(bucket, start) == 5);
}

TEST_CASE("TokenBucket: a cost above a burst that was reduced needs a full bucket and leaves a debt", "[policy][machine]")
{
    TokenBucket bucket({.rate = 1, .burst = 10, .initial_tokens = 0});
    bucket.try_take(1, start);
    bucket.change(1, 2, start);

    CHECK(bucket.ready_at(6, start) == start + 2s);
    CHECK_FALSE(bucket.try_take(6, start + 2s - Duration{1}));
    CHECK(bucket.try_take(6, start + 2s));
    CHECK(bucket.tokens(start + 2s) == 0);
    CHECK(bucket.time_until(1, start + 2s) == 5s);
}

TEST_CASE("TokenBucket: a change before the first use keeps the initial tokens within the burst", "[policy][machine]")
{
    TokenBucket bucket({.rate = 10, .burst = 50, .initial_tokens = 20});

    bucket.change(10, 5, start);

    CHECK(take_all(bucket, start) == 5);
}

TEST_CASE("TokenBucket: settings out of range are refused and named", "[policy][machine][RL-5]")
{
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    constexpr double infinite = std::numeric_limits<double>::infinity();
    const auto [settings, text] = GENERATE(table<TokenBucketSettings, std::string>({
        {{.rate = -1}, "Owner: rate is -1, must be > 0"},
        {{.rate = 0}, "rate is 0"},
        {{.rate = nan}, "rate is "},
        {{.rate = infinite}, "rate is inf"},
        {{.rate = 1, .period = 0s}, "period is 0s, must be > 0"},
        {{.rate = 1, .period = -1s}, "period is -1s"},
        {{.rate = 1, .burst = 0.5}, "burst is 0.5, must be >= 1"},
        {{.rate = 1, .burst = -4}, "burst is -4"},
        {{.rate = 1, .burst = nan}, "burst is "},
        {{.rate = 1, .burst = infinite}, "burst is inf"},
        {{.rate = 1e-12, .burst = 100}, "within a century"},
        {{.rate = 1, .initial_tokens = 2}, "initial_tokens is 2, must be 0 to burst"},
        {{.rate = 1, .initial_tokens = -2}, "initial_tokens is -2"},
        {{.rate = 1, .initial_tokens = nan}, "initial_tokens is "},
    }));

    CHECK_THAT(fault_of(settings), khive_tests::contains(text));
}

TEST_CASE("TokenBucket: a change out of range is refused and changes nothing", "[policy][machine][RL-5]")
{
    TokenBucket bucket({.rate = 10, .burst = 5});
    bucket.try_take(2, start);

    CHECK_THROWS_AS(bucket.change(0, 5, start), khive::ConfigurationError);
    CHECK_THROWS_AS(bucket.change(10, 0, start), khive::ConfigurationError);
    CHECK(bucket.describe(start) == "3 of 5, 10 per 1s");
}

TEST_CASE("TokenBucket: extreme rates neither overflow nor over-admit", "[policy][machine]")
{
    const double rate = GENERATE(1e-6, 1e-3, 1e9, 1e15);
    TokenBucket bucket({.rate = rate, .burst = 1});

    CHECK(bucket.try_take(1, start));
    CHECK_FALSE(bucket.try_take(1, start));
    CHECK(bucket.time_until(1, start) > Duration::zero());
    CHECK(bucket.time_until(1e300, start) > 24h * 365 * 100);
}

namespace {

struct Admission {
    TimePoint at;
    double cost;
};

/// The most that any interval of the schedule admits beyond `rate * t`.
double largest_burst(const std::vector<Admission>& admitted, double rate)
{
    double level = 0;
    double largest = 0;
    for (std::size_t i = 0; i < admitted.size(); ++i) {
        if (i > 0) level = std::max(0.0, level - khive::to_seconds(admitted[i].at - admitted[i - 1].at) * rate);
        level += admitted[i].cost;
        largest = std::max(largest, level);
    }
    return largest;
}

} // namespace

TEST_CASE("TokenBucket: no interval of any schedule admits more than burst + rate * t", "[policy][machine][RL-1]")
{
    const auto seed = GENERATE(range(0U, 200U));
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> any(0.0, 1.0);
    const double rate = std::pow(10.0, any(random) * 6 - 2);
    const double burst = 1 + any(random) * 20;
    TokenBucket bucket({.rate = rate, .burst = burst});
    std::vector<Admission> admitted;
    std::vector<std::pair<double, TokenBucket::Mark>> held;

    TimePoint now = start;
    for (int step = 0; step < 500; ++step) {
        now += khive::from_seconds(any(random) * 2 / rate);
        const double cost = any(random) < 0.5 ? 1.0 : std::max(0.01, any(random) * burst);
        if (!bucket.try_take(cost, now)) continue;
        if (any(random) < 0.2)
            held.push_back({cost, bucket.mark()});
        else
            admitted.push_back({now, cost});
        if (!held.empty() && any(random) < 0.3) {
            bucket.give_back(held.back().first, held.back().second);
            held.pop_back();
        }
    }

    CHECK(largest_burst(admitted, rate) <= burst * (1 + 1e-9));
}

TEST_CASE("TokenBucket: at saturation hardly anything of the rate is lost", "[policy][machine]")
{
    const double rate = GENERATE(3.0, 77.0, 1234.5, 999983.0);
    TokenBucket bucket({.rate = rate, .burst = 1});
    TimePoint now = start;
    constexpr int count = 20'000;

    for (int taken = 0; taken < count; now = bucket.ready_at(1, now))
        if (bucket.try_take(1, now)) ++taken;

    CHECK(khive::to_seconds(now - start) * rate == Approx(count).epsilon(0.001));
}

} // namespace khive_tests::token_bucket_test

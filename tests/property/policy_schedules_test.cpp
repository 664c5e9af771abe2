// SPDX-License-Identifier: BSL-1.0
// What must hold for every schedule of arrivals, cancellations and changes: many seeded random ones on virtual time.
#include <khive/policy/async_executor.hpp>
#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/dice.hpp"
#include "support/guarded.hpp"

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <vector>

namespace khive_tests::policy_schedules_test {

using namespace std::chrono_literals;
using khive::Duration;
using khive::TimePoint;
using khive::testing::Started;
using khive::testing::VirtualTime;

namespace {

/// What happened to the callers of one schedule.
struct Record {
    struct Start {
        int who;
        TimePoint at;
        double cost;
    };
    std::vector<Start> started;
    int ended = 0;
    int refused = 0;
    int inside = 0;
    int most = 0;
};

/// The most that any interval admits beyond `rate * t`.
double largest_burst(const std::vector<Record::Start>& started, double rate)
{
    double level = 0;
    double largest = 0;
    TimePoint last{};
    for (const auto& start : started) {
        level = std::max(0.0, level - khive::to_seconds(start.at - last) * rate) + start.cost;
        largest = std::max(largest, level);
        last = start.at;
    }
    return largest;
}

/// Nobody starts later than somebody who came later. Who starts at the same moment may resume in any order.
bool in_order(const std::vector<Record::Start>& started)
{
    int last = -1;
    int last_before = -1;
    TimePoint now{};
    for (const auto& start : started) {
        if (start.at != now) last_before = last;
        now = start.at;
        if (start.who < last_before) return false;
        last = std::max(last, start.who);
    }
    return true;
}

asio::awaitable<int> acquire(khive::TokenBucketRateLimiter limiter, VirtualTime* time, Record* record, int who,
                             khive::AcquireOptions options)
{
    const auto acquired = co_await limiter.acquire_or_error(options);
    if (!acquired) {
        ++record->refused;
        co_return 0;
    }
    record->started.push_back({who, time->now(), options.cost});
    ++record->ended;
    co_return 1;
}

struct Inside {
    explicit Inside(Record* record) : record_(record) { record_->most = std::max(record_->most, ++record_->inside); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    ~Inside() { --record_->inside; }
    Record* record_;
};

asio::awaitable<int> work(VirtualTime* time, Record* record, int who, double cost, Duration length, bool fails)
{
    const Inside inside(record);
    record->started.push_back({who, time->now(), cost});
    co_await take(length);
    if (fails) throw std::runtime_error("fails");
    co_return 1;
}

template <class T>
struct Caller {
    Started<T> call;
    bool cancelled = false;
};

} // namespace

TEMPLATE_TEST_CASE_SIG("TokenBucketRateLimiter: every schedule keeps the bound, the order and the balance",
                       "[policy][limiter][property]", ((unsigned First), First), 0U, 500U, 1000U)
{
    const auto seed = GENERATE(range(First, First + 500U));
    Dice dice(seed);
    VirtualTime time;
    const double rate = dice.real(0.5, 50);
    const double burst = dice.whole(1, 8);
    khive::TokenBucketRateLimiter limiter{
        {.rate = rate, .burst = burst, .max_waiters = static_cast<std::size_t>(dice.whole(3, 40))}};
    Record record;
    std::vector<Caller<int>> callers;

    for (int who = 0; who < 40; ++who) {
        khive::AcquireOptions options{.cost = dice.chance(0.6) ? 1.0 : dice.real(0.05, burst)};
        if (dice.chance(0.2)) options.max_wait = khive::from_seconds(dice.real(0, 10 / rate));
        callers.push_back({time.start(acquire(limiter, &time, &record, who, options))});
        time.settle();
        if (dice.chance(0.5)) time.run_for(khive::from_seconds(dice.real(0, 3 / rate)));
        if (dice.chance(0.2)) callers[static_cast<std::size_t>(dice.whole(0, who))].call.cancel();
        if (dice.chance(0.1)) static_cast<void>(limiter.try_take(1, time.now())); // given back at once
    }
    time.run_for(khive::from_seconds(400 * burst / rate));

    CHECK(std::all_of(callers.begin(), callers.end(), [](const auto& caller) { return caller.call.done(); }));
    CHECK(limiter.waiting() == 0);
    CHECK(in_order(record.started));
    CHECK(largest_burst(record.started, rate) <= burst * (1 + 1e-9));
    CHECK(limiter.tokens(time.now()) == Approx(burst));
}

TEST_CASE("TokenBucketRateLimiter: a saturated queue uses all of the rate", "[policy][limiter][property]")
{
    const auto seed = GENERATE(range(0U, 50U));
    Dice dice(seed);
    VirtualTime time;
    const double rate = dice.real(0.5, 5000);
    khive::TokenBucketRateLimiter limiter{{.rate = rate, .burst = 1}};
    Record record;
    std::vector<Caller<int>> callers;
    for (int who = 0; who < 300; ++who) callers.push_back({time.start(acquire(limiter, &time, &record, who, {}))});

    time.run_for(khive::from_seconds(300 / rate));

    REQUIRE(record.started.size() == 300);
    CHECK(khive::to_seconds(record.started.back().at - record.started.front().at) <= 299 / rate * 1.001);
}

TEMPLATE_TEST_CASE_SIG("AsyncExecutor: every schedule holds the limit and balances its counts",
                       "[policy][executor][property]", ((unsigned First), First), 0U, 200U, 400U, 600U, 800U)
{
    const auto seed = GENERATE(range(First, First + 200U));
    Dice dice(seed);
    VirtualTime time;
    const int slots = dice.whole(1, 5);
    khive::AsyncExecutor executor{
        {.max_concurrency = static_cast<std::size_t>(slots), .max_queue = static_cast<std::size_t>(dice.whole(0, 12))}};
    Record record;
    std::vector<Caller<int>> callers;

    for (int who = 0; who < 40; ++who) {
        const auto length = std::chrono::milliseconds{dice.whole(0, 50)};
        const bool fails = dice.chance(0.1);
        auto fn = [&time, &record, who, length, fails] { return work(&time, &record, who, 0, length, fails); };
        callers.push_back({time.start(executor.execute(fn))});
        time.settle();
        if (dice.chance(0.5)) time.run_for(std::chrono::milliseconds{dice.whole(0, 20)});
        if (dice.chance(0.25)) callers[static_cast<std::size_t>(dice.whole(0, who))].call.cancel();
    }
    const bool abrupt = dice.chance(0.3);
    const auto report = time.run(executor.shutdown(abrupt ? 10ms : 1min));
    time.run_for(1s);

    const khive::ExecutorStats stats = executor.stats();
    CHECK(std::all_of(callers.begin(), callers.end(), [](const auto& caller) { return caller.call.done(); }));
    CHECK(report.left == 0);
    CHECK(record.most <= slots);
    CHECK(record.inside == 0);
    CHECK(in_order(record.started));
    CHECK(stats.running == 0);
    CHECK(stats.queued == 0);
    CHECK(stats.completed + stats.failed + stats.cancelled + stats.refused == 40);
}

TEMPLATE_TEST_CASE_SIG("RateLimitedExecutor: every schedule keeps both limits at once", "[policy][executor][property][CO-1]",
                       ((unsigned First), First), 0U, 200U, 400U, 600U, 800U)
{
    const auto seed = GENERATE(range(First, First + 200U));
    Dice dice(seed);
    VirtualTime time;
    const double rate = dice.real(5, 100);
    const double burst = dice.whole(1, 6);
    const int slots = dice.whole(1, 5);
    khive::RateLimitedExecutor executor{{.rate = rate, .burst = burst, .max_concurrency = static_cast<std::size_t>(slots)}};
    Record record;
    std::vector<Caller<int>> callers;

    for (int who = 0; who < 30; ++who) {
        const auto length = std::chrono::milliseconds{dice.chance(0.1) ? dice.whole(500, 2000) : dice.whole(0, 50)};
        const double cost = dice.chance(0.7) ? 1.0 : dice.real(0.1, burst);
        auto fn = [&time, &record, who, cost, length] { return work(&time, &record, who, cost, length, false); };
        callers.push_back({time.start(executor.execute(fn, cost))});
        time.settle();
        if (dice.chance(0.3)) time.run_for(khive::from_seconds(dice.real(0, 3 / rate)));
        if (dice.chance(0.2)) callers[static_cast<std::size_t>(dice.whole(0, who))].call.cancel();
    }
    time.run_for(10min);

    CHECK(std::all_of(callers.begin(), callers.end(), [](const auto& caller) { return caller.call.done(); }));
    CHECK(record.most <= slots);
    CHECK(in_order(record.started));
    CHECK(largest_burst(record.started, rate) <= burst * (1 + 1e-9));
    CHECK(executor.stats().running == 0);
    CHECK(executor.stats().queued == 0);
}

} // namespace khive_tests::policy_schedules_test

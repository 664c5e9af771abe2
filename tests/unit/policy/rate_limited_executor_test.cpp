// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/rate_limited_executor.hpp>

#include <khive/core/exceptions.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <limits>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

namespace khive_tests::rate_limited_executor_test {

using namespace std::chrono_literals;
using khive::Duration;
using khive::ErrorKind;
using khive::RateLimitedExecutor;
using khive::testing::VirtualTime;

TEST_CASE("RateLimitedExecutor: starts at the rate and within the slots", "[policy][executor]")
{
    VirtualTime time;
    RateLimitedExecutor executor{{.rate = 10, .burst = 1, .max_concurrency = 2}};
    std::vector<Duration> begun;
    auto fn = [&](Duration length) { return note_start(&time, &begun, length); };

    time.run(executor.map(std::vector<Duration>{1s, 1s, 10ms, 10ms}, fn));

    CHECK(begun == std::vector<Duration>{0ms, 100ms, 1s, 1100ms});
    CHECK(executor.stats().peak == 2);
}

TEST_CASE("RateLimitedExecutor: a grant is token and slot, and gives both back if nothing was spent", "[policy][executor]")
{
    VirtualTime time;
    RateLimitedExecutor executor{{.rate = 1, .burst = 2, .max_concurrency = 1}};

    CHECK(executor.try_dispatch(2, time.now()).has_value());

    auto grant = executor.try_dispatch(2, time.now());
    REQUIRE(grant);
    CHECK_FALSE(executor.try_dispatch(1, time.now()));
    grant->spend();
    grant.reset();
    CHECK(executor.stats().running == 0);
    CHECK_FALSE(executor.try_dispatch(1, time.now()));
    CHECK(executor.try_dispatch(1, time.now() + 1s));
}

TEST_CASE("RateLimitedExecutor: a cost is charged as given", "[policy][executor]")
{
    VirtualTime time;
    RateLimitedExecutor executor{{.rate = 1, .burst = 5, .max_concurrency = 8}};
    std::vector<Duration> begun;
    auto fn = [&] { return note_start(&time, &begun, 0s); };

    time.run(executor.execute(fn, 5));
    time.run(executor.execute(fn, 3));

    CHECK(begun == std::vector<Duration>{0s, 3s});
}

TEST_CASE("RateLimitedExecutor: impossible costs are typed errors and call nothing", "[policy][executor][RL-4]")
{
    VirtualTime time;
    RateLimitedExecutor executor{{.rate = 1, .burst = 5}};
    const double cost = GENERATE(0.0, -1.0, 5.5, std::numeric_limits<double>::quiet_NaN());
    auto fn = [] { return give(1); };

    CHECK_THROWS_AS(time.run(executor.execute(fn, cost)), khive::InvalidArgumentError);
    CHECK_FALSE(executor.try_dispatch(cost, time.now()));
    CHECK(time.run(executor.dispatch({.cost = cost})).error().kind() == ErrorKind::invalid_argument);
    CHECK(executor.check_cost(cost)->kind() == ErrorKind::invalid_argument);
    CHECK(executor.stats().running == 0);
}

TEST_CASE("RateLimitedExecutor: a wait for tokens that cannot end in time is refused at once", "[policy][executor]")
{
    VirtualTime time;
    RateLimitedExecutor executor{{.rate = 1, .burst = 1}};
    executor.try_dispatch(1, time.now())->spend();

    const auto refused = time.run(executor.dispatch({.deadline = time.now() + 900ms}));

    CHECK(refused.error().kind() == ErrorKind::rate_limited);
    CHECK(refused.error().retry_after() == Duration{1s});
    CHECK(time.elapsed() == 0s);
}

TEST_CASE("RateLimitedExecutor: a task cancelled while it waits charges nothing", "[policy][executor]")
{
    VirtualTime time;
    RateLimitedExecutor executor{{.rate = 1, .burst = 1}};
    executor.try_dispatch(1, time.now())->spend();
    auto fn = [] { return give(1); };
    auto task = executor.submit(time.executor(), fn);
    time.run_for(500ms);

    task.cancel();

    CHECK_THROWS_AS(time.run(std::move(task).join()), khive::CancelledError);
    CHECK_FALSE(executor.try_dispatch(1, time.now()));
    CHECK(executor.try_dispatch(1, time.now() + 500ms));
}

TEST_CASE("RateLimitedExecutor: shutdown drains at the rate", "[policy][executor]")
{
    VirtualTime time;
    RateLimitedExecutor executor{{.rate = 1, .burst = 1}};
    std::vector<Duration> begun;
    auto fn = [&] { return note_start(&time, &begun, 0s); };
    std::vector<khive::Task<int>> tasks;
    for (int i = 0; i < 3; ++i) tasks.push_back(executor.submit(time.executor(), fn));

    CHECK(time.run(executor.shutdown(1min)).cancelled == 0);

    CHECK(begun == std::vector<Duration>{0s, 1s, 2s});
    CHECK_THROWS_AS(time.run(executor.execute(fn)), khive::ClosedError);
}

TEST_CASE("RateLimitedExecutor: shutdown ends when the last who waited for tokens has gone", "[policy][executor]")
{
    VirtualTime time;
    RateLimitedExecutor executor{{.rate = 0.001, .burst = 1, .initial_tokens = 0}};
    auto waiting = time.start(executor.dispatch({}));
    time.settle();
    REQUIRE(executor.stats().queued == 1);
    auto shutdown = time.start(executor.shutdown(khive::unlimited));
    time.settle();
    REQUIRE_FALSE(shutdown.done());

    waiting.cancel();
    time.settle();

    REQUIRE(shutdown.done());
    CHECK(shutdown.get().left == 0);
}

TEST_CASE("RateLimitedExecutor: a shutdown without patience ends a patient one too", "[policy][executor]")
{
    VirtualTime time;
    RateLimitedExecutor executor{{.rate = 0.001, .burst = 1, .initial_tokens = 0}};
    auto waiting = time.start(executor.dispatch({}));
    auto patient = time.start(executor.shutdown(khive::unlimited));
    time.settle();
    REQUIRE_FALSE(patient.done());

    CHECK(time.run(executor.shutdown(0s)).left == 0);
    time.settle();

    CHECK(waiting.get().error().kind() == ErrorKind::closed);
    CHECK(patient.done());
}

TEST_CASE("RateLimitedExecutor: bad options are refused and named", "[policy][executor][RL-5][EX-11]")
{
    CHECK_THROWS_WITH(RateLimitedExecutor({.rate = 0}), khive_tests::contains("RateLimitedExecutor: rate is 0"));
    CHECK_THROWS_WITH(RateLimitedExecutor({.rate = 1, .max_concurrency = 0}),
                      khive_tests::contains("RateLimitedExecutor: max_concurrency is 0"));
}

} // namespace khive_tests::rate_limited_executor_test

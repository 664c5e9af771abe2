// SPDX-License-Identifier: BSL-1.0
// The defects of the origin's limiter and executor in combination that need no client to show.
#include <khive/policy/rate_limited_executor.hpp>

#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <algorithm>
#include <vector>

namespace khive_tests::co_combination_test {

using namespace std::chrono_literals;
using khive::Duration;
using khive::RateLimitedExecutor;
using khive::testing::VirtualTime;

TEST_CASE("CO-1: a stall of all slots is not followed by more than the bucket's burst", "[defect][CO-1]")
{
    VirtualTime time;
    RateLimitedExecutor executor{{.rate = 50, .burst = 1, .max_concurrency = 1}};
    std::vector<Duration> starts;
    std::vector<Duration> lengths(40, Duration::zero());
    lengths.front() = 800ms;
    auto fn = [&](Duration length) { return note_start(&time, &starts, length); };

    time.run(executor.map(lengths, fn));

    REQUIRE(starts.size() == 40);
    CHECK(starts[1] == 800ms);
    for (std::size_t i = 2; i < starts.size(); ++i) REQUIRE(starts[i] - starts[i - 1] == 20ms);
}

TEST_CASE("CO-2: nobody holds a slot while waiting for tokens", "[defect][CO-2]")
{
    VirtualTime time;
    RateLimitedExecutor executor{{.rate = 1, .burst = 10, .max_concurrency = 2}};
    executor.try_dispatch(10, time.now())->spend();
    auto fn = [] { return give(1); };

    auto large = executor.submit(time.executor(), fn, 10);
    auto small = executor.submit(time.executor(), fn, 1);
    time.run_for(5s);

    CHECK(executor.stats().running == 0);
    CHECK(executor.stats().queued == 2);
    time.run_for(6s);
    CHECK(large.has_ended());
    CHECK(small.has_ended());
}

TEST_CASE("CO-6: no setting makes a call run beside the limits", "[defect][CO-6]")
{
    VirtualTime time;
    RateLimitedExecutor executor{{.rate = 1000, .max_concurrency = 1}};
    std::vector<Duration> starts;
    auto fn = [&](Duration length) { return note_start(&time, &starts, length); };

    time.run(executor.map(std::vector<Duration>(5, 100ms), fn));

    CHECK(executor.stats().peak == 1);
    CHECK(starts.back() == 400ms);
}

} // namespace khive_tests::co_combination_test

// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/circuit_breaker.hpp>

#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <stdexcept>
#include <vector>

namespace khive_tests::cb_half_open_test {

using namespace std::chrono_literals;
using khive::BreakerState;
using khive::CircuitBreaker;
using khive::Outcome;
using khive::Verdict;
using khive::testing::Started;
using khive::testing::VirtualTime;

namespace {

constexpr Outcome success{};
constexpr Outcome failure{.verdict = Verdict::failure};

CircuitBreaker opened(VirtualTime& time)
{
    const CircuitBreaker breaker{{.consecutive_failures = 1, .open_for = 10s, .open_jitter = 0}};
    breaker.try_admit(time.now()).value().record(failure, time.now());
    return breaker;
}

asio::awaitable<int> slow(int& calls)
{
    ++calls;
    auto nap = take(1s);
    co_await std::move(nap);
    co_return 1;
}

} // namespace

TEST_CASE("CB-1: of fifty calls after recovery one is a probe", "[defect][CB-1]")
{
    VirtualTime time;
    const CircuitBreaker breaker = opened(time);
    time.run_for(10s);
    int calls = 0;

    std::vector<Started<int>> fifty;
    for (int i = 0; i < 50; ++i) fifty.push_back(time.start(breaker.execute([&calls] { return slow(calls); })));
    time.settle();

    CHECK(calls == 1);
    CHECK(breaker.stats(time.now()).refused == 49);
}

TEST_CASE("CB-2: a probe that ends without a verdict never locks the circuit", "[defect][CB-2]")
{
    VirtualTime time;
    const CircuitBreaker breaker = opened(time);
    time.run_for(10s);

    SECTION("cancelled by its caller")
    {
        int calls = 0;
        auto probe = time.start(breaker.execute([&calls] { return slow(calls); }));
        time.settle();
        probe.cancel();
        time.settle();
    }
    SECTION("an error that does not count")
    {
        CHECK_THROWS(time.run(breaker.execute([] { return throwing(std::logic_error("bug")); })));
    }
    SECTION("dropped")
    {
        (void)breaker.try_admit(time.now());
    }
    SECTION("hanging for ever")
    {
        const auto hung = breaker.try_admit(time.now());
        const auto refused = breaker.refusal(time.now());
        REQUIRE(refused);
        CHECK(*refused->retry_after() > 0s);
        time.run_for(*refused->retry_after());
    }

    CHECK(time.run(breaker.execute([] { return give(1); })) == 1);
    CHECK(breaker.state(time.now()) == BreakerState::closed);
}

TEST_CASE("CB-4: results of calls admitted before a change of state do not count", "[defect][CB-4]")
{
    VirtualTime time;
    const CircuitBreaker breaker{{.consecutive_failures = 1, .open_for = 10s, .open_jitter = 0}};
    auto old = breaker.try_admit(time.now()).value();
    breaker.try_admit(time.now()).value().record(failure, time.now());

    SECTION("a late success does not close it while the probe is under way")
    {
        time.run_for(10s);
        const auto probe = breaker.try_admit(time.now());
        old.record(success, time.now());
        CHECK(breaker.state(time.now()) == BreakerState::half_open);
    }
    SECTION("late failures do not put off the recovery")
    {
        time.run_for(9s);
        old.record(failure, time.now());
        CHECK(breaker.refusal(time.now())->retry_after() == khive::Duration{1s});
    }
    SECTION("a late failure does not open it again")
    {
        time.run_for(10s);
        (void)breaker.state(time.now());
        old.record(failure, time.now());
        CHECK(breaker.state(time.now()) == BreakerState::half_open);
    }
}

} // namespace khive_tests::cb_half_open_test

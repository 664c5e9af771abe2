// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/circuit_breaker.hpp>

#include <khive/core/exceptions.hpp>

#include "support/breaker.hpp"
#include "support/catch.hpp"

#include <type_traits>
#include <vector>

namespace khive_tests::cb_face_test {

using namespace std::chrono_literals;
using khive::BreakerState;
using khive::CircuitBreaker;
using khive::CircuitBreakerOptions;
using khive::Outcome;
using khive::TimePoint;

namespace {

constexpr TimePoint start = TimePoint{} + 1h;

} // namespace

TEST_CASE("CB-7: time is monotonic, and a step back does not keep the circuit open longer", "[defect][CB-7]")
{
    static_assert(khive::Clock::is_steady);
    const CircuitBreaker breaker{touchy};
    fail_once(breaker, start);

    CHECK(*breaker.refusal(start - 24h)->retry_after() == 10s);
    CHECK_FALSE(breaker.refusal(start + 10s));
}

TEST_CASE("CB-8: a refusal always has time left, and at the recovery time there is none", "[defect][CB-8]")
{
    const CircuitBreaker breaker{touchy};
    fail_once(breaker, start);

    for (auto passed = khive::Duration{0}; passed < 10s; passed += 99ms) {
        const auto refused = breaker.try_admit(start + passed);
        REQUIRE(refused.has_error());
        CHECK(*refused.error().retry_after() == 10s - passed);
    }
    CHECK(breaker.try_admit(start + 10s).has_value());
}

TEST_CASE("CB-9: statistics are a value, history is bounded, and every admission is in a counter", "[defect][CB-9]")
{
    static_assert(std::is_trivially_copyable_v<khive::BreakerStats>);
    const CircuitBreaker breaker{touchy};
    const auto before = breaker.stats(start);
    TimePoint now = start;

    for (int i = 0; i < 1000; ++i) {
        fail_once(breaker, now);
        now += 24h;
        (void)breaker.try_admit(now); // dropped
        breaker.try_admit(now).value().record(Outcome{}, now);
    }
    const auto after = breaker.stats(now);

    CHECK(before.admitted == 0);
    CHECK(after.history.count() == 3000);
    CHECK(after.history.count() - after.history.oldest() + 1 == khive::BreakerHistory::room);
    CHECK(after.admitted == 3000);
    CHECK(after.succeeded + after.failed + after.neutral + after.late == after.admitted);
    CHECK(after.neutral == 1000);
}

TEST_CASE("CB-10: settings that cannot work are refused", "[defect][CB-10]")
{
    const auto options =
        GENERATE(CircuitBreakerOptions{.consecutive_failures = 0}, CircuitBreakerOptions{.failure_ratio = -1},
                 CircuitBreakerOptions{.open_for = -1s}, CircuitBreakerOptions{.half_open_probes = 0});

    CHECK_THROWS_AS(CircuitBreaker{options}, khive::ConfigurationError);
}

TEST_CASE("CB-10: as many successes close it as was set", "[defect][CB-10]")
{
    auto options = touchy;
    options.half_open_probes = 3;
    options.close_after = 3;
    const CircuitBreaker breaker{options};
    fail_once(breaker, start);

    for (int i = 0; i < 3; ++i) {
        CHECK(breaker.state(start + 10s) == BreakerState::half_open);
        breaker.try_admit(start + 10s).value().record(Outcome{}, start + 10s);
    }

    CHECK(breaker.state(start + 10s) == BreakerState::closed);
}

TEST_CASE("CB-10: it can be opened and closed by hand, and tells of both", "[defect][CB-10]")
{
    std::vector<BreakerState> seen;
    const CircuitBreaker breaker{touchy};
    breaker.on_state_change([&](const khive::BreakerTransition& t) { seen.push_back(t.to); });

    breaker.isolate(start);
    CHECK(breaker.refusal(start));
    breaker.reset(start);

    CHECK_FALSE(breaker.refusal(start));
    CHECK(seen == std::vector<BreakerState>{BreakerState::isolated, BreakerState::closed});
}

} // namespace khive_tests::cb_face_test

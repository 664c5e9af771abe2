// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/null_policies.hpp>

#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"

#include <type_traits>

namespace khive_tests::null_policies_test {

using khive::Outcome;
using khive::StopReason;
using khive::TimePoint;
using khive::Verdict;
using khive::testing::VirtualTime;

TEST_CASE("Null policies: are empty and let everything through", "[policy]")
{
    VirtualTime time;
    khive::NullRateLimiter limiter;
    khive::NullExecutor executor;
    khive::NullCircuitBreaker breaker;

    CHECK(limiter.try_take(1e9, TimePoint{}).has_value());
    CHECK_FALSE(limiter.check_cost(-1).has_value());
    CHECK(executor.try_enter(TimePoint{}).has_value());
    CHECK_FALSE(breaker.refusal(TimePoint{}).has_value());
    CHECK(breaker.try_admit(TimePoint{}).has_value());
    CHECK(time.run(limiter.take({})).has_value());
    CHECK(time.run(executor.enter({})).has_value());
    STATIC_REQUIRE(std::is_empty_v<khive::NullRateLimiter::Token>);
}

TEST_CASE("Null policies: have their roles and no state", "[policy]")
{
    STATIC_REQUIRE(khive::RateLimiterPolicy<khive::NullRateLimiter> && std::is_empty_v<khive::NullRateLimiter>);
    STATIC_REQUIRE(khive::ExecutorPolicy<khive::NullExecutor> && std::is_empty_v<khive::NullExecutor>);
    STATIC_REQUIRE(khive::CircuitBreakerPolicy<khive::NullCircuitBreaker> && std::is_empty_v<khive::NullCircuitBreaker>);
    STATIC_REQUIRE(khive::RetryPolicy<khive::NullRetry> && std::is_empty_v<khive::NullRetry>);
}

TEST_CASE("NullRetry: makes one attempt without a time limit and says why it stops", "[policy]")
{
    const auto [outcome, reason] = GENERATE(table<Outcome, StopReason>({
        {{.verdict = Verdict::success}, StopReason::done},
        {{.verdict = Verdict::failure, .retryable = true}, StopReason::attempts},
        {{.verdict = Verdict::failure}, StopReason::not_retryable},
    }));
    auto schedule = khive::NullRetry::begin();

    const auto decision = schedule.next(outcome, 1, TimePoint{}, khive::no_deadline);

    CHECK_FALSE(decision.retry);
    CHECK(decision.reason == reason);
    CHECK(khive::NullRetry::attempt_timeout() == khive::unlimited);
    CHECK(khive::NullRetry::total_timeout() == khive::unlimited);
}

} // namespace khive_tests::null_policies_test

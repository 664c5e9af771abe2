// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/machine/backoff.hpp>

#include <khive/core/exceptions.hpp>
#include <khive/core/random.hpp>

#include "support/catch.hpp"

#include <limits>
#include <string>
#include <tuple>
#include <vector>

namespace khive_tests::backoff_test {

using namespace std::chrono_literals;
using khive::Duration;
using khive::Jitter;
using khive::no_deadline;
using khive::Outcome;
using khive::ReplaySafety;
using khive::RetryOptions;
using khive::StopReason;
using khive::TimePoint;
using khive::Verdict;
using khive::machine::Backoff;

namespace {

constexpr TimePoint now = TimePoint{} + 1h;
constexpr Outcome transient{.verdict = Verdict::failure, .retryable = true};

Outcome asks_for(Duration retry_after)
{
    return {.verdict = Verdict::throttled, .retryable = true, .retry_after = retry_after};
}

} // namespace

TEST_CASE("Backoff: delays grow by the factor up to the cap", "[machine][retry]")
{
    const Backoff backoff{{.base_delay = 100ms, .max_delay = 1s, .factor = 3, .jitter = Jitter::none}};

    const auto [attempts, expected] = GENERATE(table<unsigned, Duration>({
        {1, 100ms},
        {2, 300ms},
        {3, 900ms},
        {4, 1s},
        {1000, 1s},
        {std::numeric_limits<unsigned>::max(), 1s},
    }));

    CHECK(backoff.delay(attempts, 0.5) == expected);
}

TEST_CASE("Backoff: each jitter has its range", "[machine][retry]")
{
    const auto [jitter, random, expected] = GENERATE(table<Jitter, double, Duration>({
        {Jitter::none, 0.0, 400ms},
        {Jitter::none, 0.5, 400ms},
        {Jitter::full, 0.0, 0ms},
        {Jitter::full, 0.5, 200ms},
        {Jitter::equal, 0.0, 200ms},
        {Jitter::equal, 0.5, 300ms},
        {Jitter::decorrelated, 0.0, 100ms},
        {Jitter::decorrelated, 0.5, 200ms}, // between the base and three times the last delay
    }));
    const Backoff backoff{{.base_delay = 100ms, .jitter = jitter}};

    CHECK(backoff.delay(3, random) == expected);
}

TEST_CASE("Backoff: decorrelated jitter follows the last delay", "[machine][retry]")
{
    Backoff backoff{{.max_attempts = 10, .base_delay = 100ms, .max_delay = 2s, .jitter = Jitter::decorrelated}};

    CHECK(backoff.next(transient, 1, now, no_deadline, 0.5).delay == 200ms); // 100 to 300
    CHECK(backoff.next(transient, 2, now, no_deadline, 0.5).delay == 350ms); // 100 to 600
    CHECK(backoff.next(transient, 3, now, no_deadline, 0.0).delay == 100ms);
    CHECK(backoff.next(transient, 4, now, no_deadline, 0.5).delay == 200ms);
}

TEST_CASE("Backoff: repeats what may pass and may be repeated, as often as it was told", "[machine][retry]")
{
    using S = StopReason;
    constexpr auto unsafe = ReplaySafety::unsafe;
    const auto [outcome, attempts, expected] = GENERATE(table<Outcome, unsigned, S>({
        {{.verdict = Verdict::failure, .retryable = true}, 1u, S::done},
        {{.verdict = Verdict::failure, .retryable = true}, 2u, S::done},
        {{.verdict = Verdict::failure, .retryable = true}, 3u, S::attempts},
        {{.verdict = Verdict::throttled, .retryable = true}, 1u, S::done},
        {{.verdict = Verdict::success, .retryable = true}, 1u, S::done},
        {{.verdict = Verdict::failure}, 1u, S::not_retryable},
        {{.verdict = Verdict::neutral}, 1u, S::not_retryable},
        {{.verdict = Verdict::failure, .retryable = true, .replay = unsafe}, 1u, S::not_replayable},
    }));
    Backoff backoff{{.max_attempts = 3}};

    const auto plan = backoff.next(outcome, attempts, now, no_deadline, 0.5);

    CHECK(plan.retry == (expected == S::done));
    CHECK(plan.reason == expected);
}

TEST_CASE("Backoff: there is nothing to repeat about a success", "[machine][retry]")
{
    const auto plan = Backoff{{}}.next(Outcome{}, 1, now, no_deadline, 0.5);

    CHECK_FALSE(plan.retry);
    CHECK(plan.reason == StopReason::done);
}

TEST_CASE("Backoff: repeats what is unsafe only if it was told so", "[machine][retry]")
{
    Backoff backoff{{.retry_unsafe = true}};
    const Outcome outcome{.verdict = Verdict::failure, .retryable = true, .replay = ReplaySafety::unsafe};

    CHECK(backoff.next(outcome, 1, now, no_deadline, 0.5).retry);
}

TEST_CASE("Backoff: what the server asks for is a floor, lengthened a little", "[machine][retry]")
{
    const auto [asked, random, expected] = GENERATE(table<Duration, double, Duration>({
        {60s, 0.0, 60s},
        {60s, 0.5, 60500ms}, // by one second at most
        {3s, 0.5, 3150ms},   // by ten percent at most
        {100ms, 0.5, 250ms}, // the own delay is longer
        {0s, 0.5, 250ms},    // a date that has passed is no invitation to a storm
    }));
    Backoff backoff{{.base_delay = 500ms}};

    CHECK(backoff.next(asks_for(asked), 1, now, no_deadline, random).delay == expected);
}

TEST_CASE("Backoff: without jitter it waits exactly what the server asks for", "[machine][retry]")
{
    Backoff backoff{{.jitter = Jitter::none}};

    CHECK(backoff.next(asks_for(90s), 1, now, no_deadline, 0.7).delay == 90s);
}

TEST_CASE("Backoff: gives up at once where the server asks for more than it may", "[machine][retry]")
{
    Backoff backoff{{.max_retry_after = 60s}};

    CHECK(backoff.next(asks_for(60s), 1, now, no_deadline, 0.9).retry);
    const auto plan = backoff.next(asks_for(60s + 1ns), 1, now, no_deadline, 0);

    CHECK_FALSE(plan.retry);
    CHECK(plan.reason == StopReason::retry_after);
}

TEST_CASE("Backoff: gives up at once where the delay does not fit before the deadline", "[machine][retry]")
{
    const auto [deadline, retry] = GENERATE(table<Duration, bool>({
        {2s + 1ns, true},
        {2s, false}, // nothing would be left for the attempt
        {1s, false},
        {-1s, false},
    }));
    Backoff backoff{{.base_delay = 2s, .jitter = Jitter::none}};

    const auto plan = backoff.next(transient, 1, now, now + deadline, 0);

    CHECK(plan.retry == retry);
    CHECK(plan.reason == (retry ? StopReason::done : StopReason::deadline));
}

TEST_CASE("Backoff: arithmetic saturates", "[machine][retry]")
{
    Backoff backoff{{.max_attempts = 1000,
                     .base_delay = khive::unlimited / 2,
                     .max_delay = khive::unlimited,
                     .factor = 1e300,
                     .jitter = Jitter::none,
                     .max_retry_after = khive::unlimited}};

    CHECK(backoff.delay(2, 0.999) == khive::unlimited);
    CHECK(backoff.next(transient, 999, now, no_deadline, 0.999).delay == khive::unlimited);
    CHECK(backoff.next(transient, 999, now, now + 24h, 0.999).reason == StopReason::deadline);
    CHECK(backoff.next(asks_for(khive::unlimited), 1, now, no_deadline, 0.999).delay == khive::unlimited);
}

TEST_CASE("Backoff: delays stay within their bounds over random schedules", "[machine][retry][property]")
{
    const auto jitter = GENERATE(Jitter::none, Jitter::full, Jitter::equal, Jitter::decorrelated);
    for (std::uint64_t seed = 1; seed <= 500; ++seed) {
        khive::Random random{seed};
        const Duration base = khive::from_seconds(0.001 + random.uniform());
        const Duration cap = base + khive::from_seconds(random.uniform() * 20);
        Backoff backoff{{.max_attempts = 1000,
                         .base_delay = base,
                         .max_delay = cap,
                         .factor = 1 + 3 * random.uniform(),
                         .jitter = jitter}};
        for (unsigned i = 1; i < 100; ++i) {
            const auto plan = backoff.next(transient, i, now, no_deadline, random.uniform());
            const bool low = plan.delay < 0s || (jitter == Jitter::decorrelated && plan.delay < base);
            if (!plan.retry || low || plan.delay > cap) FAIL("seed " << seed << " attempt " << i);
        }
    }
    SUCCEED();
}

TEST_CASE("Backoff: options that make no sense are refused with name, value and rule", "[machine][retry]")
{
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const auto [options, message] = GENERATE(table<RetryOptions, std::string>({
        {{.max_attempts = 0}, "max_attempts is 0, must be in [1, 1000]"},
        {{.max_attempts = 1001}, "max_attempts is 1001, must be in [1, 1000]"},
        {{.base_delay = 0s}, "base_delay is 0s, must be more than 0"},
        {{.base_delay = 10s}, "max_delay is 8s, must be at least base_delay"},
        {{.factor = 0.5}, "factor is 0.5, must be at least 1"},
        {{.factor = -2}, "factor is -2, must be at least 1"},
        {{.factor = nan}, "factor is nan, must be at least 1"},
        {{.factor = std::numeric_limits<double>::infinity()}, "factor is inf, must be at least 1"},
        {{.max_retry_after = -1s}, "max_retry_after is -1s, must be at least 0"},
        {{.attempt_timeout = 0s}, "attempt_timeout is 0s, must be more than 0"},
        {{.total_timeout = -1s}, "total_timeout is -1s, must be more than 0"},
        {{.attempt_timeout = 10s, .total_timeout = 5s}, "attempt_timeout is 10s, must be at most total_timeout"},
    }));

    CHECK_THROWS_AS(Backoff{options}, khive::ConfigurationError);
    CHECK_THROWS_WITH(Backoff{options}, khive_tests::contains("RetryWithBackoff: " + message));
}

} // namespace khive_tests::backoff_test

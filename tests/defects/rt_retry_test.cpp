// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/retry_with_backoff.hpp>

#include <khive/policy/circuit_breaker.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>

namespace khive_tests::rt_retry_test {

using namespace std::chrono_literals;
using khive::Duration;
using khive::Error;
using khive::ErrorKind;
using khive::Jitter;
using khive::Outcome;
using khive::RetryOptions;
using khive::RetryWithBackoff;
using khive::StopReason;
using khive::TimePoint;
using khive::Verdict;
using khive::testing::VirtualTime;

namespace {

constexpr RetryOptions sharp{.max_attempts = 4, .base_delay = 1s, .jitter = Jitter::none};
constexpr Outcome transient{.verdict = Verdict::failure, .retryable = true};

Error status(int code)
{
    return Error{ErrorKind::status}.with_response(code, {}, "").with_retryable(code == 429 || code >= 500);
}

/// Calls a function that always fails so.
int attempts_at(VirtualTime& time, const RetryWithBackoff& retry, const Error& error)
{
    int calls = 0;
    (void)time.run(retry.execute([&] { return ++calls, give_result(error); }));
    return calls;
}

} // namespace

TEST_CASE("RT-1: what cannot pass is not repeated", "[defect][RT-1]")
{
    VirtualTime time;
    const RetryWithBackoff retry{sharp};

    SECTION("answers about the request")
    {
        CHECK(attempts_at(time, retry, status(GENERATE(400, 401, 403, 404, 422))) == 1);
    }
    SECTION("a bug of the caller")
    {
        int calls = 0;
        CHECK_THROWS(time.run(retry.execute([&] { return ++calls, throwing(std::invalid_argument("bug")); })));
        CHECK(calls == 1);
    }
    SECTION("an open circuit")
    {
        const khive::CircuitBreaker breaker;
        breaker.isolate(time.now());
        CHECK_THROWS_AS(time.run(retry.execute([&breaker] { return breaker.execute([] { return give(1); }); })),
                        khive::CircuitBreakerOpenError);
        CHECK(breaker.stats(time.now()).refused == 1);
    }
    CHECK(time.elapsed() == 0s);
}

TEST_CASE("RT-2: what the server may have done is not done twice", "[defect][RT-2]")
{
    VirtualTime time;
    const Error unsure = Error{ErrorKind::timeout}.with_retryable(true).with_maybe_processed(true);
    RetryOptions reckless = sharp;
    reckless.retry_unsafe = true;

    CHECK(attempts_at(time, RetryWithBackoff{sharp}, unsure) == 1);
    CHECK(attempts_at(time, RetryWithBackoff{reckless}, unsure) == 4);
}

TEST_CASE("RT-3: what the other side asks for is a floor of the delay", "[defect][RT-3]")
{
    VirtualTime time;
    const auto asking = [](unsigned attempt) {
        return attempt == 1 ? give_result(status(429).with_retry_after(45s)) : give_result(1);
    };

    CHECK(time.run(RetryWithBackoff{{}, khive::Random{3}}.execute(asking)).value() == 1);

    CHECK(time.elapsed() >= 45s);
    CHECK(time.elapsed() <= 46s);
}

TEST_CASE("RT-5: at the cap the delays are spread out", "[defect][RT-5]")
{
    const auto jitter = GENERATE(Jitter::full, Jitter::equal, Jitter::decorrelated);
    const RetryWithBackoff retry{{.max_attempts = 1000, .base_delay = 1s, .max_delay = 4s, .jitter = jitter},
                                 khive::Random{1}};
    auto schedule = retry.begin();
    std::map<Duration, int> times;

    for (unsigned i = 1; i < 1000; ++i) ++times[schedule.next(transient, i, TimePoint{}, khive::no_deadline).delay];

    CHECK(times.rbegin()->first <= 4s);
    CHECK(std::none_of(times.begin(), times.end(), [](const auto& entry) { return entry.second > 2; }));
}

TEST_CASE("RT-6: the original exception comes out, with its type and text", "[defect][RT-6]")
{
    struct Unheard : std::runtime_error {
        using std::runtime_error::runtime_error;
    };
    VirtualTime time;

    CHECK_THROWS_AS(time.run(RetryWithBackoff{sharp}.execute([] { return throwing(Unheard("of")); })), Unheard);
    CHECK_THROWS_WITH(time.run(RetryWithBackoff{sharp}.execute([] { return throwing(Unheard("of")); })), "of");
}

TEST_CASE("RT-7: attempts and the whole call are bounded in time, and the error tells the story", "[defect][RT-7]")
{
    VirtualTime time;
    RetryOptions options = sharp;
    options.attempt_timeout = 2s;
    options.total_timeout = 6s;

    try {
        time.run(RetryWithBackoff{options}.execute([] { return take(24h); }));
        FAIL("did not throw");
    } catch (const khive::APITimeoutError& e) {
        CHECK(e.error().ledger().stop_reason() == StopReason::deadline);
        CHECK(e.error().ledger().summary() == "2 attempts: timeout 2000.0ms, +1000.0ms timeout 2000.0ms; stopped: deadline");
    }
    CHECK(time.elapsed() == 5s);
}

TEST_CASE("RT-8: no argument name is taken: the function binds its own", "[defect][RT-8]")
{
    VirtualTime time;
    const auto call = [](int max_retries, double jitter) { return give(max_retries + static_cast<int>(jitter)); };

    CHECK(time.run(khive::retry_with_backoff([&call] { return call(40, 2.0); })) == 42);
}

TEST_CASE("RT-9: settings that cannot work are refused", "[defect][RT-9]")
{
    const auto options =
        GENERATE(RetryOptions{.max_attempts = 0}, RetryOptions{.base_delay = -1s}, RetryOptions{.factor = 0.5},
                 RetryOptions{.factor = -2}, RetryOptions{.attempt_timeout = 10s, .total_timeout = 5s});

    CHECK_THROWS_AS(RetryWithBackoff{options}, khive::ConfigurationError);
    CHECK_THROWS_AS(khive::retry_with_backoff([] { return give(1); }, options), khive::ConfigurationError);
}

TEST_CASE("RT-9: the nominal delay does not grow without bound", "[defect][RT-9]")
{
    khive::machine::Backoff backoff{{.max_attempts = 1000, .factor = 1e100, .jitter = Jitter::none}};

    CHECK(backoff.delay(999, 0) == 8s);
}

TEST_CASE("RT-10: every setting has an effect", "[defect][RT-10]")
{
    VirtualTime time;
    const Error again = status(503);
    const auto elapsed = [&](const RetryOptions& options, const Error& error) {
        const auto before = time.elapsed();
        const int calls = attempts_at(time, RetryWithBackoff(options, khive::Random{5}), error);
        return std::pair{calls, time.elapsed() - before};
    };
    const auto plain = elapsed(sharp, again);
    CHECK(plain == std::pair{4, Duration{7s}});

    const auto changed = [](auto change) {
        RetryOptions options = sharp;
        change(options);
        return options;
    };
    CHECK(elapsed(changed([](auto& o) { o.max_attempts = 3; }), again) == std::pair{3, Duration{3s}});
    CHECK(elapsed(changed([](auto& o) { o.base_delay = 2s; }), again) == std::pair{4, Duration{14s}});
    CHECK(elapsed(changed([](auto& o) { o.max_delay = 2s; }), again) == std::pair{4, Duration{5s}});
    CHECK(elapsed(changed([](auto& o) { o.factor = 1; }), again) == std::pair{4, Duration{3s}});
    CHECK(elapsed(changed([](auto& o) { o.jitter = Jitter::full; }), again).second < 7s);
    CHECK(elapsed(changed([](auto& o) { o.total_timeout = 5s; }), again) == std::pair{3, Duration{3s}});
    const Error asking = status(503).with_retry_after(10s);
    CHECK(elapsed(sharp, asking) == std::pair{4, Duration{30s}});
    CHECK(elapsed(changed([](auto& o) { o.max_retry_after = 9s; }), asking) == std::pair{1, Duration{0s}});
}

TEST_CASE("CO-5: a retry loop around a breaker stops when the circuit opens", "[defect][CO-5]")
{
    VirtualTime time;
    const khive::CircuitBreaker breaker{{.consecutive_failures = 2}};
    int sent = 0;

    for (int i = 0; i < 10; ++i)
        (void)time.run(RetryWithBackoff{sharp}.execute(
            [&] { return breaker.execute([&sent] { return ++sent, give_result(status(503)); }); }));

    CHECK(sent == 2);
}

TEST_CASE("CL-8: what is closed is not tried again", "[defect][CL-8]")
{
    VirtualTime time;

    CHECK(attempts_at(time, RetryWithBackoff{sharp}, Error{ErrorKind::closed}.with_retryable(true)) == 1);
    CHECK(time.elapsed() == 0s);
}

} // namespace khive_tests::rt_retry_test

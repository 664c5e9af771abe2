// SPDX-License-Identifier: BSL-1.0
// Every verb of the policies alone, at each of whose allocations the memory fails.
#include "exhaustive/allocation/every_allocation.hpp"

#include "support/guarded.hpp"

#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace khive_tests::policy_test {

using namespace std::chrono_literals;
using khive::testing::VirtualTime;
namespace asio = boost::asio;

namespace {

using Verb = asio::awaitable<std::string>;

class StarvedVerb;

struct VerbKind {
    const char* name;
    Verb (*make)(StarvedVerb&);
    const char* end = "value"; ///< where nothing fails
    void (*prepare)(StarvedVerb&) = [](StarvedVerb&) {};
    bool closes = false; ///< the executors
};

/// The policies, without memory, and a verb of theirs.
class StarvedVerb {
public:
    static constexpr std::size_t too_many_steps = 20'000;

    explicit StarvedVerb(const VerbKind& kind) : kind_(kind)
    {
        REQUIRE(limiter.try_acquire(1, time.now())); // its clock starts with the first token
        kind.prepare(*this);
    }

    /// Runs the verb with the memory as planned, and checks all that must hold then.
    void run(memory::Plan plan)
    {
        auto verb = time.start(starving<StarvedVerb>(this, kind_.make, plan, &ending_));
        run_steps();
        check_end();
        time.run_for(1h); // submitted tasks may have outlived it, and buckets are full enough
        check_permits();
        check_next();
    }

    VirtualTime time;
    khive::TokenBucketRateLimiter limiter{{.rate = 1, .burst = 1'000'000, .initial_tokens = 4}};
    khive::AsyncExecutor executor{{.max_concurrency = 2}};
    khive::RateLimitedExecutor combined{{.rate = 1, .burst = 1'000'000, .initial_tokens = 3, .max_concurrency = 2}};
    khive::CircuitBreaker breaker = khive::CircuitBreaker{{.consecutive_failures = 3, .open_for = 10s, .open_jitter = 0}}
                                        .named("a breaker whose name has to be allocated")
                                        .on_state_change([](const khive::BreakerTransition&) {});
    khive::RetryWithBackoff retry{{.max_attempts = 3, .jitter = khive::Jitter::none}};

private:
    void run_steps()
    {
        for (std::size_t steps = 0; !ending_.done && steps < too_many_steps; ++steps) {
            if (steps == patience) memory::disarm(); // where a strand needs memory, nothing ends before it comes back
            time.context().restart();
            try {
                if (time.context().poll_one() != 0) continue;
            } catch (const std::exception& error) {
                memory::disarm();
                FAIL("out of run() comes " << error.what());
            }
            const auto due = time.service().next_due();
            if (!due) break;
            time.service().advance_to(std::max(*due, time.now()));
        }
        memory::disarm();
        REQUIRE(ending_.done);
    }

    void check_end()
    {
        INFO("it ended with: " << ending_.how << " " << ending_.value);
        if (memory::failed() == 0) {
            CHECK(ending_.how == kind_.end);
            return;
        }
        CHECK_FALSE(ending_.how.starts_with("exception"));
        if (!kind_.closes) CHECK(ending_.how != "closed");
    }

    void check_permits()
    {
        CHECK(executor.stats().running + combined.stats().running == 0);
        CHECK(executor.stats().queued + combined.stats().queued == 0);
        CHECK(limiter.waiting() == 0);
        const auto stats = breaker.stats(time.now());
        CHECK(stats.admitted == stats.succeeded + stats.failed + stats.neutral + stats.late);
        const double tokens = limiter.tokens(time.now()) - std::chrono::duration<double>(time.elapsed()).count();
        CHECK(std::abs(tokens - std::round(tokens)) < 1e-3);
    }

    void check_next()
    {
        auto acquire = limiter.acquire();
        time.run(std::move(acquire));
        if (!kind_.closes) {
            CHECK(time.run(executor.execute(&nap)) == 1);
            CHECK(time.run(combined.execute(&nap)) == 1);
        }
        if (breaker.state(time.now()) == khive::BreakerState::open) time.run_for(10s);
        CHECK(time.run(breaker.execute(&nap)) == 1);
        CHECK(time.run(retry.execute(&nap)) == 1);
    }

public:
    static asio::awaitable<int> nap()
    {
        co_await take(1s);
        co_return 1;
    }

private:
    static constexpr std::size_t patience = 60;
    const VerbKind& kind_;
    Ending ending_;
};

template <class T>
Verb told(asio::awaitable<T> operation)
{
    (void)co_await std::move(operation);
    co_return "done";
}
Verb told(asio::awaitable<void> operation)
{
    co_await std::move(operation);
    co_return "done";
}

asio::awaitable<int> nap()
{
    return StarvedVerb::nap();
}
asio::awaitable<int> long_nap()
{
    co_await take(1h);
    co_return 1;
}
asio::awaitable<int> failing()
{
    co_await take(1s);
    khive::Error{khive::ErrorKind::connect}.raise();
}
/// The second of three items fails while the others run.
asio::awaitable<int> failing_at_two(int value)
{
    if (value == 2) khive::Error{khive::ErrorKind::connect}.raise();
    co_await take(1s);
    co_return value;
}

template <class Executor>
Verb submit_and_join(Executor executor)
{
    const asio::any_io_executor own = co_await asio::this_coro::executor;
    auto first = executor.submit(own, &nap);
    auto second = executor.submit(own, &nap);
    auto third = executor.submit(own, &nap);
    (void)co_await std::move(third).join();
    (void)co_await std::move(first).join();
    co_return "done";
}

template <class Executor>
Verb submit_and_shut_down(Executor executor)
{
    const asio::any_io_executor own = co_await asio::this_coro::executor;
    auto first = executor.submit(own, &nap);
    auto second = executor.submit(own, &long_nap);
    auto third = executor.submit(own, &nap);
    const auto report = co_await executor.shutdown(5s);
    co_return std::to_string(report.cancelled);
}

const std::vector<int> three{1, 2, 3};

void empty_buckets(StarvedVerb& verb)
{
    REQUIRE(verb.limiter.try_acquire(3, verb.time.now()));
    verb.combined.try_dispatch(3, verb.time.now()).value().spend();
}
void fail_twice(StarvedVerb& verb)
{
    for (int i = 0; i < 2; ++i)
        verb.breaker.try_admit(verb.time.now())
            .value()
            .record(khive::Outcome{.verdict = khive::Verdict::failure}, verb.time.now());
}
void half_open(StarvedVerb& verb)
{
    fail_twice(verb);
    verb.breaker.try_admit(verb.time.now())
        .value()
        .record(khive::Outcome{.verdict = khive::Verdict::failure}, verb.time.now());
    verb.time.run_for(10s);
}

const VerbKind verbs[] = {
    {"limiter.acquire", [](StarvedVerb& v) { return told(v.limiter.acquire()); }},
    {"limiter.acquire that waits", [](StarvedVerb& v) { return told(v.limiter.acquire({.cost = 2})); }, "value",
     &empty_buckets},
    {"limiter.acquire that is refused", [](StarvedVerb& v) { return told(v.limiter.acquire({.cost = 2, .max_wait = 1s})); },
     "rate_limited", &empty_buckets},
    {"limiter.execute that waits", [](StarvedVerb& v) { return told(v.limiter.execute(&nap)); }, "value", &empty_buckets},
    {"executor.execute", [](StarvedVerb& v) { return told(v.executor.execute(&nap)); }},
    {"executor.execute of what fails", [](StarvedVerb& v) { return told(v.executor.execute(&failing)); }, "connect"},
    {"executor.map", [](StarvedVerb& v) { return told(v.executor.map(three, &doubled)); }},
    {"executor.map that collects",
     [](StarvedVerb& v) { return told(v.executor.map(three, &doubled, khive::MapMode::collect)); }},
    {"executor.map that fails", [](StarvedVerb& v) { return told(v.executor.map(three, &failing_at_two)); }, "connect"},
    {"executor.submit and join", [](StarvedVerb& v) { return submit_and_join(v.executor); }},
    {"executor.submit and shutdown", [](StarvedVerb& v) { return submit_and_shut_down(v.executor); }, "value",
     [](StarvedVerb&) {}, true},
    {"combined.execute that waits", [](StarvedVerb& v) { return told(v.combined.execute(&nap)); }, "value", &empty_buckets},
    {"combined.map", [](StarvedVerb& v) { return told(v.combined.map(three, &doubled)); }},
    {"combined.submit and join", [](StarvedVerb& v) { return submit_and_join(v.combined); }},
    {"combined.submit and shutdown", [](StarvedVerb& v) { return submit_and_shut_down(v.combined); }, "value",
     [](StarvedVerb&) {}, true},
    {"breaker.execute", [](StarvedVerb& v) { return told(v.breaker.execute(&nap)); }},
    {"breaker.execute that opens", [](StarvedVerb& v) { return told(v.breaker.execute(&failing)); }, "connect", &fail_twice},
    {"breaker.execute as a probe", [](StarvedVerb& v) { return told(v.breaker.execute(&nap)); }, "value", &half_open},
    {"retry.execute", [](StarvedVerb& v) { return told(v.retry.execute(&second_time_lucky)); }},
    {"retry.execute of what fails", [](StarvedVerb& v) { return told(v.retry.execute(&failing)); }, "connect"},
    {"retry.execute with a timeout that runs out",
     [](StarvedVerb&) {
         const khive::RetryWithBackoff limited(
             {.max_attempts = 2, .jitter = khive::Jitter::none, .attempt_timeout = 5s, .total_timeout = 60s});
         return told(limited.execute(&long_nap));
     },
     "timeout"},
};

void fail_all(bool later_too)
{
    for (const VerbKind& kind : verbs) {
        INFO(kind.name);
        const auto count = fail_every_allocation(later_too, [&](memory::Plan plan) { StarvedVerb(kind).run(plan); });
        CHECK(count >= 1);
    }
}

} // namespace

TEST_CASE("Policies: whose verbs lack memory for one allocation get everything back", "[exhaustive][allocation]")
{
    fail_all(false);
}

TEST_CASE("Policies: whose verbs lack memory from some point on get everything back", "[exhaustive][allocation]")
{
    fail_all(true);
}

} // namespace khive_tests::policy_test

// SPDX-License-Identifier: BSL-1.0
//
// Each policy alone where nobody waits, by the verbs that a client calls, and all four as a client stacks them. The time is
// handed in: a client reads the clock once an attempt.

#include "allocations.hpp"

#include <khive/client/detail/permits.hpp>
#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include <benchmark/benchmark.h>

#include <chrono>

namespace {

using namespace khive;
using namespace std::chrono_literals;

/// A clock that costs nothing.
struct Ticks {
    TimePoint now = Clock::now();
    TimePoint operator()() noexcept { return now += 100ns; }
};

TokenBucketRateLimiter ample_limiter()
{
    return TokenBucketRateLimiter{{.rate = 1e9, .burst = 1e9}};
}

void limiter_try_take(benchmark::State& state)
{
    auto limiter = ample_limiter();
    Ticks time;
    micro::repeat(state, [&] { limiter.try_take(1, time())->spend(); });
}
BENCHMARK(limiter_try_take);

void limiter_take_and_give_back(benchmark::State& state)
{
    auto limiter = ample_limiter();
    Ticks time;
    micro::repeat(state, [&] { benchmark::DoNotOptimize(limiter.try_take(1, time())); });
}
BENCHMARK(limiter_take_and_give_back);

void limiter_try_acquire_with_clock(benchmark::State& state)
{
    auto limiter = ample_limiter();
    micro::repeat(state, [&] { benchmark::DoNotOptimize(limiter.try_acquire()); });
}
BENCHMARK(limiter_try_acquire_with_clock);

void executor_enter_and_leave(benchmark::State& state)
{
    AsyncExecutor executor;
    Ticks time;
    micro::repeat(state, [&] { benchmark::DoNotOptimize(executor.try_enter(time())); });
}
BENCHMARK(executor_enter_and_leave);

void rate_limited_executor_dispatch(benchmark::State& state)
{
    RateLimitedExecutor both{{.rate = 1e9, .burst = 1e9}};
    Ticks time;
    micro::repeat(state, [&] { both.try_dispatch(1, time())->spend(); });
}
BENCHMARK(rate_limited_executor_dispatch);

void admit_and_record(benchmark::State& state, const CircuitBreakerOptions& options)
{
    const CircuitBreaker breaker(options);
    Ticks time;
    micro::repeat(state, [&] {
        const TimePoint now = time();
        breaker.try_admit(now)->record(Outcome{}, now);
    });
}
BENCHMARK_CAPTURE(admit_and_record, breaker, CircuitBreakerOptions{});
BENCHMARK_CAPTURE(admit_and_record, breaker_with_window, CircuitBreakerOptions{.failure_ratio = 0.5});

void breaker_refuses(benchmark::State& state)
{
    const CircuitBreaker breaker{{.open_for = 24h}};
    Ticks time;
    for (int i = 0; i < 5; ++i) breaker.try_admit(time())->record(Outcome{.verdict = Verdict::failure}, time());
    micro::repeat(state, [&] { benchmark::DoNotOptimize(breaker.try_admit(time())); });
}
BENCHMARK(breaker_refuses);

void retry_on_success(benchmark::State& state)
{
    const RetryWithBackoff retry;
    Ticks time;
    micro::repeat(state, [&] {
        auto schedule = retry.begin();
        benchmark::DoNotOptimize(schedule.next(Outcome{}, 1, time(), no_deadline));
    });
}
BENCHMARK(retry_on_success);

/// What the client's loop does with its policies in an attempt that succeeds.
void all_four(benchmark::State& state)
{
    const AsyncExecutor executor;
    const CircuitBreaker breaker;
    const RetryWithBackoff retry;
    detail::SeparateGate<TokenBucketRateLimiter, AsyncExecutor> gate(ample_limiter(), executor);
    Ticks time;
    micro::repeat(state, [&] {
        const TimePoint now = time();
        auto schedule = retry.begin();
        benchmark::DoNotOptimize(gate.check_cost(1));
        benchmark::DoNotOptimize(breaker.refusal(now));
        auto permit = gate.try_take(1, now);
        auto ticket = breaker.try_admit(now);
        permit->spend();
        ticket->record(Outcome{}, now);
        permit.reset();
        benchmark::DoNotOptimize(schedule.next(Outcome{}, 1, now, no_deadline));
    });
}
BENCHMARK(all_four);

} // namespace

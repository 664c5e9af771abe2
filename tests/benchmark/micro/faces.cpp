// SPDX-License-Identifier: BSL-1.0
//
// Policies around an awaitable, as users write them without a client: coroutine frames and reading the clock included.

#include "allocations.hpp"

#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include <benchmark/benchmark.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <utility>

namespace {

using namespace khive;

asio::awaitable<int> work()
{
    co_return 42;
}

template <class Act>
asio::awaitable<void> repeat_in(benchmark::State& state, Act act)
{
    for (int i = 0; i < 100; ++i) co_await act();
    const micro::CountAllocations count(state);
    for (auto _ : state) co_await act();
}

/// Awaits `act()` again and again.
template <class Act>
void repeat_awaiting(benchmark::State& state, Act act)
{
    asio::io_context io(1);
    auto repeating = repeat_in(state, std::move(act));
    asio::co_spawn(io, std::move(repeating), asio::detached);
    io.run();
}

void await_nothing(benchmark::State& state)
{
    repeat_awaiting(state, [] { return work(); });
}
BENCHMARK(await_nothing);

void limiter_acquire(benchmark::State& state)
{
    TokenBucketRateLimiter limiter{{.rate = 1e9, .burst = 1e9}};
    repeat_awaiting(state, [&] { return limiter.acquire(); });
}
BENCHMARK(limiter_acquire);

void limiter_execute(benchmark::State& state)
{
    TokenBucketRateLimiter limiter{{.rate = 1e9, .burst = 1e9}};
    repeat_awaiting(state, [&] { return limiter.execute(work); });
}
BENCHMARK(limiter_execute);

void executor_execute(benchmark::State& state)
{
    AsyncExecutor executor;
    repeat_awaiting(state, [&] { return executor.execute(work); });
}
BENCHMARK(executor_execute);

void breaker_execute(benchmark::State& state)
{
    const CircuitBreaker breaker;
    repeat_awaiting(state, [&] { return breaker.execute(work); });
}
BENCHMARK(breaker_execute);

void retry_execute(benchmark::State& state)
{
    const RetryWithBackoff retry;
    repeat_awaiting(state, [&] { return retry.execute(work); });
}
BENCHMARK(retry_execute);

} // namespace

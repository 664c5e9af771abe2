// SPDX-License-Identifier: BSL-1.0
//
// Two threads with one client each, that share limiter, executor, breaker and retry, over a network without sockets:
// `requests/s` of all threads, and beside it how many times those of one thread that is. The last rounds are the same without
// anything shared, which is what the machine gives.

#include "loopback.hpp"

#include <khive/khive.hpp>

#include <benchmark/benchmark.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <thread>
#include <vector>

namespace {

using namespace khive;

constexpr int calls_per_thread = 20'000;
constexpr int calls_at_once = 8;

struct Policies {
    TokenBucketRateLimiter limiter{{.rate = 1e9, .burst = 1e9}};
    AsyncExecutor executor{{.max_concurrency = 1000}};
    CircuitBreaker breaker{CircuitBreakerOptions{}};
    RetryWithBackoff retry{RetryOptions{}};
};

asio::awaitable<void> call_repeatedly(AnyAPIClient api, int calls)
{
    Response answer;
    for (int i = 0; i < calls; ++i) co_await api.get("/small").send_into(answer);
}

/// When a thread has begun and ended.
struct Span {
    TimePoint begun;
    TimePoint ended;
};

/// As in the race, each has a core of its own, if there are as many.
void keep_to_core(unsigned number)
{
    cpu_set_t cores;
    CPU_ZERO(&cores);
    CPU_SET(number % std::thread::hardware_concurrency(), &cores);
    ::pthread_setaffinity_np(::pthread_self(), sizeof cores, &cores);
}

/// One thread's share: warms up, waits for the others, then works.
Span work(Policies policies, std::barrier<>& start)
{
    asio::io_context io(1);
    micro::Loopback::install(io.get_executor());
    const AsyncAPIClient api(io, ClientOptions("http://api.test"), policies.limiter, policies.executor, policies.breaker,
                             policies.retry);
    const auto run = [&](int calls) {
        for (int i = 0; i < calls_at_once; ++i)
            asio::co_spawn(io, call_repeatedly(api, calls / calls_at_once), asio::detached);
        io.restart();
        io.run();
    };
    run(calls_per_thread / 4);
    start.arrive_and_wait();
    const auto begun = Clock::now();
    run(calls_per_thread);
    return {begun, Clock::now()};
}

/// Requests a second of `count` threads together.
double throughput(int count, bool share)
{
    std::barrier start(count);
    std::vector<Span> spans(static_cast<std::size_t>(count));
    std::vector<std::jthread> threads;
    const Policies shared;
    for (Span& mine : spans)
        threads.emplace_back([&, core = static_cast<unsigned>(threads.size())] {
            keep_to_core(core);
            mine = work(share ? shared : Policies{}, start);
        });
    threads.clear();
    const auto first = std::ranges::min(spans, {}, &Span::begun).begun;
    const auto last = std::ranges::max(spans, {}, &Span::ended).ended;
    return count * calls_per_thread / to_seconds(last - first);
}

/// One thread and two alternate, so that a slow moment of the machine meets both.
void two_threads(benchmark::State& state, bool share)
{
    double one = 0;
    double two = 0;
    for (auto _ : state) {
        one = std::max(one, throughput(1, share));
        two = std::max(two, throughput(2, share));
    }
    state.counters["requests/s"] = two;
    state.counters["of_one_thread"] = two / one;
}
BENCHMARK_CAPTURE(two_threads, shared_policies, true)->Iterations(40)->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(two_threads, nothing_shared, false)->Iterations(40)->Unit(benchmark::kMillisecond);

} // namespace

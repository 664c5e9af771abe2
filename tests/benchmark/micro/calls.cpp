// SPDX-License-Identifier: BSL-1.0
//
// The pool, and whole calls of a client, over a network without sockets.

#include "allocations.hpp"
#include "loopback.hpp"

#include <khive/khive.hpp>

#include <benchmark/benchmark.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <memory>

namespace {

using namespace khive;

void pool_check_out_and_return(benchmark::State& state)
{
    asio::io_context io(1);
    micro::Loopback::install(io.get_executor());
    const auto pool = std::make_shared<net::ConnectionPool>(io.get_executor(), net::PoolOptions{},
                                                            http::ReaderLimits{}, net::TlsContext{});
    auto& entry = pool->entry(Origin{false, "api.test", 80});
    const auto dial = [](std::shared_ptr<net::ConnectionPool> of, net::ConnectionPool::OriginEntry* to) -> asio::awaitable<void> {
        net::Checkout waiting(of, of->checkout(*to, {}, {}, false));
        auto wait = async::suspend(waiting);
        co_await std::move(wait);
    };
    asio::co_spawn(io, dial(pool, &entry), asio::detached);
    io.run();
    const TimePoint now = Clock::now();
    micro::repeat(state, [&] {
        if (!pool->try_checkout(entry, now)) state.SkipWithError("nothing is idle");
    });
    pool->shut_down();
}
BENCHMARK(pool_check_out_and_return);

/// Calls one after another; the answer goes into the same object.
asio::awaitable<void> call_repeatedly(benchmark::State& state, AnyAPIClient api)
{
    Response answer;
    for (int i = 0; i < 100; ++i) co_await api.get("/small").send_into(answer);
    const micro::CountAllocations count(state);
    for (auto _ : state) co_await api.get("/small").send_into(answer);
}

template <class... Policies>
void call(benchmark::State& state, Policies... policies)
{
    asio::io_context io(1);
    micro::Loopback::install(io.get_executor());
    const AsyncAPIClient api(io, ClientOptions("http://api.test"), policies...);
    asio::co_spawn(io, call_repeatedly(state, api), asio::detached);
    io.run();
}

void call_without_policies(benchmark::State& state)
{
    call(state);
}
BENCHMARK(call_without_policies);

void call_with_all_policies(benchmark::State& state)
{
    call(state, TokenBucketRateLimiter{{.rate = 1e9, .burst = 1e9}}, AsyncExecutor{}, CircuitBreaker{}, RetryWithBackoff{});
}
BENCHMARK(call_with_all_policies);

} // namespace

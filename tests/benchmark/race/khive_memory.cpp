// SPDX-License-Identifier: BSL-1.0
//
// What a call in flight and an idle connection hold of the heap, OpenSSL's part included: CONNECTIONS calls at once to a path that
// answers late, measured when all of them wait for their answer, and again when all connections are idle.

#include "runner.hpp"

#include <khive/khive.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <malloc.h>

#include <exception>
#include <functional>
#include <stdexcept>

namespace asio = boost::asio;

std::size_t heap()
{
    const auto info = ::mallinfo2();
    return info.uordblks + info.hblkhd;
}

asio::awaitable<void> get(race::Run& run, khive::AnyAPIClient api)
{
    const khive::Response response = co_await api.get(run.arguments.path).send();
    run.answered(response.status(), response.body());
}

/// Until `done()`; looked at now and then, for half a minute.
template <class Done>
asio::awaitable<void> wait_until(Done done)
{
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (int looks = 0; !done(); ++looks) {
        if (looks == 6000) throw std::runtime_error("waited in vain");
        timer.expires_after(std::chrono::milliseconds{5});
        co_await timer.async_wait(asio::use_awaitable);
    }
}

/// The heap once nothing comes or goes any more: connections give up their buffers a moment after they became idle.
asio::awaitable<std::size_t> settled_heap()
{
    std::size_t last = 0;
    int same = 0;
    const auto settled = [&] {
        const std::size_t now = heap();
        same = now == last ? same + 1 : 0;
        last = now;
        return same >= 20;
    };
    co_await wait_until(std::ref(settled));
    co_return last;
}

asio::awaitable<void> measure(race::Run& run, khive::AnyAPIClient api)
{
    const auto count = static_cast<std::size_t>(run.arguments.connections);
    const auto executor = co_await asio::this_coro::executor;
    co_await api.get("/small").send(); // what the first call of a client makes, once
    const std::size_t before = co_await settled_heap();
    for (std::size_t i = 0; i < count; ++i) asio::co_spawn(executor, get(run, api), asio::detached);
    const auto all_wait = [api, count] { return api.connections().leased == count; };
    co_await wait_until(all_wait);
    const std::size_t in_flight = heap();
    const auto all_are_idle = [api] { return api.in_flight() == 0; };
    co_await wait_until(all_are_idle);
    const std::size_t idle = co_await settled_heap();
    std::printf("client=khive_memory in_flight=%zu idle=%zu wrong=%ld\n", (in_flight - before) / count, (idle - before) / count,
                run.wrong());
}

int main(int argc, char** argv)
{
    race::Run run(argc, argv);
    const auto count = static_cast<std::size_t>(run.arguments.connections);
    asio::io_context io(1);
    khive::ClientOptions options(run.arguments.url.substr(0, run.arguments.url.find('/', 8)));
    options.pool({.max_connections = count, .max_waiting = count});
    if (run.arguments.tls) options.tls(khive::TlsContext().trust_nothing().add_ca_file(run.arguments.ca_file));
    const khive::AsyncAPIClient api(io, options, khive::TokenBucketRateLimiter{{.rate = 1e9, .burst = 1e9}},
                                    khive::AsyncExecutor{{.max_concurrency = 100000}}, khive::CircuitBreaker{{}},
                                    khive::RetryWithBackoff{{}});
    asio::co_spawn(io, measure(run, api), [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    });
    io.run();
}

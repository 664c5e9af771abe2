// SPDX-License-Identifier: BSL-1.0
//
// khive in the race. MODE `all` (default): limiter, executor, breaker and retry on, limits out of reach; `none`: no policies.

#include "runner.hpp"

#include <khive/khive.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

namespace asio = boost::asio;

struct Run {
    race::Arguments arguments;
    long left = 0;
    long done = 0;
    long wrong = 0;
    long warm_up = 0;
    race::Meter meter;
};

asio::awaitable<void> client(Run* run, khive::AnyAPIClient api)
{
    const std::size_t expected = run->arguments.path == "/big" ? 65536u : 208u;
    while (run->left > 0) {
        --run->left;
        const khive::Response response = co_await api.get(run->arguments.path).send();
        if (response.status() != 200 || response.body().size() != expected) ++run->wrong;
        if (++run->done == run->warm_up) run->meter.start();
    }
}

template <class... Policies>
khive::AnyAPIClient make(asio::io_context& io, const race::Arguments& arguments, Policies... policies)
{
    khive::ClientOptions options("http://" + arguments.host + ":" + arguments.port);
    options.pool({.max_connections = static_cast<std::size_t>(arguments.connections)});
    return khive::AsyncAPIClient(io, options, std::move(policies)...);
}

int main(int argc, char** argv)
{
    Run run;
    run.arguments = race::parse(argc, argv);
    run.warm_up = run.arguments.connections * 20;
    run.left = run.arguments.requests + run.warm_up;
    asio::io_context io(1);
    auto api = run.arguments.mode == "none"
                   ? make(io, run.arguments)
                   : make(io, run.arguments, khive::TokenBucketRateLimiter{{.rate = 1e9, .burst = 1e9}},
                          khive::AsyncExecutor{{.max_concurrency = 100000}}, khive::CircuitBreaker{{}}, khive::RetryWithBackoff{{}});
    for (int i = 0; i < run.arguments.connections; ++i) asio::co_spawn(io, client(&run, api), asio::detached);
    io.run();
    run.meter.report(run.arguments.mode == "none" ? "khive_none" : "khive", run.arguments.requests, run.wrong);
}

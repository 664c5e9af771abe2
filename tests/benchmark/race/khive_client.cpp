// SPDX-License-Identifier: BSL-1.0
//
// khive in the race. MODE `all` (default): limiter, executor, breaker and retry on, limits out of reach; `none`: no policies;
// `reuse`: as `all`, each caller uses the memory of its response again. Pool, deadline, ledger and typed errors are always on.

#include "order.hpp"
#include "runner.hpp"

#include <khive/client/json.hpp>
#include <khive/khive.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

namespace asio = boost::asio;

asio::awaitable<void> get(race::Run& run, khive::AnyAPIClient api)
{
    while (run.take()) {
        try {
            const khive::Response response = co_await api.get(run.arguments.path).send();
            run.answered(response.status(), response.body());
        } catch (const khive::APIClientError& error) {
            if (run.wrong() == 0) std::fprintf(stderr, "khive: %s\n", error.what());
            run.answered(false);
        }
    }
}

asio::awaitable<void> get_again(race::Run& run, khive::AnyAPIClient api)
{
    khive::Response response;
    while (run.take()) {
        co_await api.get(run.arguments.path).send_into(response);
        run.answered(response.status(), response.body());
    }
}

asio::awaitable<void> post(race::Run& run, khive::AnyAPIClient api)
{
    const Order order = nlohmann::json::parse(run.arguments.body).get<Order>();
    while (run.take()) {
        const Order answer = co_await api.post(run.arguments.path).json(order).as<Order>();
        run.answered(answer == order);
    }
}

template <class... Policies>
khive::AnyAPIClient make(asio::io_context& io, const race::Arguments& arguments, Policies... policies)
{
    const auto count = static_cast<std::size_t>(arguments.connections);
    khive::ClientOptions options(arguments.url.substr(0, arguments.url.find('/', 8)));
    options.pool({.max_connections = count, .max_waiting = count});
    if (arguments.tls) options.tls(khive::TlsContext().trust_nothing().add_ca_file(arguments.ca_file));
    return khive::AsyncAPIClient(io, options, std::move(policies)...);
}

int main(int argc, char** argv)
{
    race::Run run(argc, argv);
    const bool bare = run.arguments.mode == "none";
    asio::io_context io(1);
    auto api = bare ? make(io, run.arguments)
                    : make(io, run.arguments, khive::TokenBucketRateLimiter{{.rate = 1e9, .burst = 1e9}},
                           khive::AsyncExecutor{{.max_concurrency = 100000}}, khive::CircuitBreaker{{}},
                           khive::RetryWithBackoff{{}});
    const auto work = run.arguments.path == "/echo" ? post : run.arguments.mode == "reuse" ? get_again : get;
    for (int i = 0; i < run.arguments.connections; ++i) asio::co_spawn(io, work(run, api), asio::detached);
    io.run();
    run.report(bare ? "khive_none" : "khive");
}

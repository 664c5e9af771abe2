// SPDX-License-Identifier: BSL-1.0
// What a client does, in the log: one record a call, one a retry, one a refusal. Secrets and query values stay out of it.

#include <khive/client/logging.hpp>
#include <khive/khive.hpp>
#include <khive/testing/fault_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <exception>
#include <iostream>
#include <memory>
#include <sstream>
#include <stdexcept>

namespace asio = boost::asio;
namespace testing = khive::testing;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> run(khive::AnyAPIClient api)
{
    co_await api.get("/users").query("token", "secret").send();
    const auto missing = co_await api.get("/nobody").try_send();
    if (missing.has_value()) throw std::logic_error("nobody is there");
}

} // namespace

int main()
{
    testing::FaultServer server([](const testing::ReceivedRequest&) { return testing::status(404); });
    server.reply(testing::status(503)).reply(testing::ok("ann, bob"));

    std::ostringstream text; // any spdlog sink will do
    auto logger = std::make_shared<spdlog::logger>("api", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));

    const khive::CircuitBreaker breaker{{.consecutive_failures = 1, .open_for = 1ms}};
    khive::log_state_changes(breaker, logger, "users API");

    asio::io_context io;
    khive::ClientOptions options(server.url());
    options.observer(std::make_shared<khive::SpdlogObserver>(logger));
    const khive::AsyncAPIClient api(io, options, breaker, khive::RetryWithBackoff{{.base_delay = 20ms, .jitter = khive::Jitter::none}});
    asio::co_spawn(io, run(api), [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    });
    io.run();

    std::cout << text.str();
    if (text.str().find("secret") != std::string::npos) throw std::logic_error("a secret in the log");
    if (text.str().find("again in") == std::string::npos) throw std::logic_error("no record of the retry");
}

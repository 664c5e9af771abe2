// SPDX-License-Identifier: BSL-1.0
// Errors: thrown or as values, always the same object, with the ledger of every attempt.

#include <khive/khive.hpp>
#include <khive/testing/fault_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <stdexcept>

namespace asio = boost::asio;
namespace testing = khive::testing;
using namespace std::chrono_literals;

namespace {

testing::Reply answer(const testing::ReceivedRequest& request)
{
    if (request.path() == "/busy") return testing::too_many_requests(1h);
    if (request.path() == "/flaky") return testing::status(503);
    if (request.path() == "/broken") return testing::reset();
    return testing::status(404, {}, R"({"error": "no such user"})");
}

// Thrown: one class for each kind of thing that one might want to do about it.
asio::awaitable<void> with_exceptions(khive::AnyAPIClient api)
{
    try {
        co_await api.get("/users/{}", 7).send();
        throw std::logic_error("there is no user 7");
    } catch (const khive::ResourceNotFoundError& e) { // 404
        std::cout << "not there: " << e.error().body() << '\n';
    } catch (const khive::APIStatusError& e) { // any other status of 400 or more
        std::cout << "refused with " << e.error().status() << '\n';
    } catch (const khive::APIConnectionError& e) { // connect, TLS, reset; what took too long is an APITimeoutError
        std::cout << "not reached: " << e.what() << '\n';
    } catch (const khive::APIClientError& e) { // the root of them all
        std::cout << e.what() << '\n';
    }
}

// As a value: try_send() throws nothing but std::bad_alloc.
asio::awaitable<void> with_values(khive::AnyAPIClient api)
{
    const auto busy = co_await api.get("/busy").try_send();
    const khive::Error& error = busy.error();
    std::cout << khive::to_string(error.kind()) << ' ' << error.status() << ", again in "
              << khive::to_seconds(error.retry_after().value()) << " s\n";

    // The whole story of a call that was tried three times.
    const auto flaky = co_await api.get("/flaky").try_send();
    std::cout << flaky.error().ledger().summary() << '\n';
    if (flaky.error().ledger().size() != 3) throw std::logic_error("three attempts were allowed");

    // A POST whose connection broke may have been acted on: it is not repeated, and the error says why.
    const auto broken = co_await api.post("/broken").body("pay 5").try_send();
    std::cout << broken.error().message() << "; maybe processed: " << broken.error().maybe_processed() << '\n';

    // A status of 400 or more is no error if you say so.
    const auto answer = co_await api.get("/users/7").raise_for_status(false).send();
    std::cout << "status " << answer.status() << ", " << answer.body() << '\n';
}

} // namespace

int main()
{
    testing::FaultServer server(answer);
    asio::io_context io;
    const khive::AsyncAPIClient api(io, server.url(), khive::RetryWithBackoff{{.max_attempts = 3, .base_delay = 10ms}});
    const auto rethrow = [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    };
    asio::co_spawn(io, with_exceptions(api), rethrow);
    asio::co_spawn(io, with_values(api), rethrow);
    io.run();
}

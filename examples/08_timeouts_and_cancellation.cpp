// SPDX-License-Identifier: BSL-1.0
// Calls end in time: by their own timers, by whoever started them, or because the client closes.

#include <khive/khive.hpp>
#include <khive/testing/fault_server.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <stdexcept>

namespace asio = boost::asio;
namespace testing = khive::testing;
using namespace std::chrono_literals;

namespace {

void expect(bool good, const char* what)
{
    std::cout << what << '\n';
    if (!good) throw std::logic_error(what);
}

asio::awaitable<void> timeouts(khive::AnyAPIClient api)
{
    // The whole call, all attempts and waits included.
    const auto call = co_await api.get("/slow").timeout(50ms).try_send();
    expect(call.error().timer() == khive::Timer::total, "the call ended after 50 ms");

    // Each attempt; then another follows, if the retry policy allows it.
    const auto attempts = co_await api.get("/slow").attempt_timeout(20ms).try_send();
    expect(attempts.error().ledger().size() == 2, "two attempts of 20 ms");
}

asio::awaitable<void> cancellation(khive::AnyAPIClient api)
{
    // Whichever comes first: the other is cancelled.
    using namespace asio::experimental::awaitable_operators;
    asio::steady_timer user_loses_patience(co_await asio::this_coro::executor, 30ms);
    auto race = api.get("/slow").try_send() || user_loses_patience.async_wait(asio::use_awaitable);
    const auto winner = co_await std::move(race);
    expect(winner.index() == 1, "the user was faster");
}

asio::awaitable<void> call_until_cancelled(khive::AnyAPIClient api)
{
    const auto result = co_await api.get("/slow").try_send();
    expect(result.error().kind() == khive::ErrorKind::cancelled, "cancelled by a signal");
}

asio::awaitable<void> closing(khive::AnyAPIClient api, asio::cancellation_signal* signal)
{
    co_await timeouts(api);
    co_await cancellation(api);
    signal->emit(asio::cancellation_type::terminal);

    // No new calls; those under way have ten seconds to end.
    const bool all_ended = co_await api.close(10s);
    const auto late = co_await api.get("/").try_send();
    expect(all_ended && late.error().kind() == khive::ErrorKind::closed, "closed");
}

} // namespace

int main()
{
    testing::FaultServer server([](const testing::ReceivedRequest&) { return testing::no_answer(); });
    asio::io_context io;
    const khive::AsyncAPIClient api(io, server.url(), khive::RetryWithBackoff{{.max_attempts = 2, .base_delay = 1ms}});
    const auto rethrow = [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    };
    asio::cancellation_signal signal;
    asio::co_spawn(io, call_until_cancelled(api), asio::bind_cancellation_slot(signal.slot(), rethrow));
    asio::co_spawn(io, closing(api, &signal), rethrow);
    io.run();
}

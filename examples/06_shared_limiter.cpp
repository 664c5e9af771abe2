// SPDX-License-Identifier: BSL-1.0
// Policies are handles: two clients that are given one limiter share its bucket. Here two services of one provider that counts
// both against one quota.

#include <khive/khive.hpp>
#include <khive/testing/fault_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <stdexcept>
#include <string>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

asio::awaitable<void> download(khive::AnyAPIClient api, std::string name)
{
    khive::Duration waited{};
    for (int page = 1; page <= 10; ++page) {
        const auto answer = co_await api.get("/items").query("page", page).send();
        waited += answer.ledger()[0].rate_wait;
    }
    std::cout << name << " waited " << khive::to_seconds(waited) << " s for its turns\n";
}

} // namespace

int main()
{
    khive::testing::FaultServer billing;
    khive::testing::FaultServer storage;
    asio::io_context io;

    const khive::TokenBucketRateLimiter quota{{.rate = 50, .burst = 5}};
    const khive::AsyncAPIClient bills(io, billing.url(), quota);
    const khive::AsyncAPIClient files(io, storage.url(), quota);

    const auto rethrow = [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    };
    const auto begin = khive::Clock::now();
    asio::co_spawn(io, download(bills, "billing"), rethrow);
    asio::co_spawn(io, download(files, "storage"), rethrow);
    io.run();

    // Twenty calls, five of them at once: the other fifteen take 0.3 s.
    const khive::Duration taken = khive::Clock::now() - begin;
    std::cout << billing.request_count() + storage.request_count() << " calls in " << khive::to_seconds(taken) << " s\n";
    if (taken < 300ms) throw std::logic_error("more calls than the quota allows");
}

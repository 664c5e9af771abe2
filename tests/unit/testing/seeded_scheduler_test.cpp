// SPDX-License-Identifier: BSL-1.0
#include <khive/testing/event_recorder.hpp>
#include <khive/testing/seeded_scheduler.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include <algorithm>
#include <memory>
#include <numeric>
#include <set>
#include <string>
#include <vector>

namespace khive_tests::seeded_scheduler_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::Started;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

namespace {

constexpr int handlers = 10;

/// In which order so many handlers run that are ready at once.
std::vector<int> order_of(VirtualTime& time, const asio::any_io_executor& executor)
{
    std::vector<int> order;
    for (int i = 0; i < handlers; ++i) asio::post(executor, [&order, i] { order.push_back(i); });
    time.settle();
    return order;
}

std::vector<int> order_of(std::uint64_t seed)
{
    VirtualTime time(seed);
    return order_of(time, time.executor());
}

std::vector<int> in_order()
{
    std::vector<int> order(handlers);
    std::iota(order.begin(), order.end(), 0);
    return order;
}

asio::awaitable<bool> sleep_an_hour(VirtualTime* time)
{
    co_return co_await async::sleep_until(time->now() + 1h);
}

} // namespace

TEST_CASE("SeededScheduler: each seed has an order of its own and repeats it", "[testing]")
{
    std::set<std::vector<int>> orders;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        auto order = order_of(seed);
        CHECK(order == order_of(seed));
        orders.insert(order);
        std::ranges::sort(order);
        CHECK(order == in_order());
    }
    CHECK(orders.size() > 15);
}

TEST_CASE("SeededScheduler: without a seed handlers run in the order in which they became ready", "[testing]")
{
    VirtualTime time;

    CHECK(order_of(time, time.executor()) == in_order());
}

TEST_CASE("SeededScheduler: what a strand orders stays ordered", "[testing]")
{
    VirtualTime time(7);

    CHECK(order_of(time, asio::make_strand(time.executor())) == in_order());
}

TEST_CASE("SeededScheduler: what has not run is destroyed with the context", "[testing]")
{
    const auto held = std::make_shared<int>(1);
    {
        VirtualTime time(1);
        asio::post(time.executor(), [held] { FAIL("it ran"); });
        CHECK(held.use_count() == 2);
    }
    CHECK(held.use_count() == 1);
}

TEST_CASE("SeededScheduler: run() stays for what is ready, and for what is tracked", "[testing]")
{
    asio::io_context io;
    const SeededScheduler scheduler(io, 3);
    int runs = 0;
    auto tracked = std::make_unique<asio::any_io_executor>(
        asio::prefer(asio::any_io_executor(scheduler), asio::execution::outstanding_work.tracked));
    asio::post(scheduler, [&] {
        ++runs;
        asio::post(*tracked, [&] { ++runs, tracked.reset(); });
    });

    io.run();

    CHECK(runs == 2);
    CHECK(io.stopped());
}

TEST_CASE("SeededScheduler: calls of a client on it each get their own answer, whatever the order", "[testing]")
{
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        VirtualTime time(seed);
        const auto api = scripted_client(time);
        api.server().otherwise([](const ReceivedRequest& request) { return ok(request.target); });
        std::vector<Started<std::string>> calls;
        for (int i = 0; i < 5; ++i) calls.push_back(time.start(text_of(api.get("/" + std::to_string(i)).send())));
        time.run_for(10s);
        for (int i = 0; i < 5; ++i) REQUIRE(calls[static_cast<std::size_t>(i)].get() == "/" + std::to_string(i));
    }
}

TEST_CASE("SeededScheduler: an operation may be cancelled before it begins", "[testing]")
{
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        VirtualTime time(seed);
        auto sleep = time.start(sleep_an_hour(&time));
        sleep.cancel();

        time.settle();

        REQUIRE(sleep.done());
    }
}

} // namespace khive_tests::seeded_scheduler_test

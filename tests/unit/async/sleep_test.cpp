// SPDX-License-Identifier: BSL-1.0
#include <khive/async/sleep.hpp>

#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include <future>
#include <memory>
#include <vector>

namespace khive_tests::sleep_test {

using namespace std::chrono_literals;
using khive::TimePoint;
using khive::async::sleep_until;
using khive::async::WaitScope;
using khive::testing::VirtualTime;

namespace {

asio::awaitable<void> wake(std::vector<int>* order, int name, TimePoint due)
{
    co_await sleep_until(due);
    order->push_back(name);
}

struct Guard {
    explicit Guard(bool* gone) : gone_(gone) {}
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { *gone_ = true; }
    bool* gone_;
};

asio::awaitable<void> sleep_guarded(bool* gone, TimePoint due)
{
    const Guard guard(gone);
    co_await sleep_until(due);
}

asio::awaitable<void> sleep_in(bool* gone, std::shared_ptr<WaitScope> scope)
{
    const Guard guard(gone);
    co_await sleep_until(khive::no_deadline, std::move(scope));
}

asio::awaitable<bool> nap(khive::Duration length)
{
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    co_return co_await sleep_until(khive::async::time_service(executor).now() + length);
}

} // namespace

TEST_CASE("sleep_until: sleeps until then and says so", "[async]")
{
    VirtualTime time;

    CHECK(time.run(sleep_until(time.now() + 90s)));

    CHECK(time.elapsed() == 90s);
}

TEST_CASE("sleep_until: a time that has passed is no wait", "[async]")
{
    VirtualTime time;

    CHECK(time.run(sleep_until(time.now() - 1s)));

    CHECK(time.elapsed() == 0s);
}

TEST_CASE("sleep_until: sleepers wake in the order of their times", "[async]")
{
    VirtualTime time;
    std::vector<int> order;
    time.spawn(wake(&order, 3, time.now() + 3s));
    time.spawn(wake(&order, 1, time.now() + 1s));
    time.spawn(wake(&order, 2, time.now() + 1s));

    time.run_for(3s);

    CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("sleep_until: cancelled, it ends at once and says so", "[async]")
{
    VirtualTime time;
    auto sleeper = time.start(sleep_until(time.now() + 1h));
    time.run_for(1s);

    sleeper.cancel();
    time.settle();

    REQUIRE(sleeper.done());
    CHECK_FALSE(sleeper.get());
    CHECK_FALSE(time.service().next_due());
}

TEST_CASE("sleep_until: cancelled as it wakes, it ends once", "[async]")
{
    VirtualTime time;
    auto sleeper = time.start(sleep_until(time.now() + 1s));
    time.settle();

    sleeper.cancel();
    time.service().advance_to(time.now() + 1s);
    time.settle();

    CHECK(sleeper.done());
}

TEST_CASE("sleep_until: a scope that closes ends it, and a closed one does not let it begin", "[async]")
{
    VirtualTime time;
    const auto scope = std::make_shared<WaitScope>();
    auto sleeper = time.start(sleep_until(time.now() + 1h, scope));
    time.settle();

    scope->close(khive::Error{khive::ErrorKind::closed});
    time.settle();

    REQUIRE(sleeper.done());
    CHECK_FALSE(sleeper.get());
    CHECK_FALSE(time.run(sleep_until(time.now() + 1h, scope)));
    CHECK(time.elapsed() == 0s);
}

TEST_CASE("sleep_until: a context that ends destroys its sleepers", "[async]")
{
    bool gone = false;
    {
        VirtualTime time;
        time.spawn(sleep_guarded(&gone, time.now() + 1h));
        time.settle();
        CHECK_FALSE(gone);
    }
    CHECK(gone);
}

TEST_CASE("sleep_until: many sleepers over threads all wake", "[async][threads]")
{
    asio::thread_pool pool(4);
    std::vector<std::future<bool>> sleepers;
    for (int i = 0; i < 200; ++i) {
        const asio::any_io_executor strand = asio::make_strand(pool);
        sleepers.push_back(asio::co_spawn(strand, nap(std::chrono::microseconds{i * 10}), asio::use_future));
    }
    bool all = true;
    for (auto& sleeper : sleepers) all = sleeper.get() && all;
    pool.join();
    CHECK(all);
}

TEST_CASE("sleep_until: the first thing that a context does does not keep it running afterwards", "[async]")
{
    asio::io_context io;
    auto slept = asio::co_spawn(io, sleep_until(khive::Clock::now() + 1ms), asio::use_future);

    io.run_for(10s);

    CHECK(io.stopped());
    CHECK(slept.get());
}

TEST_CASE("sleep_until: a context that ends between the end of a sleep on a strand and its caller's turn", "[async]")
{
    bool gone = false;
    {
        asio::io_context io;
        auto scope = std::make_shared<WaitScope>();
        (void)khive::async::time_service(io.get_executor());
        const auto strand = asio::make_strand(asio::any_io_executor(io.get_executor()));
        asio::co_spawn(strand, sleep_in(&gone, scope), asio::detached);
        io.poll();
        scope->close(khive::Error{khive::ErrorKind::closed});
        CHECK_FALSE(gone);
    }
    CHECK(gone);
}

} // namespace khive_tests::sleep_test

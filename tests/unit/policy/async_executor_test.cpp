// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/async_executor.hpp>

#include <khive/core/exceptions.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/use_future.hpp>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <optional>
#include <ranges>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace khive_tests::async_executor_test {

using namespace std::chrono_literals;
using khive::AsyncExecutor;
using khive::Duration;
using khive::ErrorKind;
using khive::ExecutorStats;
using khive::MapMode;
using khive::ShutdownReport;
using khive::testing::VirtualTime;

namespace {

/// Counts who is inside, and how many ever were.
struct Room {
    int inside = 0;
    int most = 0;
    int entered = 0;
    int left = 0;
};

struct Visit {
    explicit Visit(Room* room) : room_(room)
    {
        ++room_->entered;
        room_->most = std::max(room_->most, ++room_->inside);
    }
    Visit(const Visit&) = delete;
    Visit& operator=(const Visit&) = delete;
    ~Visit()
    {
        --room_->inside;
        ++room_->left;
    }
    Room* room_;
};

asio::awaitable<int> stay(Room* room, Duration length, int value)
{
    const Visit visit(room);
    co_await take(length);
    co_return value;
}

asio::awaitable<int> square_later(int value)
{
    co_await take(std::chrono::seconds{10 - value});
    co_return value * value;
}

asio::awaitable<int> fail_at_three(Room* room, int value)
{
    const Visit visit(room);
    co_await take(std::chrono::seconds{value});
    if (value == 3) throw std::runtime_error("three");
    co_return value;
}

asio::awaitable<void> hold_slot(AsyncExecutor executor, Duration length)
{
    auto entering = executor.enter({});
    auto slot = co_await std::move(entering);
    co_await take(length);
}

asio::awaitable<int> fail_last_of_20(int number)
{
    if (number == 19) throw std::runtime_error("the last");
    (void)co_await khive::async::sleep_until(khive::Clock::now() + 1h);
    throw std::runtime_error("cancelled");
}

} // namespace

TEST_CASE("AsyncExecutor: never runs more than its slots at once", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 3}};
    Room room;
    const std::vector<int> items(10, 1);
    auto fn = [&room](int) { return stay(&room, 1s, 1); };

    time.run(executor.map(items, fn));

    CHECK(room.most == 3);
    CHECK(room.left == 10);
    CHECK(time.elapsed() == 4s);
}

TEST_CASE("AsyncExecutor: execute gives the value of the function or throws what it throws", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    auto works = [] { return give(7); };
    auto fails = [] { return throwing(std::runtime_error("no")); };

    CHECK(time.run(executor.execute(works)) == 7);
    CHECK_THROWS_WITH(time.run(executor.execute(fails)), "no");

    const ExecutorStats stats = executor.stats();
    CHECK(stats.completed == 1);
    CHECK(stats.failed == 1);
    CHECK(stats.running == 0);
}

TEST_CASE("AsyncExecutor: tasks without a value work as well", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 2}};
    auto fn = [] { return take(1s); };
    auto each = [](int seconds) { return take(std::chrono::seconds{seconds}); };
    const std::vector<int> items{1, 2};

    time.run(executor.execute(fn));
    time.run(executor.map(items, each));
    const auto settled = time.run(executor.map(items, each, MapMode::collect));

    CHECK(time.elapsed() == 5s);
    CHECK(settled.size() == 2);
    CHECK(settled[0].has_value());
}

TEST_CASE("AsyncExecutor: slots are handed out in order of arrival", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    std::vector<int> order;
    std::vector<khive::Task<int>> tasks;
    for (int i = 0; i < 5; ++i) {
        auto fn = [&order, i] {
            order.push_back(i);
            return square_later(9);
        };
        tasks.push_back(executor.submit(time.executor(), fn));
    }

    time.run_for(10s);

    CHECK(order == std::vector{0, 1, 2, 3, 4});
}

TEST_CASE("AsyncExecutor: a slot is a move-only permit that frees itself", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};

    auto slot = executor.try_enter(time.now());
    REQUIRE(slot);
    CHECK_FALSE(executor.try_enter(time.now()));
    auto moved = std::move(*slot);
    slot.reset();
    CHECK_FALSE(executor.try_enter(time.now()));
    {
        const auto ended = std::move(moved);
    }
    CHECK(executor.try_enter(time.now()));
}

TEST_CASE("AsyncExecutor: a slot may outlive every handle", "[policy][executor]")
{
    VirtualTime time;
    auto executor = std::make_unique<AsyncExecutor>(khive::AsyncExecutorOptions{.max_concurrency = 2});
    auto one = executor->try_enter(time.now());
    auto two = executor->try_enter(time.now());
    executor.reset();

    one.reset();
    two.reset();
    SUCCEED("the sanitizers have nothing to say");
}

TEST_CASE("AsyncExecutor: the queue has a bound", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1, .max_queue = 1}};
    auto fn = [] { return square_later(9); };
    auto first = executor.submit(time.executor(), fn);
    auto second = executor.submit(time.executor(), fn);

    auto third = executor.submit(time.executor(), fn);
    const auto entered = time.run(executor.enter({}));

    CHECK(third.has_ended());
    try {
        time.run(std::move(third).join());
        FAIL("was accepted");
    } catch (const khive::QueueFullError& refused) {
        CHECK(refused.error().retryable());
    }
    CHECK(entered.error().kind() == ErrorKind::queue_full);
    CHECK(executor.stats().refused == 1);
    CHECK(time.run(std::move(second).join()) == 81);
}

TEST_CASE("AsyncExecutor: waiting for a slot may have a deadline", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    const auto held = executor.try_enter(time.now());

    const auto late = time.run(executor.enter({.deadline = time.now() + 3s}));

    CHECK(late.error().kind() == ErrorKind::timeout);
    CHECK(late.error().timer() == khive::Timer::queue);
    CHECK(time.elapsed() == 3s);
    CHECK(executor.stats().queued == 0);
}

TEST_CASE("AsyncExecutor: map gives results in the order of the items", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 4}};
    auto fn = [](int value) { return square_later(value); };

    const auto results = time.run(executor.map(std::vector{3, 9, 1, 5}, fn));

    CHECK(results == std::vector{9, 81, 1, 25});
}

TEST_CASE("AsyncExecutor: map of nothing is nothing", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor;
    auto fn = [](int value) { return square_later(value); };

    CHECK(time.run(executor.map(std::vector<int>{}, fn)).empty());
    CHECK(executor.stats().completed == 0);
}

TEST_CASE("AsyncExecutor: map pulls items from a single-pass range one ahead at most", "[policy][executor][EX-10]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 2}};
    int pulled = 0;
    int begun = 0;
    bool too_far = false;
    auto endless = std::views::iota(0) | std::views::transform([&pulled](int i) {
                       ++pulled;
                       return i;
                   });
    auto fn = [&](int value) {
        ++begun;
        too_far = too_far || pulled > begun + 1;
        if (value == 999) throw std::out_of_range("enough");
        return give(value);
    };

    CHECK_THROWS_AS(time.run(executor.map(endless, fn)), std::out_of_range);

    CHECK_FALSE(too_far);
    CHECK(executor.stats().peak <= 2);
}

TEST_CASE("AsyncExecutor: map copies the items of a single-pass range", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 3}};
    std::istringstream text("one two three four five");
    auto fn = [](const std::string& word) -> asio::awaitable<std::size_t> {
        co_await take(1s);
        co_return word.size();
    };

    const auto sizes = time.run(executor.map(std::views::istream<std::string>(text), fn));

    CHECK(sizes == std::vector<std::size_t>{3, 3, 5, 4, 4});
}

TEST_CASE("AsyncExecutor: map refers to the items of an lvalue range", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 3}};
    std::vector<std::unique_ptr<int>> items;
    for (int i = 0; i < 4; ++i) items.push_back(std::make_unique<int>(i));
    auto fn = [](std::unique_ptr<int>& item) -> asio::awaitable<void> {
        co_await take(1s);
        *item += 10;
    };

    time.run(executor.map(items, fn));

    CHECK(*items[3] == 13);
}

TEST_CASE("AsyncExecutor: map that fails fast cancels the others and waits for them", "[policy][executor][EX-9]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 4}};
    Room room;
    const std::vector<int> items{9, 3, 8, 7, 1, 1};
    auto fn = [&room](int value) { return fail_at_three(&room, value); };

    CHECK_THROWS_WITH(time.run(executor.map(items, fn)), "three");

    CHECK(time.elapsed() == 3s);
    CHECK(room.inside == 0);
    CHECK(room.entered == 4);
    CHECK(executor.stats().failed == 1);
    CHECK(executor.stats().cancelled == 3);
    CHECK(executor.stats().running == 0);
}

TEST_CASE("AsyncExecutor: map that fails fast does not wait behind strangers in the queue", "[policy][executor][EX-9]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 2}};
    Room room;
    time.spawn(hold_slot(executor, 100s));
    time.settle();
    time.spawn(hold_slot(executor, 1s)); // takes the other slot
    time.settle();
    for (int i = 0; i < 3; ++i) time.spawn(hold_slot(executor, 100s));
    time.settle();
    auto fn = [&room](int value) { return fail_at_three(&room, value); };
    const std::vector<int> items{3, 3};

    CHECK_THROWS(time.run(executor.map(items, fn)));

    CHECK(time.elapsed() < 400s);
    CHECK(room.inside == 0);
}

TEST_CASE("AsyncExecutor: map that collects goes on and keeps every result", "[policy][executor][EX-9]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 2}};
    Room room;
    const std::vector<int> items{1, 3, 2};
    auto fn = [&room](int value) { return fail_at_three(&room, value); };

    const auto settled = time.run(executor.map(items, fn, MapMode::collect));

    REQUIRE(settled.size() == 3);
    CHECK(settled[0].value() == 1);
    CHECK_THROWS_WITH(settled[1].value(), "three");
    CHECK(settled[2].value() == 2);
}

TEST_CASE("AsyncExecutor: a range that throws ends the map", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 2}};
    auto broken = std::views::iota(0, 10) | std::views::transform([](int i) {
                      if (i == 4) throw std::out_of_range("broken");
                      return i;
                  });
    auto fn = [](int value) { return square_later(value); };

    CHECK_THROWS_AS(time.run(executor.map(broken, fn, MapMode::collect)), std::out_of_range);

    CHECK(executor.stats().running == 0);
}

namespace {

/// Cannot be copied when it is the third.
struct Brittle {
    explicit Brittle(int number) : value(number) {}
    Brittle(const Brittle& other) : value(other.value)
    {
        if (value == 3) throw std::out_of_range("brittle");
    }
    Brittle& operator=(const Brittle&) = default;
    int value;
};

} // namespace

TEST_CASE("AsyncExecutor: an item that cannot be copied ends the map", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 2}};
    auto values = std::views::iota(0, 5) | std::views::transform([](int i) { return Brittle(i); });
    auto fn = [](const Brittle& item) { return square_later(item.value); };

    CHECK_THROWS_AS(time.run(executor.map(values, fn, MapMode::collect)), std::out_of_range);

    CHECK(executor.stats().running == 0);
    CHECK(executor.stats().queued == 0);
}

TEST_CASE("AsyncExecutor: cancelling a map cancels what it started and waits for that", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 2}};
    Room room;
    const std::vector<int> items(5, 100);
    auto fn = [&room](int value) { return fail_at_three(&room, value); };
    auto call = time.start(executor.map(items, fn));
    time.run_for(1s);

    call.cancel();
    time.settle();

    REQUIRE(call.done());
    CHECK_THROWS_AS(call.get(), khive::CancelledError);
    CHECK(room.entered == 2);
    CHECK(room.inside == 0);
    CHECK(executor.stats().queued == 0);
}

TEST_CASE("AsyncExecutor: a submitted task gives its value to whoever joins it", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 2}};
    auto fn = [] { return square_later(8); };

    auto task = executor.submit(time.executor(), fn);
    CHECK_FALSE(task.has_ended());
    time.run_for(2s);
    CHECK(task.has_ended());

    CHECK(time.run(std::move(task).join()) == 64);
}

TEST_CASE("AsyncExecutor: a dropped task is cancelled and owned until it has ended", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    Room room;
    {
        auto fn = [&room] { return stay(&room, 10s, 1); };
        const auto task = executor.submit(time.executor(), fn);
        time.settle();
        CHECK(room.inside == 1);
    }
    CHECK(executor.stats().running == 1);
    time.settle();
    CHECK(room.inside == 0);
    CHECK(executor.stats().running == 0);
    CHECK(executor.stats().cancelled == 1);
}

TEST_CASE("AsyncExecutor: a task cancelled in the queue never begins", "[policy][executor][EX-4]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    Room room;
    auto fn = [&room] { return stay(&room, 10s, 1); };
    auto first = executor.submit(time.executor(), fn);
    auto second = executor.submit(time.executor(), fn);
    const bool at_once = GENERATE(false, true);
    if (!at_once) time.settle();

    second.cancel();

    CHECK_THROWS_AS(time.run(std::move(second).join()), khive::CancelledError);
    CHECK(room.entered == 1);
    CHECK(executor.stats().queued == 0);
    CHECK(time.run(std::move(first).join()) == 1);
}

TEST_CASE("AsyncExecutor: cancelling the caller of execute cancels the task and waits for its end", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    Room room;
    auto fn = [&room] { return stay(&room, 10s, 1); };
    auto call = time.start(executor.execute(fn));
    time.run_for(1s);

    call.cancel();
    time.settle();

    REQUIRE(call.done());
    CHECK_THROWS(call.get());
    CHECK(room.inside == 0);
    CHECK(executor.stats().cancelled == 1);
}

TEST_CASE("AsyncExecutor: shutdown refuses new work and lets the accepted finish", "[policy][executor][EX-5]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    auto fn = [] { return square_later(9); };
    auto running = executor.submit(time.executor(), fn);
    auto queued = executor.submit(time.executor(), fn);
    auto shutdown = time.start(executor.shutdown(1min));
    time.settle();

    CHECK_THROWS_AS(time.run(executor.execute(fn)), khive::ClosedError);
    CHECK_THROWS_AS(time.run(executor.map(std::vector{1}, square_later)), khive::ClosedError);
    CHECK_FALSE(executor.try_enter(time.now()));
    CHECK(time.run(executor.enter({})).error().kind() == ErrorKind::closed);
    CHECK(time.elapsed() == 0s);
    time.run_for(2s);

    REQUIRE(shutdown.done());
    CHECK(shutdown.get().cancelled == 0);
    CHECK(time.run(std::move(queued).join()) == 81);
}

TEST_CASE("AsyncExecutor: a map that was accepted finishes during shutdown", "[policy][executor][EX-5]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    auto fn = [](int value) { return square_later(value); };
    auto map = time.start(executor.map(std::vector{9, 8, 7}, fn));
    time.settle();

    const auto report = time.run(executor.shutdown(1min));

    CHECK(report.left == 0);
    CHECK(report.cancelled == 0);
    CHECK(map.get() == std::vector{81, 64, 49});
}

TEST_CASE("AsyncExecutor: shutdown cancels what is left and returns within its bound", "[policy][executor][EX-6]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 2}};
    Room room;
    auto slow = [&room] { return stay(&room, 1h, 1); };
    auto one = executor.submit(time.executor(), slow);
    auto two = executor.submit(time.executor(), slow);
    auto queued = executor.submit(time.executor(), slow);
    time.settle();

    const auto report = time.run(executor.shutdown(10s));

    CHECK(time.elapsed() == 9s);
    CHECK(report.cancelled == 3);
    CHECK(report.left == 0);
    CHECK(room.inside == 0);
    CHECK(room.entered == 2);
    CHECK_THROWS_AS(time.run(std::move(queued).join()), khive::ClosedError);
    CHECK(executor.stats().cancelled == 3);
}

TEST_CASE("AsyncExecutor: shutdown may be called again and by several", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    auto fn = [] { return square_later(5); };
    auto task = executor.submit(time.executor(), fn);
    auto first = time.start(executor.shutdown(1min));

    CHECK(time.run(executor.shutdown(1min)).left == 0);
    CHECK(first.done());
    CHECK(time.elapsed() == 5s);
    CHECK(time.run(executor.shutdown(0s)).left == 0);
}

TEST_CASE("AsyncExecutor: shutdown without patience cancels at once and says what is left", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    auto fn = [] { return ignore_cancellation(5s); };
    auto task = executor.submit(time.executor(), fn);
    time.settle();

    const auto report = time.run(executor.shutdown(0s));

    CHECK(time.elapsed() == 0s);
    CHECK(report.left == 1);
    CHECK(time.run(std::move(task).join()) == 1);
}

TEST_CASE("AsyncExecutor: shutdown counts slots held by others", "[policy][executor]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    auto slot = executor.try_enter(time.now());

    CHECK(time.run(executor.shutdown(10s)).left == 1);
    CHECK(time.elapsed() == 10s);
    slot.reset();
    CHECK(time.run(executor.shutdown(10s)).left == 0);
}

TEST_CASE("AsyncExecutor: no slots is no executor", "[policy][executor][EX-11]")
{
    CHECK_THROWS_WITH(AsyncExecutor({.max_concurrency = 0}),
                      khive_tests::contains("AsyncExecutor: max_concurrency is 0, must be > 0"));
}

TEST_CASE("AsyncExecutor: a context that ends with tasks under way leaves the executor balanced", "[policy][executor]")
{
    AsyncExecutor executor{{.max_concurrency = 2}};
    Room room;
    {
        VirtualTime time;
        auto fn = [&room](int) { return stay(&room, 1h, 1); };
        auto one = [&room] { return stay(&room, 1h, 1); };
        auto map = time.start(executor.map(std::vector(9, 1), fn));
        auto call = time.start(executor.execute(one));
        auto task = executor.submit(time.executor(), one);
        time.settle();
        CHECK(room.inside == 2);
        CHECK(executor.stats().queued > 0);
    }
    CHECK(room.inside == 0);
    CHECK(executor.stats().running == 0);
    CHECK(executor.stats().queued == 0);
}

namespace {

asio::awaitable<int> work_in_threads(std::atomic<int>* inside, std::atomic<bool>* over, int limit, int value)
{
    if (++*inside > limit) *over = true;
    const auto executor = co_await asio::this_coro::executor;
    co_await asio::post(executor, asio::use_awaitable);
    --*inside;
    if (value % 10 == 9) throw std::runtime_error("nine");
    co_return value;
}

} // namespace

TEST_CASE("AsyncExecutor: holds its limit and its counts over threads", "[policy][executor][threads]")
{
    asio::thread_pool pool(4);
    AsyncExecutor executor{{.max_concurrency = 3}};
    std::atomic<int> inside{0};
    std::atomic<bool> over{false};
    auto fn = [&](int value) { return work_in_threads(&inside, &over, 3, value); };
    std::vector<std::future<std::vector<khive::Settled<int>>>> maps;

    for (int i = 0; i < 8; ++i)
        maps.push_back(asio::co_spawn(pool, executor.map(std::views::iota(0, 100), fn, MapMode::collect), asio::use_future));
    int values = 0;
    for (auto& map : maps)
        for (const auto& each : map.get()) values += each.has_value() ? 1 : 0;
    pool.join();

    CHECK_FALSE(over);
    CHECK(values == 8 * 90);
    CHECK(executor.stats().completed == 8 * 90);
    CHECK(executor.stats().failed == 8 * 10);
    CHECK(executor.stats().running == 0);
}

TEST_CASE("AsyncExecutor: tasks cancelled from other threads all end", "[policy][executor][threads]")
{
    asio::thread_pool pool(4);
    AsyncExecutor executor{{.max_concurrency = 3}};
    auto fn = [] { return take(1h); };
    std::vector<khive::Task<void>> tasks;
    for (int i = 0; i < 200; ++i) tasks.push_back(executor.submit(pool.get_executor(), fn));

    tasks.clear();
    const auto report = asio::co_spawn(pool, executor.shutdown(1min), asio::use_future).get();
    pool.join();

    CHECK(report.left == 0);
    CHECK(executor.stats().cancelled == 200);
    CHECK(executor.stats().running == 0);
}

TEST_CASE("AsyncExecutor: maps that fail at once, on several threads, cancel all of their items", "[policy][executor][threads]")
{
    asio::thread_pool pool(4);
    AsyncExecutor executor{{.max_concurrency = 1000}};
    for (int round = 0; round < 50; ++round) {
        std::vector<std::future<std::vector<int>>> maps;
        for (int i = 0; i < 4; ++i)
            maps.push_back(asio::co_spawn(pool, executor.map(std::views::iota(0, 20), fail_last_of_20), asio::use_future));
        for (auto& map : maps) CHECK_THROWS_AS(map.get(), std::runtime_error); // would last an hour
    }
    pool.join();

    CHECK(executor.stats().running == 0);
    CHECK(executor.stats().cancelled + executor.stats().failed == 50 * 4 * 20);
}

// --- Shares -----------------------------------------------------------------------------------------------------------

namespace {

std::vector<AsyncExecutor::Slot> enter(const AsyncExecutor& executor, std::size_t times)
{
    std::vector<AsyncExecutor::Slot> slots;
    while (slots.size() < times) {
        auto slot = executor.try_enter({});
        if (!slot) break;
        slots.push_back(std::move(*slot));
    }
    return slots;
}

} // namespace

TEST_CASE("AsyncExecutor: shares hand out as many slots as there are, and no more", "[executor]")
{
    const AsyncExecutor executor{{.max_concurrency = 50}};
    const AsyncExecutor one = executor.own_share();
    const AsyncExecutor other = executor.own_share();

    auto first = enter(one, 5);
    CHECK(executor.stats().running == 5);
    auto rest = enter(other, 100);
    CHECK(rest.size() == 45);
    CHECK(executor.stats().running == 50);
    CHECK_FALSE(one.try_enter({}));
    CHECK_FALSE(executor.try_enter({}));

    first.clear();
    CHECK(executor.stats().running == 45);
    CHECK(enter(executor, 100).size() == 5);
    rest.clear();
    CHECK(executor.stats().running == 0);
    CHECK(enter(other, 100).size() == 50);
}

TEST_CASE("AsyncExecutor: who waits gets what a share has at hand, and what it gives back", "[executor]")
{
    VirtualTime time;
    const AsyncExecutor executor{{.max_concurrency = 32}};
    const AsyncExecutor share = executor.own_share();
    auto held = enter(share, 1); // and more at hand
    auto mine = enter(executor, 32);
    REQUIRE(mine.size() == 31);
    auto waiting = time.start(executor.execute([] { return give(7); }));
    time.settle();
    CHECK_FALSE(waiting.done());
    CHECK_FALSE(share.try_enter({}));

    held.clear();
    time.settle();

    REQUIRE(waiting.done());
    CHECK(waiting.get() == 7);
}

TEST_CASE("AsyncExecutor: slots outlive their share, and free what they held", "[executor]")
{
    const AsyncExecutor executor{{.max_concurrency = 32}};
    std::optional<AsyncExecutor> share = executor.own_share();

    auto held = enter(*share, 3);
    share.reset();
    CHECK(executor.stats().running == 3);
    held.clear();

    CHECK(executor.stats().running == 0);
    CHECK(enter(executor, 100).size() == 32);
}

TEST_CASE("AsyncExecutor: a slot of a share outlives every handle", "[executor]")
{
    std::optional<AsyncExecutor> executor{AsyncExecutor{{.max_concurrency = 32}}};
    std::optional<AsyncExecutor> share = executor->own_share();
    auto held = enter(*share, 2);

    executor.reset();
    share.reset();

    CHECK(held.size() == 2);
}

TEST_CASE("AsyncExecutor: shut down, it waits for the slots of shares, and they give out no more", "[executor]")
{
    VirtualTime time;
    const AsyncExecutor executor{{.max_concurrency = 32}};
    const AsyncExecutor share = executor.own_share();
    auto held = enter(share, 1);
    auto done = time.start(executor.shutdown(10s));
    time.settle();
    CHECK_FALSE(done.done());
    CHECK_FALSE(share.try_enter({}));

    held.clear();
    time.settle();

    REQUIRE(done.done());
    CHECK(done.get().left == 0);
}

TEST_CASE("AsyncExecutor: shares used by several threads hand out each slot once", "[executor][threads]")
{
    constexpr unsigned slots = 24;
    const AsyncExecutor executor{{.max_concurrency = slots}};
    std::atomic<unsigned> inside{0};
    std::atomic<unsigned> most{0};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i)
        threads.emplace_back([&, mine = executor.own_share()] {
            for (int round = 0; round < 2000; ++round) {
                const auto held = enter(mine, 1 + static_cast<std::size_t>(round) % 12);
                const unsigned now = inside += static_cast<unsigned>(held.size());
                unsigned before = most;
                while (before < now && !most.compare_exchange_weak(before, now)) {}
                inside -= static_cast<unsigned>(held.size());
            }
        });
    for (auto& thread : threads) thread.join();

    CHECK(most <= slots);
    CHECK(executor.stats().running == 0);
    CHECK(enter(executor, 100).size() == slots);
}

} // namespace khive_tests::async_executor_test

// SPDX-License-Identifier: BSL-1.0
// AsyncExecutor under several threads: execute, submit, map and shutdown, with cancellation at any moment.
#include "stress/stress.hpp"

#include <khive/policy/async_executor.hpp>

#include <numeric>
#include <stdexcept>

namespace khive_tests::executor_stress_test {

namespace {

constexpr int slots = 3;

/// Work of a random length, which fails now and then and counts who is inside.
asio::awaitable<int> work(Gauge* gauge, int value, int length, bool fails)
{
    const Gauge::Inside inside(*gauge);
    co_await asio::this_coro::executor;
    if (length > 0) {
        auto napping = nap(std::chrono::microseconds{length});
        co_await std::move(napping);
    }
    if (fails) throw std::runtime_error("as told");
    co_return value;
}

struct Plan {
    int value;
    int length;
    bool fails;
};

Plan plan(Dice& dice)
{
    return {dice.whole(0, 1'000'000), dice.chance(0.5) ? 0 : dice.whole(1, 200), dice.chance(0.1)};
}

struct Tally {
    Gauge gauge;
    std::atomic<int> wrong{0};
    std::atomic<int> accepted{0}; ///< what the executor must have heard of
};

asio::awaitable<void> execute_once(AsyncExecutor executor, Tally* tally, Plan plan)
{
    auto fn = [tally, plan] { return work(&tally->gauge, plan.value, plan.length, plan.fails); };
    tally->accepted.fetch_add(1);
    auto running = executor.execute(fn);
    const int value = co_await std::move(running);
    if (value != plan.value || plan.fails) tally->wrong.fetch_add(1);
}

/// Submits to a strand of its own and joins, cancels or drops the task.
asio::awaitable<void> submit_once(AsyncExecutor executor, Tally* tally, Plan plan, int what)
{
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    tally->accepted.fetch_add(1);
    auto task = executor.submit(here, [tally, plan] { return work(&tally->gauge, plan.value, plan.length, plan.fails); });
    if (what == 0) co_return; // dropped: cancelled
    if (what == 1) task.cancel();
    auto joining = std::move(task).join();
    const int value = co_await std::move(joining);
    if (value != plan.value || plan.fails) tally->wrong.fetch_add(1);
}

constexpr int any_item = -1;

template <class Mode>
asio::awaitable<void> map_once(AsyncExecutor executor, Tally* tally, int items, int failing, Mode mode)
{
    std::vector<int> numbers(static_cast<std::size_t>(items));
    std::iota(numbers.begin(), numbers.end(), 0);
    auto fn = [tally, failing](int item) { return work(&tally->gauge, item, item % 5 * 20, item == failing); };
    auto mapping = executor.map(numbers, fn, mode);
    const auto results = co_await std::move(mapping);
    if (results.size() != numbers.size()) tally->wrong.fetch_add(1);
    for (std::size_t i = 0; i < results.size(); ++i) {
        if constexpr (std::is_same_v<Mode, MapMode::Collect>) {
            const bool right = results[i] ? *results[i] == numbers[i] : numbers[i] == failing || failing == any_item;
            if (!right) tally->wrong.fetch_add(1);
        } else if (results[i] != numbers[i] || failing < items) {
            tally->wrong.fetch_add(1);
        }
    }
}

std::uint64_t all_of(const ExecutorStats& stats)
{
    return stats.completed + stats.failed + stats.cancelled + stats.refused;
}

} // namespace

TEST_CASE("Stress: of an executor each task ends once and holds no slot afterwards", "[stress][executor]")
{
    Threads threads;
    Rounds rounds("executor, tasks");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        AsyncExecutor executor{{.max_concurrency = slots, .max_queue = 24}};
        Tally tally;
        Callers callers(threads);
        for (int i = 0; i < 40; ++i) {
            if (dice.chance(0.5))
                callers.start(dice, execute_once(executor, &tally, plan(dice)));
            else
                callers.start(dice, submit_once(executor, &tally, plan(dice), dice.whole(0, 5)));
            if (dice.chance(0.5)) callers.cancel_one(dice);
            if (dice.chance(0.1)) spin(50us);
        }
        rounds.count(callers.size(), callers.cancelled());

        REQUIRE(callers.missing() == 0);
        REQUIRE(eventually([&] { // tasks that were dropped end by themselves
            return all_of(executor.stats()) == static_cast<std::uint64_t>(tally.accepted) && executor.stats().running == 0;
        }));
        CHECK(executor.stats().queued == 0);
        CHECK(tally.gauge.inside() == 0);
        CHECK(tally.gauge.peak() <= slots);
        CHECK(tally.wrong == 0);
    }
}

TEST_CASE("Stress: a map keeps within the slots and its results belong to its items", "[stress][executor]")
{
    Threads threads;
    Rounds rounds("executor, map");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        AsyncExecutor executor{{.max_concurrency = slots}};
        Tally tally;
        Callers callers(threads);
        for (int i = 0; i < 8; ++i) {
            const int items = dice.whole(0, 12);
            const int failing = dice.chance(0.4) ? dice.whole(0, 11) : 1000;
            if (dice.chance(0.5))
                callers.start(dice, map_once(executor, &tally, items, failing, MapMode::fail_fast));
            else
                callers.start(dice, map_once(executor, &tally, items, failing, MapMode::collect));
        }
        for (int i = 0; i < 4; ++i) {
            spin(std::chrono::microseconds{dice.whole(0, 300)});
            callers.cancel_one(dice);
        }
        rounds.count(callers.size(), callers.cancelled());

        REQUIRE(callers.missing() == 0);
        REQUIRE(eventually([&] { return executor.stats().running == 0; }));
        CHECK(executor.stats().queued == 0);
        CHECK(tally.gauge.inside() == 0); // a map ends after its items
        CHECK(tally.gauge.peak() <= slots);
        CHECK(tally.wrong == 0);
    }
}

namespace {

/// As a client does: a slot at once, or in its turn.
asio::awaitable<void> hold_once(AsyncExecutor executor, Tally* tally, int length)
{
    const asio::any_io_executor here = co_await asio::this_coro::executor;
    auto slot = executor.try_enter(async::time_service(here).now());
    if (!slot) {
        auto entering = executor.enter(async::WaitRequest{});
        auto entered = co_await std::move(entering);
        if (!entered) entered.error().raise();
        slot.emplace(std::move(*entered));
    }
    const Gauge::Inside inside(tally->gauge);
    auto napping = nap(std::chrono::microseconds{length});
    co_await std::move(napping);
}

} // namespace

TEST_CASE("Stress: of an executor's shares each slot is held once and nobody waits for one that is free", "[stress][executor]")
{
    constexpr int many = 24;
    Threads threads;
    Rounds rounds("executor, shares");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        const AsyncExecutor executor{{.max_concurrency = many}};
        std::vector<AsyncExecutor> shares;
        for (int i = 0; i < 3; ++i) shares.push_back(executor.own_share());
        Tally tally;
        Callers callers(threads);
        for (int i = 0; i < 60; ++i) {
            auto& share = shares[static_cast<std::size_t>(dice.whole(0, 2))];
            callers.start(dice, hold_once(dice.chance(0.9) ? share : executor, &tally, dice.whole(0, 200)));
            if (dice.chance(0.2)) callers.cancel_one(dice);
            if (dice.chance(0.05)) share = executor.own_share();
            if (dice.chance(0.1)) spin(50us);
        }
        rounds.count(callers.size(), callers.cancelled());

        REQUIRE(callers.missing() == 0);
        CHECK(executor.stats().running == 0);
        CHECK(tally.gauge.inside() == 0);
        CHECK(tally.gauge.peak() <= many);
    }
}

namespace {

asio::awaitable<void> shut_down(AsyncExecutor executor, Duration timeout, std::atomic<std::size_t>* left)
{
    auto ending = executor.shutdown(timeout);
    const ShutdownReport report = co_await std::move(ending);
    left->fetch_add(report.left);
}

/// From inside a task, which is not waited for.
asio::awaitable<void> shut_down_inside(AsyncExecutor executor, Duration timeout, std::atomic<std::size_t>* left)
{
    auto fn = [executor, timeout, left] { return shut_down(executor, timeout, left); };
    auto running = executor.execute(fn);
    co_await std::move(running);
}

} // namespace

TEST_CASE("Stress: an executor that is shut down while work comes has nothing left", "[stress][executor]")
{
    Threads threads;
    Rounds rounds("executor, shutdown");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        std::optional<AsyncExecutor> executor{AsyncExecutor{{.max_concurrency = slots}}};
        Tally tally;
        std::atomic<std::size_t> left{0};
        Callers callers(threads);
        const bool patient = dice.chance(0.7);
        const Duration timeout = patient ? (dice.chance(0.5) ? Duration{20s} : unlimited) : Duration{1ms};
        int inside = 0; // one slot is left for those they wait for
        for (int i = 0; i < 24; ++i) {
            if (dice.chance(0.3))
                callers.start(dice, map_once(*executor, &tally, dice.whole(0, 8), any_item, MapMode::collect));
            else if (dice.chance(0.5))
                callers.start(dice, execute_once(*executor, &tally, plan(dice)));
            else
                callers.start(dice, submit_once(*executor, &tally, plan(dice), dice.whole(0, 5)));
            if (dice.chance(0.1)) callers.start(dice, shut_down(*executor, timeout, &left));
            if (dice.chance(0.05) && ++inside < slots) callers.start(dice, shut_down_inside(*executor, timeout, &left));
            if (dice.chance(0.3)) callers.cancel_one(dice);
        }
        callers.start(dice, shut_down(*executor, timeout, &left));
        rounds.count(callers.size(), callers.cancelled());

        REQUIRE(callers.missing() == 0);
        if (patient) CHECK(executor->stats().queued == 0);
        REQUIRE(eventually([&] { // a task that had no slot yet may not have heard of an impatient end
            const ExecutorStats stats = executor->stats();
            return stats.running == 0 && stats.queued == 0 && tally.gauge.inside() == 0;
        }));
        CHECK(tally.gauge.peak() <= slots);
        CHECK(tally.wrong == 0);
        if (patient) CHECK(left == 0);
        executor.reset();
    }
}

} // namespace khive_tests::executor_stress_test

// SPDX-License-Identifier: BSL-1.0
// The executor's defects of the origin, each impossible here.
#include <khive/policy/async_executor.hpp>

#include <khive/core/exceptions.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <algorithm>
#include <memory>
#include <ranges>
#include <stdexcept>
#include <vector>

namespace khive_tests::ex_executor_test {

using namespace std::chrono_literals;
using khive::AsyncExecutor;
using khive::MapMode;
using khive::ShutdownReport;
using khive::testing::VirtualTime;

namespace {

asio::awaitable<int> count_begun(int* begun, int* finished, khive::Duration length)
{
    ++*begun;
    co_await take(length);
    ++*finished;
    co_return *begun;
}

asio::awaitable<int> shut_down_inside(AsyncExecutor executor, ShutdownReport* report)
{
    *report = co_await executor.shutdown(1min);
    co_return 1;
}

asio::awaitable<int> fail_first(int* begun, int* finished, int item)
{
    ++*begun;
    co_await take(item == 0 ? 1s : 10s);
    if (item == 0) throw std::runtime_error("first");
    ++*finished;
    co_return item;
}

} // namespace

TEST_CASE("EX-1: a failure is told once, to the caller", "[defect][EX-1]")
{
    VirtualTime time; // an exception nobody takes would come out of its poll()
    AsyncExecutor executor;
    for (int i = 0; i < 3; ++i) {
        auto fn = [] { return throwing(std::runtime_error("mine")); };
        CHECK_THROWS_WITH(time.run(executor.execute(fn)), "mine");
    }
    CHECK_NOTHROW(time.run_for(1h));
    CHECK(executor.stats().failed == 3);
}

TEST_CASE("EX-2: no book-keeping outlives the tasks", "[defect][EX-2]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 4}};
    auto fn = [](int i) { return give(i); };

    time.run(executor.map(std::views::iota(0, 1000), fn));

    const auto report = time.run(executor.shutdown(0s));
    CHECK(report.cancelled == 0);
    CHECK(executor.stats().completed == 1000);
}

TEST_CASE("EX-3: a task that suspended is not listed once execute has returned", "[defect][EX-3]")
{
    VirtualTime time;
    AsyncExecutor executor;
    int begun = 0;
    int finished = 0;
    auto fn = [&] { return count_begun(&begun, &finished, 1s); };

    time.run(executor.execute(fn));

    CHECK(executor.stats().running == 0);
    CHECK(time.run(executor.shutdown(0s)).cancelled == 0);
}

TEST_CASE("EX-4: a caller that is cancelled early leaves no orphan", "[defect][EX-4]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    int begun = 0;
    int finished = 0;
    auto fn = [&] { return count_begun(&begun, &finished, 10s); };
    auto first = time.start(executor.execute(fn));
    auto second = time.start(executor.execute(fn));
    const bool before_anything_ran = GENERATE(false, true);
    if (!before_anything_ran) time.settle();

    second.cancel();
    if (!before_anything_ran) time.settle();
    time.run_for(1min);

    CHECK(second.done());
    CHECK(begun == 1);
    CHECK(finished == 1);
    CHECK(executor.stats().queued == 0);
}

TEST_CASE("EX-5: shutdown refuses new work and waits for all of the old", "[defect][EX-5]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    int begun = 0;
    int finished = 0;
    auto fn = [&] { return count_begun(&begun, &finished, 5s); };
    auto running = executor.submit(time.executor(), fn);
    auto queued = executor.submit(time.executor(), fn);
    auto shutdown = time.start(executor.shutdown(1min));
    time.run_for(1s);

    CHECK_THROWS_AS(time.run(executor.execute(fn)), khive::ClosedError);
    CHECK_FALSE(shutdown.done());
    time.run_for(9s);

    CHECK(shutdown.done());
    CHECK(finished == 2);
    CHECK_THROWS_AS(time.run(executor.execute(fn)), khive::ClosedError);
}

TEST_CASE("EX-6: a task that ignores its cancellation does not hold up shutdown", "[defect][EX-6]")
{
    VirtualTime time;
    AsyncExecutor executor;
    auto fn = [] { return ignore_cancellation(1h); };
    auto task = executor.submit(time.executor(), fn);
    time.settle();

    const auto report = time.run(executor.shutdown(10s));

    CHECK(time.elapsed() == 10s);
    CHECK(report.left == 1);
    CHECK(time.run(std::move(task).join()) == 1);
}

TEST_CASE("EX-7: shutdown from inside a task waits for the others and not for itself", "[defect][EX-7]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 3}};
    int begun = 0;
    int finished = 0;
    auto other = [&] { return count_begun(&begun, &finished, 5s); };
    ShutdownReport reports[2];
    auto first = [&] { return shut_down_inside(executor, &reports[0]); };
    auto second = [&] { return shut_down_inside(executor, &reports[1]); };
    auto working = executor.submit(time.executor(), other);
    auto one = executor.submit(time.executor(), first);
    auto two = executor.submit(time.executor(), second);
    auto outside = time.start(executor.shutdown(1min));

    time.run_for(5s);

    CHECK(finished == 1);
    CHECK(one.has_ended());
    CHECK(two.has_ended());
    CHECK(outside.done());
    CHECK(reports[0].cancelled + reports[1].cancelled == 0);
}

TEST_CASE("EX-8: leaving has a bound, also on the error path", "[defect][EX-8]")
{
    VirtualTime time;
    AsyncExecutor executor;
    auto hung = [] { return ignore_cancellation(24h); };
    auto task = executor.submit(time.executor(), hung);

    CHECK(time.run(executor.shutdown(0s)).left == 1);
    CHECK(time.elapsed() == 0s);
}

TEST_CASE("EX-9: map that fails fast leaves nothing running, map that collects loses nothing", "[defect][EX-9]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 3}};
    int begun = 0;
    int finished = 0;
    auto fn = [&](int item) { return fail_first(&begun, &finished, item); };

    CHECK_THROWS_WITH(time.run(executor.map(std::views::iota(0, 7), fn)), "first");
    CHECK(begun == 3);
    CHECK(executor.stats().running == 0);
    time.run_for(1min);
    CHECK(finished == 0);

    const auto settled = time.run(executor.map(std::views::iota(0, 7), fn, MapMode::collect));
    CHECK(std::count_if(settled.begin(), settled.end(), [](const auto& each) { return each.has_value(); }) == 6);
}

TEST_CASE("EX-10: map takes a generator and is never more than one item ahead", "[defect][EX-10]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 2}};
    int pulled = 0;
    int begun = 0;
    int finished = 0;
    int ahead = 0;
    auto generator = std::views::iota(0, 1000) | std::views::transform([&pulled](int i) {
                         ++pulled;
                         return i;
                     }) |
                     std::views::take(1000);
    auto fn = [&](int) {
        ahead = std::max(ahead, pulled - begun);
        return count_begun(&begun, &finished, 1ms);
    };

    time.run(executor.map(generator, fn));

    CHECK(finished == 1000);
    CHECK(ahead <= 2); // an item that is just being started, and one more
    CHECK(executor.stats().peak == 2);
}

TEST_CASE("EX-11: zero does not mean unlimited", "[defect][EX-11]")
{
    CHECK_THROWS_AS(AsyncExecutor({.max_concurrency = 0}), khive::ConfigurationError);
}

TEST_CASE("EX-12: a slot can be held for the work alone and the queue has a bound", "[defect][EX-12]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1, .max_queue = 0}};

    auto slot = executor.try_enter(time.now());
    CHECK(time.run(executor.enter({})).error().kind() == khive::ErrorKind::queue_full);
    slot.reset(); // before a pause between two attempts
    CHECK(executor.try_enter(time.now()));
}

} // namespace khive_tests::ex_executor_test

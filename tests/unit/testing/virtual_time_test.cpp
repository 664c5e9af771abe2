// SPDX-License-Identifier: BSL-1.0
#include <khive/async/sleep.hpp>
#include <khive/testing/event_recorder.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"

#include <memory>

namespace khive_tests::virtual_time_test {

using namespace khive;
using namespace std::chrono_literals;
using testing::VirtualTime;

namespace {

asio::awaitable<int> seven_after(VirtualTime* time, Duration duration)
{
    co_await async::sleep_until(time->now() + duration);
    co_return 7;
}

asio::awaitable<void> record_after(VirtualTime* time, Duration duration, testing::EventRecorder* events, std::string name)
{
    co_await async::sleep_until(time->now() + duration);
    events->record(name);
}

asio::awaitable<void> fail_after(VirtualTime* time, Duration duration)
{
    co_await async::sleep_until(time->now() + duration);
    throw std::domain_error("failed");
}

asio::awaitable<bool> slept(VirtualTime* time, Duration duration)
{
    co_return co_await async::sleep_until(time->now() + duration);
}

asio::awaitable<std::unique_ptr<int>> move_only()
{
    co_return std::make_unique<int>(5);
}

} // namespace

TEST_CASE("VirtualTime: an hour passes while an operation waits for it", "[testing]")
{
    VirtualTime time;

    const int value = time.run(seven_after(&time, 1h));

    CHECK(value == 7);
    CHECK(time.elapsed() == 1h);
}

TEST_CASE("VirtualTime: what an operation throws comes out of run", "[testing]")
{
    VirtualTime time;

    CHECK_THROWS_AS(time.run(fail_after(&time, 3s)), std::domain_error);
    CHECK(time.elapsed() == 3s);
}

TEST_CASE("VirtualTime: a value may be movable only", "[testing]")
{
    VirtualTime time;

    CHECK(*time.run(move_only()) == 5);
}

TEST_CASE("VirtualTime: an operation that nothing can end is a deadlock", "[testing]")
{
    VirtualTime time;

    CHECK_THROWS_WITH(time.run(slept(&time, no_deadline - time.now())), "deadlock: nothing left that could happen");
}

TEST_CASE("VirtualTime: run stops at the end of its operation and leaves the rest for later", "[testing]")
{
    VirtualTime time;
    testing::EventRecorder events;
    time.spawn(record_after(&time, 2s, &events, "late"));

    (void)time.run(seven_after(&time, 1s));

    CHECK(events.text().empty());
    time.run_until_idle();
    CHECK(events.text() == "late");
    CHECK(time.elapsed() == 2s);
}

TEST_CASE("VirtualTime: run_for stops wherever something is due and ends at its own end", "[testing]")
{
    VirtualTime time;
    testing::EventRecorder events;
    time.spawn(record_after(&time, 3s, &events, "third"));
    time.spawn(record_after(&time, 1s, &events, "first"));
    time.spawn(record_after(&time, 2s, &events, "second"));

    time.run_for(2500ms);

    CHECK(events.text() == "first, second");
    CHECK(time.elapsed() == 2500ms);
}

TEST_CASE("VirtualTime: settling runs what is ready and no time passes", "[testing]")
{
    VirtualTime time;
    testing::EventRecorder events;
    time.spawn(record_after(&time, 0s, &events, "now"));
    time.spawn(record_after(&time, 1ns, &events, "later"));

    time.settle();

    CHECK(events.text() == "now");
    CHECK(time.elapsed() == 0s);
}

TEST_CASE("VirtualTime: an exception of a spawned operation comes out where time runs", "[testing]")
{
    VirtualTime time;
    time.spawn(fail_after(&time, 1s));

    CHECK_THROWS_AS(time.run_for(2s), std::domain_error);
}

TEST_CASE("VirtualTime: a started operation can be watched, cancelled and asked for its value", "[testing]")
{
    VirtualTime time;
    auto cancelled = time.start(slept(&time, 1h));
    auto finished = time.start(slept(&time, 1s));
    time.run_for(1min);

    CHECK(finished.done());
    CHECK(finished.get());
    CHECK_FALSE(cancelled.done());
    CHECK_THROWS_AS(cancelled.get(), std::logic_error);

    cancelled.cancel();
    time.settle();

    CHECK(cancelled.done());
    CHECK_FALSE(cancelled.get());
    CHECK(time.elapsed() == 1min);
}

TEST_CASE("VirtualTime: ends with operations still waiting", "[testing]")
{
    testing::EventRecorder events;
    {
        VirtualTime time;
        time.spawn(record_after(&time, 1h, &events, "never"));
        auto started = time.start(slept(&time, 1h));
        time.run_for(1s);
        CHECK_FALSE(started.done());
    }
    CHECK(events.size() == 0);
}

} // namespace khive_tests::virtual_time_test

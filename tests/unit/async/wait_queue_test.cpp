// SPDX-License-Identifier: BSL-1.0
#include <khive/async/wait_queue.hpp>

#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <boost/asio/detached.hpp>
#include <boost/asio/thread_pool.hpp>

#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <vector>

namespace khive_tests::wait_queue_test {

using namespace std::chrono_literals;
using khive::Error;
using khive::ErrorKind;
using khive::Result;
using khive::TimePoint;
using khive::async::wait_in;
using khive::async::WaitQueue;
using khive::async::WaitRequest;
using khive::async::WaitScope;
using khive::testing::Started;
using khive::testing::VirtualTime;

namespace {

class Shelf;

/// Things taken from a shelf.
class Things {
public:
    Things(std::shared_ptr<Shelf> shelf, double count) : shelf_(std::move(shelf)), count_(count) {}
    Things(Things&&) noexcept = default;
    Things& operator=(Things&&) = delete;
    ~Things();

private:
    std::shared_ptr<Shelf> shelf_;
    double count_;
};

/// Hands out a number of things, and nothing before it opens.
class Shelf final : public WaitQueue {
public:
    explicit Shelf(double things, std::size_t max_waiting = 100) : WaitQueue(max_waiting), free_(things) {}

    double free() const
    {
        const std::lock_guard lock(mutex_);
        return free_;
    }
    void put(double count)
    {
        std::unique_lock lock(mutex_);
        free_ += count;
        pump(std::move(lock));
    }
    void open_at(TimePoint when) { opens_ = when; }
    Things make_grant(const WaitRequest& request) noexcept
    {
        return {std::static_pointer_cast<Shelf>(shared_from_this()), request.cost};
    }

private:
    bool try_grant(const WaitRequest& head, TimePoint now) noexcept override
    {
        if (now < opens_ || free_ < head.cost) return false;
        free_ -= head.cost;
        return true;
    }
    TimePoint next_grant(const WaitRequest& head, TimePoint) noexcept override
    {
        return free_ < head.cost ? khive::no_deadline : opens_;
    }

    double free_;
    TimePoint opens_ = TimePoint::min();
};

Things::~Things()
{
    if (shelf_) shelf_->put(count_);
}

struct Log {
    std::vector<int> granted;
    std::vector<ErrorKind> refused;
};

asio::awaitable<int> visit(std::shared_ptr<Shelf> shelf, Log* log, int who, WaitRequest request, khive::Duration length)
{
    auto things = co_await wait_in<Things>(shelf, request);
    if (!things) {
        log->refused.push_back(things.error().kind());
        co_return 0;
    }
    log->granted.push_back(who);
    co_await take(length);
    co_return 1;
}

} // namespace

TEST_CASE("WaitQueue: grants at once what is there", "[async]")
{
    VirtualTime time;
    const auto shelf = std::make_shared<Shelf>(2);

    const auto things = time.run(wait_in<Things>(shelf, {.cost = 2}));

    CHECK(things.has_value());
    CHECK(shelf->free() == 0);
}

TEST_CASE("WaitQueue: who waits is served in order, the head blocks those behind it", "[async]")
{
    VirtualTime time;
    const auto shelf = std::make_shared<Shelf>(3);
    Log log;
    auto first = time.start(visit(shelf, &log, 1, {.cost = 2}, 1s));
    auto large = time.start(visit(shelf, &log, 2, {.cost = 3}, 1s));
    auto small = time.start(visit(shelf, &log, 3, {.cost = 1}, 1s));
    time.settle();
    CHECK(log.granted == std::vector{1});
    CHECK(shelf->waiting() == 2);

    time.run_for(2s);

    CHECK(log.granted == std::vector{1, 2, 3});
    time.run_for(1s);
    CHECK(shelf->free() == 3);
}

TEST_CASE("WaitQueue: a waiter who arrived earlier elsewhere keeps the place", "[async]")
{
    VirtualTime time;
    const auto shelf = std::make_shared<Shelf>(1);
    Log log;
    time.run_for(1min);
    auto holder = time.start(visit(shelf, &log, 1, {}, 1s));
    auto later = time.start(visit(shelf, &log, 2, {}, 1s));
    auto earlier = time.start(visit(shelf, &log, 3, {.arrived = time.now() - 1s}, 1s));

    time.run_for(1min);

    CHECK(log.granted == std::vector{1, 3, 2});
}

TEST_CASE("WaitQueue: the head is woken when time alone lets it go", "[async]")
{
    VirtualTime time;
    const auto shelf = std::make_shared<Shelf>(5);
    shelf->open_at(time.now() + 7s);
    Log log;
    auto one = time.start(visit(shelf, &log, 1, {}, 0s));
    auto two = time.start(visit(shelf, &log, 2, {}, 0s));

    time.run_for(7s - 1ns);
    CHECK(log.granted.empty());
    time.run_for(1ns);
    CHECK(log.granted == std::vector{1, 2});
}

TEST_CASE("WaitQueue: a deadline ends the wait with the request's own error", "[async]")
{
    VirtualTime time;
    const auto shelf = std::make_shared<Shelf>(0);
    const WaitRequest request{.deadline = time.now() + 2s, .timer = khive::Timer::pool_wait, .timeout_kind = ErrorKind::pool_timeout};

    const auto late = time.run(wait_in<Things>(shelf, request));

    CHECK(late.error().kind() == ErrorKind::pool_timeout);
    CHECK(late.error().timer() == khive::Timer::pool_wait);
    CHECK(late.error().timer_value() == 2s);
    CHECK(time.elapsed() == 2s);
    CHECK(shelf->waiting() == 0);
}

TEST_CASE("WaitQueue: deadlines hold in the middle of the queue too", "[async]")
{
    VirtualTime time;
    const auto shelf = std::make_shared<Shelf>(0);
    Log log;
    auto head = time.start(visit(shelf, &log, 1, {}, 0s));
    auto middle = time.start(visit(shelf, &log, 2, {.deadline = time.now() + 1s}, 0s));
    auto tail = time.start(visit(shelf, &log, 3, {}, 0s));

    time.run_for(1s);
    CHECK(middle.done());
    CHECK(shelf->waiting() == 2);
    shelf->put(1);
    time.run_for(0s);
    CHECK(log.granted == std::vector{1, 3});
}

TEST_CASE("WaitQueue: a head that gives up lets a smaller one behind it go", "[async]")
{
    VirtualTime time;
    const auto shelf = std::make_shared<Shelf>(1);
    Log log;
    const bool by_deadline = GENERATE(false, true);
    const TimePoint deadline = by_deadline ? time.now() + 1s : khive::no_deadline;
    auto head = time.start(visit(shelf, &log, 1, {.cost = 5, .deadline = deadline}, 0s));
    auto small = time.start(visit(shelf, &log, 2, {}, 0s));
    time.settle();
    CHECK(shelf->waiting() == 2);

    if (!by_deadline) head.cancel();
    time.run_for(1s);

    CHECK(log.granted == std::vector{2});
    CHECK(log.refused == std::vector{by_deadline ? ErrorKind::timeout : ErrorKind::cancelled});
}

TEST_CASE("WaitQueue: a grant that loses the race against a cancellation is not lost", "[async]")
{
    VirtualTime time;
    const auto shelf = std::make_shared<Shelf>(0);
    Log log;
    auto waiter = time.start(visit(shelf, &log, 1, {}, 0s));
    auto next = time.start(visit(shelf, &log, 2, {}, 0s));
    time.settle();
    const bool cancelled_first = GENERATE(false, true);

    if (cancelled_first) waiter.cancel();
    shelf->put(1);
    if (!cancelled_first) waiter.cancel();
    time.run_for(0s);

    CHECK(waiter.done());
    CHECK(next.done());
    CHECK(shelf->free() == 1);
    CHECK(shelf->waiting() == 0);
}

TEST_CASE("WaitQueue: a full queue refuses", "[async]")
{
    VirtualTime time;
    const auto shelf = std::make_shared<Shelf>(0, 1);
    Log log;
    auto waiter = time.start(visit(shelf, &log, 1, {}, 0s));
    time.settle();

    CHECK(time.run(wait_in<Things>(shelf, {})).error().kind() == ErrorKind::queue_full);
}

TEST_CASE("WaitQueue: a deadline that has passed refuses, unless it can be granted at once", "[async]")
{
    VirtualTime time;
    const auto shelf = std::make_shared<Shelf>(1);
    const WaitRequest late{.deadline = time.now() - 1s};

    const auto granted = time.run(wait_in<Things>(shelf, late));
    CHECK(granted.has_value());
    CHECK(time.run(wait_in<Things>(shelf, late)).error().kind() == ErrorKind::timeout);
}

TEST_CASE("WaitQueue: closing ends every wait and refuses later ones", "[async]")
{
    VirtualTime time;
    const auto shelf = std::make_shared<Shelf>(0);
    Log log;
    auto one = time.start(visit(shelf, &log, 1, {}, 0s));
    auto two = time.start(visit(shelf, &log, 2, {}, 0s));
    time.settle();

    shelf->close();
    time.settle();

    CHECK(log.refused == std::vector{ErrorKind::closed, ErrorKind::closed});
    CHECK(time.run(wait_in<Things>(shelf, {})).error().kind() == ErrorKind::closed);
    shelf->put(1);
    CHECK(time.run(wait_in<Things>(shelf, {})).error().kind() == ErrorKind::closed);
}

TEST_CASE("WaitQueue: a scope that closes ends its own waits only", "[async]")
{
    VirtualTime time;
    const auto shelf = std::make_shared<Shelf>(0);
    const auto scope = std::make_shared<WaitScope>();
    Log log;
    auto inside = time.start(visit(shelf, &log, 1, {.scope = scope.get()}, 0s));
    auto outside = time.start(visit(shelf, &log, 2, {}, 0s));
    time.settle();

    scope->close(Error{ErrorKind::closed});
    time.settle();

    CHECK(inside.done());
    CHECK_FALSE(outside.done());
    CHECK(time.run(wait_in<Things>(shelf, {.scope = scope.get()})).error().kind() == ErrorKind::closed);
    CHECK(shelf->waiting() == 1);
    shelf->put(1);
    time.settle();
    CHECK(log.granted == std::vector{2});
}

TEST_CASE("WaitQueue: a context that ends takes its waiters with it and gives back its grants", "[async]")
{
    const auto shelf = std::make_shared<Shelf>(1);
    Log log;
    VirtualTime survivor;
    std::optional<Started<int>> other;
    const bool granted_before = GENERATE(false, true);
    {
        VirtualTime time;
        time.spawn([](std::shared_ptr<Shelf> s, Log* l) -> asio::awaitable<void> {
            co_await visit(s, l, 1, {}, 1h);
        }(shelf, &log));
        time.settle();
        time.spawn([](std::shared_ptr<Shelf> s, Log* l) -> asio::awaitable<void> {
            co_await visit(s, l, 2, {}, 1h);
        }(shelf, &log));
        time.settle();
        other = survivor.start(visit(shelf, &log, 3, {}, 0s));
        survivor.settle();
        CHECK(shelf->waiting() == 2);
        if (granted_before) shelf->put(1); // to the second, which never resumes
    }
    survivor.run_for(0s);

    CHECK(log.granted == std::vector{1, 3});
    CHECK(shelf->waiting() == 0);
    CHECK(shelf->free() == (granted_before ? 2 : 1));
}

TEST_CASE("WaitQueue: no schedule loses a thing or a waiter", "[async][property]")
{
    const auto seed = GENERATE(range(0U, 500U));
    std::mt19937 random(seed);
    const auto roll = [&random](int sides) { return std::uniform_int_distribution<int>(0, sides - 1)(random); };
    VirtualTime time;
    const int things = 1 + roll(4);
    const auto shelf = std::make_shared<Shelf>(things);
    Log log;
    std::vector<Started<int>> visits;
    for (int i = 0; i < 40; ++i) {
        WaitRequest request{.cost = static_cast<double>(1 + roll(things))};
        if (roll(4) == 0) request.deadline = time.now() + std::chrono::milliseconds{roll(30)};
        visits.push_back(time.start(visit(shelf, &log, i, request, std::chrono::milliseconds{roll(20)})));
        if (roll(2) == 0) time.run_for(std::chrono::milliseconds{roll(10)});
        if (roll(5) == 0) visits[static_cast<std::size_t>(roll(i + 1))].cancel();
    }
    time.run_for(1h);

    CHECK(std::all_of(visits.begin(), visits.end(), [](const auto& each) { return each.done(); }));
    CHECK(std::is_sorted(log.granted.begin(), log.granted.end()));
    CHECK(shelf->free() == things);
    CHECK(shelf->waiting() == 0);
}

namespace {

asio::awaitable<void> come_and_go(std::shared_ptr<Shelf> shelf, std::atomic<int>* done, int rounds)
{
    for (int i = 0; i < rounds; ++i) {
        const WaitRequest request{.deadline = i % 3 == 0 ? khive::Clock::now() + std::chrono::microseconds{50} : khive::no_deadline};
        auto things = co_await wait_in<Things>(shelf, request);
        if (i % 2 == 0) co_await take(std::chrono::microseconds{5});
    }
    ++*done;
}

} // namespace

TEST_CASE("WaitQueue: contexts and threads that share it neither lose nor deadlock", "[async][threads]")
{
    const auto shelf = std::make_shared<Shelf>(2);
    std::atomic<int> done{0};
    asio::thread_pool one(2);
    asio::thread_pool two(2);
    for (int i = 0; i < 10; ++i) {
        asio::co_spawn(one, come_and_go(shelf, &done, 100), asio::detached);
        asio::co_spawn(two, come_and_go(shelf, &done, 100), asio::detached);
    }
    one.join();
    two.join();
    CHECK(done == 20);
    CHECK(shelf->free() == 2);
    CHECK(shelf->waiting() == 0);
}

} // namespace khive_tests::wait_queue_test

// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/circuit_breaker.hpp>

#include <khive/testing/virtual_time.hpp>

#include "support/breaker.hpp"
#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <atomic>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

namespace khive_tests::circuit_breaker_test {

using namespace std::chrono_literals;
using khive::BreakerState;
using khive::CircuitBreaker;
using khive::CircuitBreakerOptions;
using khive::Error;
using khive::ErrorKind;
using khive::Outcome;
using khive::Result;
using khive::TimePoint;
using khive::Verdict;
using khive::testing::VirtualTime;

namespace {

constexpr Outcome success{};
constexpr Outcome failure{.verdict = Verdict::failure, .retryable = true};
constexpr TimePoint start = TimePoint{} + 1h;

asio::awaitable<Result<std::unique_ptr<int>>> give_owner(int value)
{
    co_await asio::this_coro::executor;
    co_return std::make_unique<int>(value);
}

/// Ignores its cancellation and fails for a reason of its own.
asio::awaitable<int> fail_after(khive::Duration length)
{
    const auto executor = co_await asio::this_coro::executor;
    auto nap = khive::async::sleep_until(khive::async::time_service(executor).now() + length);
    co_await std::move(nap);
    throw std::runtime_error("down");
}

} // namespace

TEST_CASE("CircuitBreaker: lets values of every shape through while closed", "[breaker]")
{
    VirtualTime time;
    const CircuitBreaker breaker;

    CHECK(time.run(breaker.execute([] { return give(7); })) == 7);
    CHECK(*time.run(breaker.execute([] { return give_owner(8); })).value() == 8);
    time.run(breaker.execute([] { return take(1s); }));

    CHECK(breaker.stats(time.now()).succeeded == 3);
}

TEST_CASE("CircuitBreaker: refuses while open without a call, with the time that is left", "[breaker]")
{
    VirtualTime time;
    const CircuitBreaker breaker{touchy};
    fail_once(breaker, time.now());
    time.run_for(4s);
    int calls = 0;

    SECTION("as an exception")
    {
        try {
            time.run(breaker.execute([&calls] { return ++calls, give(1); }));
            FAIL("admitted");
        } catch (const khive::CircuitBreakerOpenError& e) {
            CHECK(e.error().retry_after() == khive::Duration{6s});
            CHECK_FALSE(e.error().retryable());
        }
    }
    SECTION("as a value where the function gives a Result")
    {
        const auto result = time.run(breaker.execute([&calls] { return ++calls, give_result(1); }));
        REQUIRE(result.has_error());
        CHECK(result.error().kind() == ErrorKind::circuit_open);
        CHECK(result.error().retry_after() == khive::Duration{6s});
    }
    CHECK(calls == 0);
}

TEST_CASE("CircuitBreaker: recovers through a probe", "[breaker]")
{
    VirtualTime time;
    const CircuitBreaker breaker{touchy};
    CHECK_THROWS_WITH(time.run(breaker.execute([] { return throwing(std::runtime_error("down")); })), "down");
    CHECK(breaker.state(time.now()) == BreakerState::open);

    time.run_for(10s);
    CHECK(breaker.state(time.now()) == BreakerState::half_open);
    CHECK(time.run(breaker.execute([] { return give(1); })) == 1);

    CHECK(breaker.state(time.now()) == BreakerState::closed);
}

TEST_CASE("CircuitBreaker: counts errors that come as values", "[breaker]")
{
    const auto [kind, status, counts] = GENERATE(table<ErrorKind, int, bool>({
        {ErrorKind::connect, 0, true},
        {ErrorKind::timeout, 0, true},
        {ErrorKind::status, 503, true},
        {ErrorKind::status, 501, false},
        {ErrorKind::status, 404, false},
        {ErrorKind::status, 429, false},
        {ErrorKind::circuit_open, 0, false},
        {ErrorKind::rate_limited, 0, false},
        {ErrorKind::cancelled, 0, false},
        {ErrorKind::decode, 0, false},
    }));
    VirtualTime time;
    const CircuitBreaker breaker{touchy};
    const Error error = Error{kind}.with_response(status, {}, "");

    const auto result = time.run(breaker.execute([&error] { return give_result(error); }));

    CHECK(result.error().kind() == kind);
    CHECK(breaker.state(time.now()) == (counts ? BreakerState::open : BreakerState::closed));
}

TEST_CASE("CircuitBreaker: a classifier decides what a failure says", "[breaker]")
{
    VirtualTime time;
    const CircuitBreaker breaker = CircuitBreaker{touchy}.classify(
        [](const khive::Failure& f) { return f.is<std::logic_error>() ? Verdict::failure : Verdict::neutral; });

    CHECK_THROWS(time.run(breaker.execute([] { return throwing(std::runtime_error("x")); })));
    CHECK(breaker.state(time.now()) == BreakerState::closed);
    CHECK_THROWS(time.run(breaker.execute([] { return throwing(std::logic_error("x")); })));

    CHECK(breaker.state(time.now()) == BreakerState::open);
}

TEST_CASE("CircuitBreaker: a classifier that throws is counted and overruled", "[breaker]")
{
    VirtualTime time;
    const CircuitBreaker breaker = CircuitBreaker{touchy}.classify([](const khive::Failure&) -> Verdict { throw 1; });

    CHECK_THROWS_WITH(time.run(breaker.execute([] { return throwing(std::runtime_error("down")); })), "down");

    CHECK(breaker.state(time.now()) == BreakerState::open);
    CHECK(breaker.callback_errors() == 1);
}

TEST_CASE("CircuitBreaker: a cancelled probe frees its slot", "[breaker]")
{
    VirtualTime time;
    const CircuitBreaker breaker{touchy};
    fail_once(breaker, time.now());
    time.run_for(10s);
    auto probe = time.start(breaker.execute([] { return take_and_give(1h, 1); }));
    time.settle();
    CHECK(breaker.refusal(time.now()));

    probe.cancel();
    time.settle();

    CHECK(probe.done());
    CHECK_FALSE(breaker.refusal(time.now()));
    CHECK(breaker.state(time.now()) == BreakerState::half_open);
}

TEST_CASE("CircuitBreaker: a call that fails after its caller has cancelled it says nothing", "[breaker]")
{
    VirtualTime time;
    const CircuitBreaker breaker{touchy};
    auto call = time.start(breaker.execute([] { return fail_after(1h); }));
    time.settle();

    call.cancel();
    time.settle();

    CHECK_THROWS_WITH(call.get(), "down");
    CHECK(breaker.state(time.now()) == BreakerState::closed);
    CHECK(breaker.stats(time.now()).neutral == 1);
}

TEST_CASE("CircuitBreaker: a probe whose coroutine is destroyed frees its slot", "[breaker]")
{
    const CircuitBreaker breaker{touchy};
    TimePoint now;
    {
        VirtualTime time;
        fail_once(breaker, time.now());
        time.run_for(10s);
        auto probe = time.start(breaker.execute([] { return take_and_give(1h, 1); }));
        time.settle();
        now = time.now();
        CHECK(breaker.refusal(now));
    }

    CHECK_FALSE(breaker.refusal(now));
}

TEST_CASE("CircuitBreaker: the operation keeps the breaker alive", "[breaker]")
{
    VirtualTime time;
    auto operation = CircuitBreaker{touchy}.execute([] { return take_and_give(1s, 5); });

    CHECK(time.run(std::move(operation)) == 5);
}

TEST_CASE("CircuitBreaker: a ticket speaks once, and not at all when it is dropped", "[breaker]")
{
    const CircuitBreaker breaker{{.consecutive_failures = 2}};

    SECTION("recorded twice")
    {
        auto ticket = breaker.try_admit(start).value();
        ticket.record(failure, start);
        ticket.record(failure, start);
        CHECK(breaker.stats(start).failed == 1);
    }
    SECTION("moved, then recorded")
    {
        auto first = breaker.try_admit(start).value();
        auto second = std::move(first);
        second.record(failure, start);
        CHECK(breaker.stats(start).failed == 1);
        CHECK(breaker.stats(start).neutral == 0);
    }
    SECTION("dropped")
    {
        (void)breaker.try_admit(start).value();
        CHECK(breaker.stats(start).neutral == 1);
    }
    SECTION("assigned over")
    {
        auto first = breaker.try_admit(start).value();
        first = breaker.try_admit(start).value();
        CHECK(breaker.stats(start).neutral == 1);
    }
}

TEST_CASE("CircuitBreaker: tickets keep the breaker alive, to the last of them", "[breaker]")
{
    std::optional<CircuitBreaker> breaker(touchy);
    int changes = 0;
    (void)breaker->on_state_change([&](const khive::BreakerTransition&) { ++changes; });
    auto first = breaker->try_admit(start).value();
    auto second = breaker->try_admit(start).value();
    breaker.reset();

    SECTION("recorded") { first.record(failure, start); }
    SECTION("moved, then recorded")
    {
        auto moved = std::move(first);
        moved.record(failure, start);
    }
    SECTION("assigned over, then recorded")
    {
        first = std::move(second);
        first.record(failure, start);
    }

    CHECK(changes == 1);
}

TEST_CASE("CircuitBreaker: a callback may let go of the last handle and the last other ticket", "[breaker]")
{
    auto breaker = std::make_unique<CircuitBreaker>(touchy);
    auto other = std::make_unique<CircuitBreaker::Ticket>(breaker->try_admit(start).value());
    auto mine = breaker->try_admit(start).value();
    int changes = 0;
    (void)breaker->on_state_change([&](const khive::BreakerTransition&) {
        ++changes;
        breaker.reset();
        other.reset();
    });

    mine.record(failure, start);

    CHECK(changes == 1);
    CHECK_FALSE(breaker);
}

TEST_CASE("CircuitBreaker: copies share the breaker", "[breaker]")
{
    const CircuitBreaker breaker{touchy};
    const CircuitBreaker copy = breaker;

    fail_once(copy, start);

    CHECK(breaker.refusal(start));
}

TEST_CASE("CircuitBreaker: a share opens and closes with the others", "[breaker]")
{
    const CircuitBreaker one{{.consecutive_failures = 2, .open_for = 10s, .open_jitter = 0}};
    const CircuitBreaker other = one.own_share();

    one.try_admit(start)->record(failure, start);
    other.try_admit(start)->record(failure, start);
    CHECK(one.refusal(start));
    CHECK(other.refusal(start));
    CHECK_FALSE(other.try_admit(start).has_value());
    other.try_admit(start + 10s)->record(success, start + 10s);

    CHECK(one.state(start + 10s) == BreakerState::closed);
    CHECK_FALSE(one.refusal(start + 10s));
    CHECK(one.try_admit(start + 10s).has_value());
}

TEST_CASE("CircuitBreaker: a success by one share ends a row of failures by another", "[breaker]")
{
    const CircuitBreaker one{{.consecutive_failures = 2}};
    const CircuitBreaker other = one.own_share();

    one.try_admit(start)->record(failure, start);
    other.try_admit(start)->record(success, start);
    one.try_admit(start)->record(failure, start);

    CHECK(one.state(start) == BreakerState::closed);
    CHECK(one.stats(start).consecutive_failures == 1);
}

TEST_CASE("CircuitBreaker: what shares have counted is in the books, also of those that are gone", "[breaker]")
{
    const CircuitBreaker breaker;
    std::optional<CircuitBreaker> share = breaker.own_share();

    share->try_admit(start)->record(success, start);
    breaker.try_admit(start)->record(success, start);
    CHECK(breaker.stats(start).succeeded == 2);
    auto ticket = share->try_admit(start);
    share->try_admit(start)->record({.verdict = Verdict::neutral}, start);
    share.reset();
    ticket->record(success, start);

    CHECK(breaker.stats(start).admitted == 4);
    CHECK(breaker.stats(start).succeeded == 3);
    CHECK(breaker.stats(start).neutral == 1);
}

TEST_CASE("CircuitBreaker: a ticket that a share gave before a change of state counts for nothing", "[breaker]")
{
    const CircuitBreaker breaker{{.consecutive_failures = 1}};
    const CircuitBreaker share = breaker.own_share();

    auto ticket = share.try_admit(start);
    breaker.try_admit(start)->record(failure, start);
    breaker.reset(start);
    ticket->record(failure, start);

    CHECK(breaker.state(start) == BreakerState::closed);
    CHECK(breaker.stats(start).late == 1);
}

TEST_CASE("CircuitBreaker: refusals name the breaker and why it is open", "[breaker]")
{
    const CircuitBreaker breaker = CircuitBreaker{touchy}.named("billing");

    fail_once(breaker, start);
    CHECK(breaker.refusal(start)->reason() == "circuit breaker 'billing' is open (consecutive_failures)");

    (void)breaker.state(start + 10s);
    const auto probe = breaker.try_admit(start + 10s);
    CHECK(breaker.try_admit(start + 10s).error().reason() ==
          "circuit breaker 'billing' is half_open (time_passed) and its probes are under way");

    breaker.isolate(start + 10s);
    CHECK(breaker.refusal(start + 10s)->reason() == "circuit breaker 'billing' is isolated (isolated_by_hand)");
}

TEST_CASE("CircuitBreaker: isolated by hand it refuses without a time until it is reset", "[breaker]")
{
    const CircuitBreaker breaker{touchy};

    breaker.isolate(start);
    REQUIRE(breaker.refusal(start + 24h));
    CHECK_FALSE(breaker.refusal(start + 24h)->retry_after());
    breaker.reset(start + 24h);

    CHECK_FALSE(breaker.refusal(start + 24h));
    CHECK(breaker.describe(start + 24h) == "closed in a row 0/1 window 0/0");
}

TEST_CASE("CircuitBreaker: tells of every change of state in order", "[breaker]")
{
    std::vector<std::string> seen;
    const CircuitBreaker breaker = CircuitBreaker{touchy}.on_state_change([&](const khive::BreakerTransition& t) {
        seen.push_back(std::string{to_string(t.from)} + " " + std::string{to_string(t.to)});
    });

    fail_once(breaker, start);
    breaker.try_admit(start + 10s).value().record(success, start + 10s);

    CHECK(seen == std::vector<std::string>{"closed open", "open half_open", "half_open closed"});
}

TEST_CASE("CircuitBreaker: a callback may use the breaker; what it causes is told afterwards", "[breaker]")
{
    const CircuitBreaker breaker{touchy};
    std::vector<BreakerState> seen;
    breaker.on_state_change([&](const khive::BreakerTransition& t) {
        seen.push_back(t.to);
        if (t.to == BreakerState::open) breaker.reset(t.at);
        CHECK(breaker.stats(t.at).history.count() >= t.number);
        seen.push_back(t.to);
    });

    fail_once(breaker, start);

    CHECK(seen ==
          std::vector<BreakerState>{BreakerState::open, BreakerState::open, BreakerState::closed, BreakerState::closed});
}

TEST_CASE("CircuitBreaker: what a callback throws is swallowed and counted", "[breaker]")
{
    int later = 0;
    const CircuitBreaker breaker{touchy};
    breaker.on_state_change([](const khive::BreakerTransition&) { throw std::runtime_error("log is full"); });
    breaker.on_state_change([&](const khive::BreakerTransition&) { ++later; });

    fail_once(breaker, start);

    CHECK(breaker.callback_errors() == 1);
    CHECK(later == 1);
}

TEST_CASE("CircuitBreaker: never has more probes under way than it may, from any number of threads", "[breaker][threads]")
{
    const CircuitBreaker breaker{
        {.consecutive_failures = 1, .open_for = 1s, .open_jitter = 0, .half_open_probes = 3, .close_after = 1'000'000}};
    fail_once(breaker, start);
    const TimePoint later = start + 1s;
    std::atomic<int> probes{0};
    std::atomic<int> most{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 5'000; ++i) {
                auto ticket = breaker.try_admit(later);
                if (!ticket) continue;
                const int now_running = ++probes;
                for (int seen = most; now_running > seen && !most.compare_exchange_weak(seen, now_running);) {}
                --probes;
                if (i % 3 == 0) ticket->record(success, later);
            }
        });
    for (auto& thread : threads) thread.join();

    CHECK(most <= 3);
    CHECK(breaker.stats(later).history.count() == 2);
}

TEST_CASE("CircuitBreaker: loses no result and tells in order when several threads use it", "[breaker][threads]")
{
    std::atomic<std::uint64_t> last{0};
    std::atomic<int> out_of_order{0};
    // A thread that is put to sleep with the probe must not stop the others: its probe is given up.
    const CircuitBreaker breaker{{.consecutive_failures = 2, .open_for = 1us, .max_open_for = 1us, .max_probe = 10us}};
    breaker.on_state_change([&](const khive::BreakerTransition& t) {
        if (t.number <= last) ++out_of_order;
        last = t.number;
    });
    std::atomic<std::int64_t> clock{0};
    std::vector<std::thread> threads;
    for (std::uint64_t t = 1; t <= 4; ++t)
        threads.emplace_back([&, t] {
            khive::Random random{t};
            for (int i = 0; i < 5'000; ++i) {
                const TimePoint now = start + khive::Duration{clock += 200};
                (void)breaker.refusal(now);
                auto ticket = breaker.try_admit(now);
                if (ticket && random.next() % 8 != 0) ticket->record(random.next() % 2 == 0 ? success : failure, now);
            }
        });
    for (auto& thread : threads) thread.join();

    const auto stats = breaker.stats(start + khive::Duration{clock.load()});
    CHECK(stats.admitted == stats.succeeded + stats.failed + stats.neutral + stats.late);
    CHECK(stats.history.count() > 100);
    CHECK(out_of_order == 0);
}

} // namespace khive_tests::circuit_breaker_test

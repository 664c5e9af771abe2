// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/machine/breaker_machine.hpp>

#include <khive/core/exceptions.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <tuple>
#include <vector>

namespace khive_tests::breaker_machine_test {

using namespace std::chrono_literals;
using khive::BreakerCause;
using khive::BreakerState;
using khive::CircuitBreakerOptions;
using khive::Duration;
using khive::Random;
using khive::TimePoint;
using khive::Verdict;
using khive::machine::BreakerMachine;
using Ticket = BreakerMachine::Ticket;

namespace {

constexpr TimePoint start = TimePoint{} + 1h;

/// A machine, a clock moved by hand, and verbs without ceremony.
struct Bench {
    explicit Bench(const CircuitBreakerOptions& options) : machine(options) {}

    Ticket admit()
    {
        const auto admission = machine.try_admit(now);
        REQUIRE(admission.ticket);
        return *admission.ticket;
    }
    void record(const Ticket& ticket, Verdict verdict) { machine.record(ticket, verdict, now, random); }
    void call(Verdict verdict) { record(admit(), verdict); }
    void calls(int count, Verdict verdict)
    {
        for (int i = 0; i < count; ++i) call(verdict);
    }
    BreakerState state() { return machine.state(now); }
    std::string text() { return machine.describe(now); }

    BreakerMachine machine;
    Random random{1};
    TimePoint now = start;
};

/// Opens at the first failure for ten seconds sharp.
CircuitBreakerOptions touchy()
{
    return {.consecutive_failures = 1, .open_for = 10s, .open_jitter = 0};
}

Bench half_open(CircuitBreakerOptions options)
{
    Bench bench{options};
    bench.calls(static_cast<int>(options.consecutive_failures), Verdict::failure);
    bench.now += 10s;
    REQUIRE(bench.state() == BreakerState::half_open);
    return bench;
}

} // namespace

TEST_CASE("BreakerMachine: opens at the threshold of failures in a row and not before", "[machine][breaker]")
{
    Bench bench{{.consecutive_failures = 3, .open_jitter = 0}};

    bench.calls(2, Verdict::failure);
    CHECK(bench.text() == "closed in a row 2/3 window 0/0");
    bench.call(Verdict::failure);

    CHECK(bench.text() == "open for 30s");
}

TEST_CASE("BreakerMachine: is calm only while it is closed and remembers no failure", "[machine][breaker]")
{
    Bench bench{{.consecutive_failures = 2, .open_for = 10s, .open_jitter = 0}};

    CHECK(bench.machine.is_calm());
    bench.call(Verdict::failure);
    CHECK_FALSE(bench.machine.is_calm());
    bench.call(Verdict::success);
    CHECK(bench.machine.is_calm());
    bench.calls(2, Verdict::failure);
    CHECK_FALSE(bench.machine.is_calm());
    bench.now += 10s;
    bench.call(Verdict::success);
    CHECK(bench.machine.is_calm());
    bench.machine.isolate(bench.now);
    CHECK_FALSE(bench.machine.is_calm());
    bench.machine.reset(bench.now);
    CHECK(bench.machine.is_calm());
}

TEST_CASE("BreakerMachine: with a window it is never calm, since it has to know when each call ended", "[machine][breaker]")
{
    const Bench bench{{.failure_ratio = 0.5}};

    CHECK_FALSE(bench.machine.is_calm());
}

TEST_CASE("BreakerMachine: counts what it is told of a calm time, its tickets and its time", "[machine][breaker]")
{
    Bench bench{touchy()};
    const khive::machine::BreakerMachine::Ticket ticket{bench.machine.epoch(), 0};

    bench.machine.add({.latest = bench.now + 5s, .admitted = 4, .succeeded = 2, .neutral = 1});
    bench.record(ticket, Verdict::failure);

    CHECK(bench.machine.stats().admitted == 4);
    CHECK(bench.machine.stats().succeeded == 2);
    CHECK(bench.machine.stats().neutral == 1);
    CHECK(bench.machine.stats().failed == 1);
    CHECK(bench.machine.stats().history[1].at == bench.now + 5s);
}

TEST_CASE("BreakerMachine: a success ends a row of failures, a neutral or throttled call does not", "[machine][breaker]")
{
    const auto [verdict, expected] = GENERATE(table<Verdict, BreakerState>({
        {Verdict::success, BreakerState::closed},
        {Verdict::neutral, BreakerState::open},
        {Verdict::throttled, BreakerState::open},
    }));
    Bench bench{{.consecutive_failures = 3}};

    bench.calls(2, Verdict::failure);
    bench.call(verdict);
    bench.call(Verdict::failure);

    CHECK(bench.state() == expected);
}

TEST_CASE("BreakerMachine: opens when the share of failures reaches the ratio, inclusive", "[machine][breaker]")
{
    const auto [successes, failures, opens] = GENERATE(table<int, int, bool>({
        {7, 3, true},  // 0.3 exactly
        {8, 2, false}, // less
        {6, 4, true},
        {7, 2, false}, // not enough calls
        {0, 9, false}, // not enough calls, all failed
    }));
    Bench bench{{.consecutive_failures = 0, .failure_ratio = 0.3, .minimum_throughput = 10}};

    bench.calls(successes, Verdict::success);
    bench.calls(failures, Verdict::failure);

    CHECK(bench.state() == (opens ? BreakerState::open : BreakerState::closed));
}

TEST_CASE("BreakerMachine: failures that have left the window do not count", "[machine][breaker]")
{
    Bench bench{{.consecutive_failures = 0, .failure_ratio = 0.5, .minimum_throughput = 4, .window = 10s}};
    bench.calls(3, Verdict::failure);

    bench.now += 11s;
    bench.calls(3, Verdict::success);
    bench.call(Verdict::failure);

    CHECK(bench.text() == "closed in a row 1/0 window 1/4");
}

TEST_CASE("BreakerMachine: a window of calls keeps failures however old they are", "[machine][breaker]")
{
    Bench bench{{.consecutive_failures = 0, .failure_ratio = 0.5, .minimum_throughput = 4, .window_calls = 4}};
    bench.calls(2, Verdict::success);
    bench.call(Verdict::failure);

    bench.now += 24h;
    bench.call(Verdict::failure);

    CHECK(bench.state() == BreakerState::open);
}

TEST_CASE("BreakerMachine: open refuses with the time that is left, and lets a probe through exactly when it is over",
          "[machine][breaker]")
{
    Bench bench{touchy()};
    bench.call(Verdict::failure);

    CHECK(bench.machine.refusal(bench.now) == Duration{10s});
    CHECK(bench.machine.refusal(bench.now + 10s - 1ns) == Duration{1ns});
    CHECK_FALSE(bench.machine.try_admit(bench.now + 10s - 1ns).ticket);
    CHECK(bench.machine.try_admit(bench.now + 10s).ticket);
}

TEST_CASE("BreakerMachine: half open admits so many probes at a time", "[machine][breaker]")
{
    auto options = touchy();
    options.half_open_probes = 2;
    options.max_probe = 60s;
    auto bench = half_open(options);

    bench.admit();
    bench.now += 5s;
    bench.admit();

    const auto third = bench.machine.try_admit(bench.now);
    CHECK_FALSE(third.ticket);
    CHECK(third.wait == Duration{55s}); // the older probe's age limit
    CHECK(bench.text() == "half_open probes 2/2 ok 0/1 failed 0");
}

TEST_CASE("BreakerMachine: a probe decides", "[machine][breaker]")
{
    const auto [verdict, expected] = GENERATE(table<Verdict, BreakerState>({
        {Verdict::success, BreakerState::closed},
        {Verdict::failure, BreakerState::open},
        {Verdict::neutral, BreakerState::half_open},
        {Verdict::throttled, BreakerState::half_open},
    }));
    auto bench = half_open(touchy());

    bench.call(verdict);

    CHECK(bench.state() == expected);
}

TEST_CASE("BreakerMachine: a probe without a verdict frees its place", "[machine][breaker]")
{
    auto bench = half_open(touchy());

    for (int i = 0; i < 100; ++i) bench.call(Verdict::neutral);

    CHECK(bench.text() == "half_open probes 0/1 ok 0/1 failed 0");
    bench.call(Verdict::success);
    CHECK(bench.state() == BreakerState::closed);
}

TEST_CASE("BreakerMachine: closes after as many successful probes as it was told", "[machine][breaker]")
{
    auto options = touchy();
    options.close_after = 3;
    auto bench = half_open(options);

    bench.calls(2, Verdict::success);
    CHECK(bench.text() == "half_open probes 0/1 ok 2/3 failed 0");
    bench.call(Verdict::success);

    CHECK(bench.state() == BreakerState::closed);
}

TEST_CASE("BreakerMachine: tolerates as many failed probes as it was told", "[machine][breaker]")
{
    auto options = touchy();
    options.close_after = 3;
    options.tolerated_failures = 1;
    auto bench = half_open(options);

    bench.call(Verdict::failure);
    CHECK(bench.state() == BreakerState::half_open);
    bench.call(Verdict::failure);

    CHECK(bench.state() == BreakerState::open);
}

TEST_CASE("BreakerMachine: a probe that hangs does not hold up recovery", "[machine][breaker]")
{
    auto options = touchy();
    options.max_probe = 7s;
    auto bench = half_open(options);
    const Ticket hung = bench.admit();

    bench.now += 7s;
    const Ticket next = bench.admit();
    bench.record(hung, Verdict::failure); // late: neither a verdict nor the place of the next

    CHECK(bench.text() == "half_open probes 1/1 ok 0/1 failed 0");
    bench.record(next, Verdict::success);
    CHECK(bench.state() == BreakerState::closed);
    CHECK(bench.machine.stats().late == 1);
}

TEST_CASE("BreakerMachine: a probe that ends after its age limit counts for nothing", "[machine][breaker]")
{
    auto options = touchy();
    options.max_probe = 7s;
    auto bench = half_open(options);
    const Ticket hung = bench.admit();

    bench.now += 7s;
    bench.record(hung, Verdict::success);

    CHECK(bench.text() == "half_open probes 0/1 ok 0/1 failed 0");
}

TEST_CASE("BreakerMachine: a ticket counts in its own epoch only", "[machine][breaker]")
{
    const auto verdict = GENERATE(Verdict::success, Verdict::failure, Verdict::neutral, Verdict::throttled);
    Bench bench{touchy()};
    const Ticket from_closed = bench.admit();
    bench.call(Verdict::failure);

    SECTION("while open it does not move the time")
    {
        bench.now += 4s;
        bench.record(from_closed, verdict);
        CHECK(bench.text() == "open for 6s");
    }
    SECTION("while half open it neither decides nor frees a place")
    {
        bench.now += 10s;
        bench.admit();
        bench.record(from_closed, verdict);
        CHECK(bench.text() == "half_open probes 1/1 ok 0/1 failed 0");
    }
    SECTION("after it closed again it is not a failure")
    {
        bench.now += 10s;
        bench.call(Verdict::success);
        bench.record(from_closed, verdict);
        CHECK(bench.text() == "closed in a row 0/1 window 0/0");
    }
    CHECK(bench.machine.stats().late == 1);
}

TEST_CASE("BreakerMachine: a ticket counts once", "[machine][breaker]")
{
    auto options = touchy();
    options.half_open_probes = 2;
    options.close_after = 2;
    auto bench = half_open(options);
    const Ticket ticket = bench.admit();

    bench.record(ticket, Verdict::success);
    bench.record(ticket, Verdict::success);

    CHECK(bench.text() == "half_open probes 0/2 ok 1/2 failed 0");
}

TEST_CASE("BreakerMachine: stays open twice as long each time, up to the cap, until it was closed as long",
          "[machine][breaker]")
{
    auto options = touchy();
    options.max_open_for = 40s;
    Bench bench{options};
    std::vector<Duration> times;
    for (int i = 0; i < 5; ++i) {
        bench.call(Verdict::failure);
        times.push_back(*bench.machine.refusal(bench.now));
        bench.now += times.back();
    }
    CHECK(times == std::vector<Duration>{10s, 20s, 40s, 40s, 40s});

    SECTION("a short recovery does not start over")
    {
        bench.call(Verdict::success);
        bench.now += 40s - 1ns;
        bench.call(Verdict::failure);
        CHECK(bench.text() == "open for 40s");
    }
    SECTION("a quiet period does")
    {
        bench.call(Verdict::success);
        bench.now += 40s;
        bench.call(Verdict::failure);
        CHECK(bench.text() == "open for 10s");
    }
    SECTION("reset does")
    {
        bench.machine.reset(bench.now);
        bench.call(Verdict::failure);
        CHECK(bench.text() == "open for 10s");
    }
}

TEST_CASE("BreakerMachine: jitter makes the open time longer, by its share at most", "[machine][breaker]")
{
    std::vector<Duration> times;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        Bench bench{{.consecutive_failures = 1, .open_for = 10s, .open_jitter = 0.2}};
        Random random{seed};
        bench.machine.record(bench.admit(), Verdict::failure, bench.now, random);
        times.push_back(*bench.machine.refusal(bench.now));
    }
    std::sort(times.begin(), times.end());

    CHECK(times.front() >= 10s);
    CHECK(times.front() < 10200ms);
    CHECK(times.back() > 11800ms);
    CHECK(times.back() <= 12s);
    CHECK(std::adjacent_find(times.begin(), times.end()) == times.end());
}

TEST_CASE("BreakerMachine: open times saturate", "[machine][breaker]")
{
    auto options = touchy();
    options.open_for = khive::unlimited - 1h;
    Bench bench{options};

    bench.call(Verdict::failure);

    CHECK(*bench.machine.refusal(bench.now) > 24h * 365 * 100);
    CHECK_FALSE(bench.machine.try_admit(khive::no_deadline - 2h).ticket);
}

TEST_CASE("BreakerMachine: isolated refuses without an end until it is reset", "[machine][breaker]")
{
    Bench bench{touchy()};
    const Ticket before = bench.admit();

    bench.machine.isolate(bench.now);
    bench.now += 24h;

    CHECK(bench.machine.refusal(bench.now) == khive::unlimited);
    bench.record(before, Verdict::success);
    CHECK(bench.text() == "isolated");
    bench.machine.reset(bench.now);
    CHECK(bench.text() == "closed in a row 0/1 window 0/0");
}

TEST_CASE("BreakerMachine: reset forgets failures and does not listen to calls from before", "[machine][breaker]")
{
    Bench bench{{.consecutive_failures = 3}};
    const Ticket before = bench.admit();
    bench.calls(2, Verdict::failure);

    bench.machine.reset(bench.now);
    bench.record(before, Verdict::failure);

    CHECK(bench.text() == "closed in a row 0/3 window 0/0");
    CHECK(bench.machine.stats().history.count() == 0);
}

TEST_CASE("BreakerMachine: a step back in time is ignored", "[machine][breaker]")
{
    Bench bench{touchy()};
    bench.call(Verdict::failure);
    bench.now += 4s;
    REQUIRE(bench.text() == "open for 6s");

    CHECK(bench.machine.refusal(bench.now - 1h) == Duration{6s});
}

TEST_CASE("BreakerMachine: remembers its latest transitions in order", "[machine][breaker]")
{
    Bench bench{touchy()};
    for (int i = 0; i < 10; ++i) {
        bench.call(Verdict::failure);
        bench.now += 10s;
        bench.call(Verdict::success);
        bench.now += 10s;
    }
    const auto& history = bench.machine.stats().history;

    CHECK(history.count() == 30);
    CHECK(history.oldest() == 15);
    CHECK(history[28] == khive::BreakerTransition{BreakerState::closed, BreakerState::open,
                                                  BreakerCause::consecutive_failures, start + 180s, 28});
    CHECK(history[29].cause == BreakerCause::time_passed);
    CHECK(history[30].cause == BreakerCause::probes_succeeded);
}

TEST_CASE("BreakerMachine: counts what it sees", "[machine][breaker]")
{
    Bench bench{{.consecutive_failures = 2}};
    const Ticket late = bench.admit();
    bench.call(Verdict::success);
    bench.call(Verdict::throttled);
    bench.calls(2, Verdict::failure);
    bench.record(late, Verdict::success);
    CHECK_FALSE(bench.machine.try_admit(bench.now).ticket);
    CHECK(bench.machine.refusal(bench.now));

    const auto& stats = bench.machine.stats();
    CHECK(stats.admitted == 5);
    CHECK(stats.refused == 2);
    CHECK(stats.succeeded == 1);
    CHECK(stats.failed == 2);
    CHECK(stats.neutral == 1);
    CHECK(stats.late == 1);
}

TEST_CASE("BreakerMachine: options that make no sense are refused with name, value and rule", "[machine][breaker]")
{
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    const auto [options, message] = GENERATE(table<CircuitBreakerOptions, std::string>({
        {{.consecutive_failures = 0}, "consecutive_failures is 0, must be at least 1 where failure_ratio is 0"},
        {{.failure_ratio = 1.5}, "failure_ratio is 1.5, must be in [0, 1]"},
        {{.failure_ratio = -0.1}, "failure_ratio is -0.1, must be in [0, 1]"},
        {{.failure_ratio = nan}, "failure_ratio is nan, must be in [0, 1]"},
        {{.failure_ratio = 0.5, .minimum_throughput = 0}, "minimum_throughput is 0, must be at least 1"},
        {{.failure_ratio = 0.5, .window = 0s}, "window is 0s, must be more than 0"},
        {{.failure_ratio = 0.5, .window_calls = 10}, "window_calls is 10, must be at least minimum_throughput"},
        {{.failure_ratio = 0.5, .window_calls = 100'001}, "window_calls is 100001, must be at most 100000"},
        {{.open_for = 0s}, "open_for is 0s, must be more than 0"},
        {{.open_for = -5s}, "open_for is -5s, must be more than 0"},
        {{.open_for = 10s, .max_open_for = 5s}, "max_open_for is 5s, must be 0 or at least open_for"},
        {{.open_jitter = 1.01}, "open_jitter is 1.01, must be in [0, 1]"},
        {{.open_jitter = nan}, "open_jitter is nan, must be in [0, 1]"},
        {{.half_open_probes = 0}, "half_open_probes is 0, must be in [1, 1000]"},
        {{.close_after = 0}, "close_after is 0, must be at least 1"},
        {{.max_probe = 0s}, "max_probe is 0s, must be more than 0"},
    }));

    CHECK_THROWS_AS(BreakerMachine{options}, khive::ConfigurationError);
    CHECK_THROWS_WITH(BreakerMachine{options}, khive_tests::contains("CircuitBreaker: " + message));
}

namespace {

bool legal(const khive::BreakerTransition& t)
{
    switch (t.cause) {
    case BreakerCause::consecutive_failures:
    case BreakerCause::failure_ratio: return t.from == BreakerState::closed && t.to == BreakerState::open;
    case BreakerCause::time_passed: return t.from == BreakerState::open && t.to == BreakerState::half_open;
    case BreakerCause::probes_succeeded: return t.from == BreakerState::half_open && t.to == BreakerState::closed;
    case BreakerCause::probes_failed: return t.from == BreakerState::half_open && t.to == BreakerState::open;
    case BreakerCause::isolated_by_hand: return t.to == BreakerState::isolated;
    case BreakerCause::reset_by_hand: return t.to == BreakerState::closed;
    }
    return false;
}

/// One random life of a machine. Every step is checked; the first thing that is wrong ends it.
class RandomLife {
public:
    explicit RandomLife(std::uint64_t seed) : random_(seed), options_(pick_options()), machine_(options_) {}

    std::string run(int steps)
    {
        for (int i = 0; i < steps && wrong_.empty(); ++i) {
            step();
            check_history();
            check_probes();
            check_sums();
        }
        return wrong_;
    }

private:
    struct Issued {
        Ticket ticket;
        TimePoint since;
        std::uint64_t transitions; ///< and resets, when it was issued
        bool probe;
    };

    unsigned below(unsigned limit) { return static_cast<unsigned>(random_.next() % limit); }

    CircuitBreakerOptions pick_options()
    {
        return {.consecutive_failures = 1 + below(4),
                .failure_ratio = below(2) == 0 ? 0 : 0.3,
                .minimum_throughput = 5,
                .window = 20s,
                .window_calls = below(2) * 8,
                .open_for = 10s,
                .open_jitter = 0.1,
                .half_open_probes = 1 + below(3),
                .close_after = 1 + below(3),
                .tolerated_failures = below(2),
                .max_probe = 15s};
    }

    void step()
    {
        switch (below(100)) {
        case 0:
            machine_.isolate(now_);
            ++resets_;
            break;
        case 1:
        case 2:
            machine_.reset(now_);
            ++resets_;
            break;
        default: below(10) < 4 ? admit() : below(10) < 6 ? finish() : pass_time();
        }
    }

    void pass_time() { now_ += khive::from_seconds(random_.uniform() * random_.uniform() * 12); }

    void admit()
    {
        const auto expected = BreakerMachine(machine_).refusal(now_);
        const auto admission = machine_.try_admit(now_);
        if (admission.ticket.has_value() == expected.has_value()) wrong_ = "peek and admission disagree";
        const bool probe = machine_.last_state() == BreakerState::half_open;
        if (admission.ticket) return issued_.push_back({*admission.ticket, now_, era(), probe});
        check_not_stuck(admission.wait);
    }

    /// A refusal says when it ends; then it must have ended, although no ticket ever comes back.
    void check_not_stuck(Duration wait)
    {
        if (wait <= 0s) wrong_ = "a refusal without a wait";
        if (wait == khive::unlimited) {
            if (machine_.last_state() != BreakerState::isolated) wrong_ = "refused for ever";
            return;
        }
        if (!BreakerMachine(machine_).try_admit(now_ + wait).ticket) wrong_ = "refused at the time it had named";
    }

    void finish()
    {
        if (issued_.empty()) return;
        const auto index = below(static_cast<unsigned>(issued_.size()));
        const Issued issued = issued_[index];
        issued_.erase(issued_.begin() + index);
        (void)machine_.state(now_);
        const bool old = issued.transitions != era() || (issued.probe && now_ - issued.since >= options_.max_probe);
        const std::string before = machine_.describe(now_);
        const auto late = machine_.stats().late;
        machine_.record(issued.ticket, Verdict{static_cast<std::uint8_t>(below(4))}, now_, random_);
        if (old != (machine_.stats().late == late + 1)) wrong_ = "a ticket was taken for one of another epoch";
        if (old && machine_.describe(now_) != before) wrong_ = "a late result changed '" + before + "'";
        ++finished_;
    }

    std::uint64_t era() const { return machine_.stats().history.count() + resets_; }

    void check_history()
    {
        const auto& history = machine_.stats().history;
        for (; checked_ < history.count(); ++checked_)
            if (!legal(history[checked_ + 1])) wrong_ = "illegal transition";
    }

    void check_probes()
    {
        const auto live = std::count_if(issued_.begin(), issued_.end(), [&](const Issued& i) {
            return i.probe && i.transitions == era() && now_ - i.since < options_.max_probe;
        });
        const auto limit = static_cast<std::ptrdiff_t>(options_.half_open_probes);
        if (live > limit) wrong_ = "too many probes";
        const bool half_open = machine_.last_state() == BreakerState::half_open;
        if (half_open && live < limit && BreakerMachine(machine_).refusal(now_)) wrong_ = "a free place is not given";
    }

    void check_sums()
    {
        const auto& s = machine_.stats();
        if (s.succeeded + s.failed + s.neutral + s.late != finished_) wrong_ = "a result is in no counter";
        if (s.admitted != finished_ + issued_.size()) wrong_ = "an admission is in no counter";
    }

    Random random_;
    CircuitBreakerOptions options_;
    BreakerMachine machine_;
    TimePoint now_ = start;
    std::vector<Issued> issued_;
    std::uint64_t resets_ = 0;
    std::uint64_t checked_ = 0;
    std::uint64_t finished_ = 0;
    std::string wrong_;
};

} // namespace

TEST_CASE("BreakerMachine: keeps its promises over thousands of random lives", "[machine][breaker][property]")
{
    for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
        const std::string wrong = RandomLife(seed).run(200);
        if (!wrong.empty()) FAIL("seed " << seed << ": " << wrong);
    }
    SUCCEED();
}

} // namespace khive_tests::breaker_machine_test

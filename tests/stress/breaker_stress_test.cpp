// SPDX-License-Identifier: BSL-1.0
// CircuitBreaker under several threads, by one share or several: verdicts of all kinds, isolation and reset, callbacks, the last
// handle let go.
#include "stress/stress.hpp"

#include <khive/policy/circuit_breaker.hpp>

namespace khive_tests::breaker_stress_test {

namespace {

constexpr unsigned callers = 4;

template <class Body>
void on_threads(unsigned count, Body body)
{
    std::atomic<bool> go{false};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < count; ++i)
        threads.emplace_back([&go, &body, i] {
            while (!go) std::this_thread::yield();
            body(i);
        });
    go = true;
    for (auto& thread : threads) thread.join();
}

/// What the callbacks were told; not atomic, since they come one at a time.
struct Heard {
    std::vector<BreakerTransition> transitions;

    /// In order; those that follow one another begin where the last one ended.
    [[nodiscard]] bool in_order() const
    {
        for (std::size_t i = 1; i < transitions.size(); ++i) {
            const auto& before = transitions[i - 1];
            const auto& after = transitions[i];
            if (after.number <= before.number) return false;
            if (after.number == before.number + 1 && after.from != before.to) return false;
        }
        return true;
    }
};

Verdict verdict(Dice& dice)
{
    return dice.chance(0.5)   ? Verdict::failure
           : dice.chance(0.6) ? Verdict::success
           : dice.chance(0.5) ? Verdict::neutral
                              : Verdict::throttled;
}

/// One call of a caller; what it has got to wait for is nothing.
void use(const CircuitBreaker& breaker, Dice& dice)
{
    if (breaker.refusal(Clock::now())) return;
    auto ticket = breaker.try_admit(Clock::now());
    if (!ticket) return;
    KHIVE_YIELD_POINT();
    if (dice.chance(0.9)) ticket->record(Outcome{.verdict = verdict(dice)}, Clock::now());
}

} // namespace

TEST_CASE("Stress: a breaker's books balance and its callbacks come in order", "[stress][breaker]")
{
    Rounds rounds("breaker");
    while (rounds.more()) {
        Heard heard;
        const CircuitBreaker breaker =
            CircuitBreaker{{.consecutive_failures = 3, .open_for = 5us, .half_open_probes = 2}}.on_state_change(
                [&heard](const BreakerTransition& transition) { heard.transitions.push_back(transition); });
        constexpr int times = 200;
        on_threads(callers, [&](unsigned who) {
            Dice dice = rounds.dice(who);
            const CircuitBreaker mine = dice.chance(0.5) ? breaker.own_share() : breaker;
            for (int i = 0; i < times; ++i) {
                use(mine, dice);
                if (dice.chance(0.01)) breaker.isolate();
                if (dice.chance(0.02)) breaker.reset();
                if (dice.chance(0.05)) (void)breaker.describe();
            }
        });
        rounds.count(callers * times, 0);

        const BreakerStats stats = breaker.stats();
        CHECK(stats.admitted == stats.succeeded + stats.failed + stats.neutral + stats.late);
        CHECK(heard.in_order());
        REQUIRE_FALSE(heard.transitions.empty());
        CHECK(heard.transitions.back().number == stats.history.count());
        CHECK(heard.transitions.back().to == stats.state);
        breaker.reset();
        CHECK(breaker.try_admit(Clock::now()).has_value());
        CHECK_FALSE(breaker.refusal(Clock::now()));
    }
}

TEST_CASE("Stress: of many who come to a half-open breaker as many pass as it has probes", "[stress][breaker]")
{
    Rounds rounds("breaker, probes");
    while (rounds.more()) {
        const CircuitBreaker breaker{{.consecutive_failures = 1, .open_for = 1us, .half_open_probes = 2, .close_after = 2}};
        breaker.try_admit(Clock::now())->record(Outcome{.verdict = Verdict::failure}, Clock::now());
        while (breaker.state() == BreakerState::open) std::this_thread::yield();
        std::atomic<unsigned> admitted{0};
        std::atomic<unsigned> asked{0};
        on_threads(callers, [&](unsigned) {
            auto ticket = breaker.try_admit(Clock::now());
            if (ticket) ++admitted;
            ++asked;
            while (asked != callers) std::this_thread::yield(); // its place is taken until all have asked
            if (ticket) ticket->record(Outcome{}, Clock::now());
        });
        rounds.count(callers, 0);

        CHECK(admitted == 2);
        CHECK(breaker.state() == BreakerState::closed);
        CHECK_FALSE(breaker.refusal(Clock::now()));
    }
}

TEST_CASE("Stress: a breaker goes with the last of its handles and tickets, once", "[stress][breaker]")
{
    Rounds rounds("breaker, lifetime");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        std::optional<CircuitBreaker> breaker{CircuitBreaker{{.consecutive_failures = 1}}};
        std::vector<std::optional<CircuitBreaker::Ticket>> tickets(callers - 1);
        for (auto& ticket : tickets) ticket.emplace(*breaker->try_admit(Clock::now()));
        const bool fails = dice.chance(0.5);
        on_threads(callers, [&](unsigned who) {
            if (who == callers - 1) return breaker.reset();
            if (fails) tickets[who]->record(Outcome{.verdict = Verdict::failure}, Clock::now());
            tickets[who].reset();
        });
        rounds.count(callers, 0);
    }
}

TEST_CASE("Stress: failures in a row open a breaker whichever of its shares they come by", "[stress][breaker]")
{
    Rounds rounds("breaker, shares");
    while (rounds.more()) {
        const CircuitBreaker breaker{{.consecutive_failures = 3}};
        std::atomic<unsigned> succeeded{0};
        on_threads(callers, [&](unsigned who) {
            const CircuitBreaker mine = breaker.own_share();
            for (int i = 0; i < 20; ++i)
                if (auto ticket = mine.try_admit(Clock::now())) {
                    ticket->record(Outcome{}, Clock::now());
                    ++succeeded;
                }
            if (who == 0) return;
            auto ticket = mine.try_admit(Clock::now());
            if (ticket) ticket->record(Outcome{.verdict = Verdict::failure}, Clock::now());
        });
        rounds.count(callers, 0);

        const BreakerStats stats = breaker.stats();
        CHECK(stats.succeeded + stats.late == succeeded);
        CHECK(stats.failed == 3);
        CHECK(stats.admitted == stats.succeeded + stats.failed + stats.late);
        CHECK((stats.state == BreakerState::open) == (stats.consecutive_failures == 0 && stats.history.count() == 1));
    }
}

} // namespace khive_tests::breaker_stress_test

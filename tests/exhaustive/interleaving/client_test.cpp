// SPDX-License-Identifier: BSL-1.0
// ClientCore: `in_flight_` and `closing_` with `CallDrain`, and `last_spare_`.
#include "exhaustive/interleaving/interleaving.hpp"

#include "support/catch.hpp"

#include <array>
#include <compare>

namespace khive_tests::client_test {

namespace {

/// Two calls and a `close`: thread 2.
struct Closing {
    enum class Variant {
        as_written,
        asks_before_it_counts_in,  ///< `enter` reads `closing_` first
        asks_before_it_counts_out, ///< `leave` reads `closing_` first
        looks_before_it_closes,    ///< `close` looks at `in_flight_` before it sets `closing_`
    };
    static constexpr unsigned threads = 3;

    struct Call {
        int at = 0;
        bool saw_closing = false;
        bool working = false;
        auto operator<=>(const Call&) const = default;
    };
    struct State {
        int in_flight = 0;
        bool closing = false;
        ModelLock drain;
        bool waiting = false;
        bool granted = false;
        std::array<Call, 2> calls;
        int closer_at = 0;
        bool closer_saw_none = false;
        auto operator<=>(const State&) const = default;
    };

    Variant variant = Variant::as_written;

    Step step(State& s, unsigned thread) const { return thread == 2 ? close(s) : call(s, s.calls[thread]); }

    Step call(State& s, Call& c) const
    {
        const bool asks_first_in = variant == Variant::asks_before_it_counts_in;
        const bool asks_first_out = variant == Variant::asks_before_it_counts_out;
        switch (c.at++) {
        case 0: asks_first_in ? ask(s, c) : static_cast<void>(++s.in_flight); break;
        case 1:
            asks_first_in ? static_cast<void>(++s.in_flight) : ask(s, c);
            c.working = !c.saw_closing;
            break;
        case 2: // out again
            c.working = false;
            if (asks_first_out)
                ask(s, c);
            else if (--s.in_flight != 0)
                c.at = 7;
            break;
        case 3:
            if (!asks_first_out)
                ask(s, c);
            else if (--s.in_flight != 0)
                c.at = 7;
            if (!c.saw_closing) c.at = 7;
            break;
        case 4:
            if (!s.drain.lock()) return c.at--, Step::blocked;
            break;
        case 5:
            if (s.waiting && s.in_flight == 0) s.waiting = false, s.granted = true;
            break;
        case 6: s.drain.unlock(); break;
        default: return c.at = 7, Step::done;
        }
        return Step::ran;
    }
    Step close(State& s) const
    {
        const bool looks_first = variant == Variant::looks_before_it_closes;
        switch (s.closer_at++) {
        case 0: looks_first ? look(s) : static_cast<void>(s.closing = true); break;
        case 1:
            if (!s.drain.lock()) return s.closer_at--, Step::blocked;
            break;
        case 2: looks_first ? static_cast<void>(s.closing = true) : look(s); break;
        case 3: (s.closer_saw_none ? s.granted : s.waiting) = true; break;
        case 4: s.drain.unlock(); break;
        default: return s.closer_at = 5, Step::done;
        }
        return Step::ran;
    }
    static void ask(State& s, Call& c) { c.saw_closing = s.closing; }
    static void look(State& s) { s.closer_saw_none = s.in_flight == 0; }

    static std::string check(const State& s)
    {
        const bool working = s.calls[0].working || s.calls[1].working;
        return s.granted && working ? "a call works on after close has ended" : "";
    }
    static std::string check_end(const State& s) { return s.granted ? "" : "close waits for ever"; }
};

/// Two callers take a state and keep it again, a third only keeps one. The list behind the slot has a lock of its own. State 1 is
/// in the slot at first, 2 with the third; others are made where none is found.
struct Spare {
    enum class Variant {
        as_written,
        takes_in_two_steps, ///< reads the slot, then clears it
        keeps_in_two_steps, ///< looks whether the slot is free, then fills it
    };
    static constexpr unsigned threads = 3;

    struct Caller {
        int at = 0;
        unsigned has = 0;
        bool slot_free = false;
        auto operator<=>(const Caller&) const = default;
    };
    struct State {
        unsigned slot = 1;
        unsigned made = 2;
        std::array<unsigned, 8> listed{}; ///< how often each is in the list
        std::array<Caller, 3> callers{{{}, {}, {.at = 3, .has = 2}}};
        auto operator<=>(const State&) const = default;
    };

    Variant variant = Variant::as_written;

    Step step(State& s, unsigned thread) const
    {
        Caller& c = s.callers[thread];
        switch (c.at++) {
        case 0:
            c.has = s.slot;
            if (variant != Variant::takes_in_two_steps) s.slot = 0;
            break;
        case 1:
            if (variant == Variant::takes_in_two_steps && c.has != 0) s.slot = 0;
            break;
        case 2:
            if (c.has == 0) take_from_list(s, c);
            break;
        case 3:
            c.slot_free = s.slot == 0;
            if (c.slot_free && variant != Variant::keeps_in_two_steps) fill(s, c);
            break;
        case 4:
            if (c.slot_free && variant == Variant::keeps_in_two_steps) fill(s, c);
            break;
        case 5:
            if (c.has != 0) ++s.listed[std::exchange(c.has, 0u)];
            break;
        default: return c.at = 6, Step::done;
        }
        return Step::ran;
    }
    static void fill(State& s, Caller& c) { s.slot = std::exchange(c.has, 0u); }
    static void take_from_list(State& s, Caller& c)
    {
        for (unsigned i = 1; i < s.listed.size(); ++i)
            if (s.listed[i] != 0) return static_cast<void>((--s.listed[i], c.has = i));
        c.has = ++s.made;
    }
    static unsigned owners(const State& s, unsigned which)
    {
        unsigned all = s.listed[which] + (s.slot == which ? 1u : 0u);
        for (const Caller& c : s.callers) all += c.has == which ? 1u : 0u;
        return all;
    }
    /// Taken in two steps, one is in the slot and with a caller for a while even if nobody else comes.
    [[nodiscard]] std::string check(const State& s) const
    {
        for (unsigned i = 1; i <= s.made; ++i) {
            unsigned with_callers = 0;
            for (const Caller& c : s.callers) with_callers += c.has == i ? 1u : 0u;
            if (with_callers > 1) return "two calls use one state";
        }
        return "";
    }
    static std::string check_end(const State& s)
    {
        for (unsigned i = 1; i <= s.made; ++i)
            if (owners(s, i) != 1) return owners(s, i) == 0 ? "a state is lost" : "a state is kept twice";
        return "";
    }
};

} // namespace

TEST_CASE("Interleaving: close hears of the last call's end, and no call works after it", "[exhaustive][interleaving]")
{
    const Explored explored = explore(Closing{});

    CHECK(explored.fault == "");
    CHECK(explored.interleavings > 1'000);
}

TEST_CASE("Interleaving: the model of close finds each step out of order", "[exhaustive][interleaving]")
{
    using enum Closing::Variant;
    CHECK_THAT(Explorer(Closing{asks_before_it_counts_in}).run().fault, contains("works on"));
    CHECK_THAT(Explorer(Closing{asks_before_it_counts_out}).run().fault, contains("for ever"));
    CHECK_THAT(Explorer(Closing{looks_before_it_closes}).run().fault, contains("for ever"));
}

TEST_CASE("Interleaving: a spare state has one owner at a time and is never lost", "[exhaustive][interleaving]")
{
    const Explored explored = explore(Spare{});

    CHECK(explored.fault == "");
    CHECK(explored.interleavings > 1'000);
}

TEST_CASE("Interleaving: the model of spare states finds an access in two steps", "[exhaustive][interleaving]")
{
    using enum Spare::Variant;
    CHECK_THAT(Explorer(Spare{takes_in_two_steps}).run().fault, contains("two calls"));
    CHECK_THAT(Explorer(Spare{keeps_in_two_steps}).run().fault, contains("lost"));
}

} // namespace khive_tests::client_test

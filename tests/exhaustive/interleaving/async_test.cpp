// SPDX-License-Identifier: BSL-1.0
// TimeService's `due_rep_`, the posting flags of `Waiter::Rearming` and `Race`, OwnedTask's cancellation, BackgroundWait.
#include "exhaustive/interleaving/interleaving.hpp"

#include "support/catch.hpp"

#include <array>
#include <compare>

namespace khive_tests::async_test {

namespace {

constexpr int never = 99;

/// Two threads move a deadline, each under the lock of its owner, and arm it; a third one is the service, whose time goes from 1
/// to 3. The node is armed for 1 at first.
struct Arming {
    enum class Variant {
        as_written,
        erases_after_the_call, ///< the node looks armed while it is called
        arms_before_it_moves,  ///< `arm` comes before the new deadline is there
    };
    static constexpr unsigned threads = 3;

    struct Mover {
        int at = 0;
        auto operator<=>(const Mover&) const = default;
    };
    struct State {
        int deadline = 1; ///< under the owner's lock, which is held for one step at a time
        bool seen = false; ///< `on_time` has seen it come
        int due_rep = 1;  ///< `never` while not armed
        bool service_locked = false;
        std::array<Mover, 2> movers;
        int service_at = 0;
        int now = 1;
        int answer = never; ///< of `on_time`
        auto operator<=>(const State&) const = default;
    };

    Variant variant = Variant::as_written;

    Step step(State& s, unsigned thread) const
    {
        return thread == 2 ? serve(s) : move(s, s.movers[thread], thread == 0 ? 2 : 3);
    }
    Step move(State& s, Mover& m, int due) const
    {
        const bool arms_first = variant == Variant::arms_before_it_moves;
        switch (m.at++) {
        case 0:
            if (!arms_first) set(s, due);
            break;
        case 1: // without the lock
            if (s.due_rep <= due) m.at = 4;
            break;
        case 2:
            if (s.service_locked) return m.at--, Step::blocked;
            s.service_locked = true;
            break;
        case 3:
            if (due < s.due_rep) s.due_rep = due;
            s.service_locked = false;
            break;
        case 4:
            if (arms_first) set(s, due);
            break;
        default: return m.at = 5, Step::done;
        }
        return Step::ran;
    }
    static void set(State& s, int due)
    {
        s.deadline = due;
        s.seen = false;
    }
    /// Three times: locks, calls the node if it is due, unlocks, and the time goes on.
    Step serve(State& s) const
    {
        const bool erases_late = variant == Variant::erases_after_the_call;
        switch (s.service_at++) {
        case 0:
            if (s.now > 3) return s.service_at = 0, Step::done;
            if (s.service_locked) return s.service_at--, Step::blocked;
            s.service_locked = true;
            break;
        case 1:
            if (s.due_rep > s.now)
                s.service_at = 4;
            else if (!erases_late)
                s.due_rep = never;
            break;
        case 2: // `on_time`, under the owner's lock
            s.seen = s.seen || s.deadline <= s.now;
            s.answer = s.deadline <= s.now ? never : s.deadline;
            break;
        case 3:
            if (erases_late || s.answer != never) s.due_rep = s.answer;
            s.answer = never;
            break;
        default:
            s.service_locked = false;
            ++s.now;
            s.service_at = 0;
        }
        return Step::ran;
    }
    static std::string check(const State&) { return ""; }
    /// The deadline has been seen, or what is armed will see it in time.
    static std::string check_end(const State& s) { return s.seen || s.due_rep <= 3 ? "" : "a deadline is lost"; }
};

/// What two threads ask for is passed on by a posted task, of which there is one: bits for `Race`, the latest time for `Rearming`.
struct Posting {
    enum class Variant {
        as_written,
        asks_after_it_posts,       ///< the wish is written down after the flag is taken
        looks_before_it_is_free,   ///< the task reads the wishes, then clears its flag
        does_not_take_the_flag,    ///< looks whether the flag is set, then sets it
    };
    static constexpr unsigned threads = 4; ///< two that ask, two that run what is posted

    struct Asker {
        int at = 0;
        bool was_posted = false;
        auto operator<=>(const Asker&) const = default;
    };
    struct Runner {
        int at = 0;
        unsigned seen = 0;
        auto operator<=>(const Runner&) const = default;
    };
    struct State {
        unsigned wishes = 0; ///< `types_`
        unsigned granted = 0;
        bool posted = false;
        int keepers = 0; ///< `race_` or `waiter_` is set
        int queued = 0;
        std::array<Asker, 2> askers;
        std::array<Runner, 2> runners;
        auto operator<=>(const State&) const = default;
    };

    Variant variant = Variant::as_written;

    Step step(State& s, unsigned thread) const
    {
        return thread < 2 ? ask(s, s.askers[thread], 1u << thread) : run(s, s.runners[thread - 2]);
    }
    Step ask(State& s, Asker& a, unsigned wish) const
    {
        const bool asks_late = variant == Variant::asks_after_it_posts;
        switch (a.at++) {
        case 0:
            if (!asks_late) s.wishes |= wish;
            break;
        case 1:
            a.was_posted = s.posted;
            if (variant != Variant::does_not_take_the_flag) s.posted = true;
            break;
        case 2:
            if (variant == Variant::does_not_take_the_flag) s.posted = true;
            break;
        case 3:
            if (asks_late) s.wishes |= wish;
            if (a.was_posted) a.at = 6;
            break;
        case 4: ++s.keepers; break;
        case 5: ++s.queued; break;
        default: return a.at = 6, Step::done;
        }
        return Step::ran;
    }
    Step run(State& s, Runner& r) const
    {
        const bool looks_early = variant == Variant::looks_before_it_is_free;
        switch (r.at++) {
        case 0:
            if (s.queued == 0) return r.at = 0, over(s) ? Step::done : Step::blocked;
            --s.queued;
            break;
        case 1: --s.keepers; break;
        case 2: looks_early ? look(s, r) : static_cast<void>(s.posted = false); break;
        case 3: looks_early ? static_cast<void>(s.posted = false) : look(s, r); break;
        default:
            s.granted |= r.seen;
            r.at = 0;
            r.seen = 0;
        }
        return Step::ran;
    }
    static void look(State& s, Runner& r) { r.seen = std::exchange(s.wishes, 0u); }
    static bool over(const State& s)
    {
        for (const Asker& a : s.askers)
            if (a.at != 6) return false;
        return true;
    }
    static std::string check(const State& s)
    {
        if (s.keepers > 1 || s.queued > 1) return "it is posted twice";
        return s.keepers < 0 ? "it runs without what keeps it" : "";
    }
    static std::string check_end(const State& s) { return s.granted == 3 ? "" : "a wish is lost"; }
};

/// A task that is started by one thread and cancelled by two, on a strand.
struct Cancelling {
    enum class Variant {
        as_written,
        starts_late,      ///< says that it has started before the coroutine is on the strand
        looks_unlocked,   ///< `start` looks whether it is cancelled before it says that it has started
        cancels_unlocked, ///< `cancel` looks whether it has started, then says that it is cancelled
    };
    static constexpr unsigned threads = 3;

    struct Thread {
        int at = 0;
        bool looked = false;
        auto operator<=>(const Thread&) const = default;
    };
    struct State {
        bool started = false;
        bool cancelled = false;
        bool spawned = false;
        int emissions = 0;
        bool too_early = false;
        std::array<Thread, 3> threads;
        auto operator<=>(const State&) const = default;
    };

    Variant variant = Variant::as_written;

    Step step(State& s, unsigned thread) const
    {
        return thread == 0 ? start(s, s.threads[0]) : cancel(s, s.threads[thread]);
    }
    /// What is done under the lock is one step.
    Step start(State& s, Thread& t) const
    {
        switch (t.at++) {
        case 0:
            if (variant == Variant::starts_late) s.started = true;
            if (variant != Variant::starts_late) s.spawned = true;
            break;
        case 1:
            if (variant == Variant::starts_late) s.spawned = true;
            if (variant == Variant::looks_unlocked) t.looked = s.cancelled;
            break;
        case 2:
            s.started = true;
            if (variant != Variant::looks_unlocked) t.looked = s.cancelled;
            break;
        case 3:
            if (t.looked && variant != Variant::starts_late) emit(s);
            break;
        default: return t.at = 4, Step::done;
        }
        return Step::ran;
    }
    Step cancel(State& s, Thread& t) const
    {
        const bool unlocked = variant == Variant::cancels_unlocked;
        switch (t.at++) {
        case 0:
            t.looked = s.started;
            if (unlocked) break;
            if (std::exchange(s.cancelled, true)) t.looked = false;
            break;
        case 1:
            if (unlocked && std::exchange(s.cancelled, true)) t.looked = false;
            break;
        case 2:
            if (t.looked) emit(s);
            break;
        default: return t.at = 3, Step::done;
        }
        return Step::ran;
    }
    static void emit(State& s)
    {
        ++s.emissions;
        s.too_early = s.too_early || !s.spawned;
    }
    static std::string check(const State& s)
    {
        if (s.too_early) return "it is cancelled before it is on its strand";
        return s.emissions > 1 ? "one object is posted twice" : "";
    }
    static std::string check_end(const State& s) { return s.emissions == 1 ? "" : "a cancellation is lost"; }
};

/// The unit of work of a watch: released by who starts it, taken again by its handler or its cancellation.
struct Background {
    enum class Variant {
        as_written,
        ends_in_two_steps, ///< looks, then says that it has ended
    };
    static constexpr unsigned threads = 3;

    struct Thread {
        int at = 0;
        bool first = false;
        auto operator<=>(const Thread&) const = default;
    };
    struct State {
        bool under_way = true;
        bool released = false;
        int units = 1;
        std::array<Thread, 3> threads;
        auto operator<=>(const State&) const = default;
    };

    Variant variant = Variant::as_written;

    Step step(State& s, unsigned thread) const
    {
        Thread& t = s.threads[thread];
        if (thread == 0) {
            if (t.at++ != 0) return t.at = 1, Step::done;
            --s.units; // `release`, after the operation has been started
            return Step::ran;
        }
        switch (t.at++) {
        case 0:
            t.first = s.under_way;
            if (variant == Variant::as_written) s.under_way = false;
            break;
        case 1:
            if (variant != Variant::as_written) s.under_way = false;
            break;
        case 2:
            if (t.first) ++s.units;
            break;
        default: return t.at = 3, Step::done;
        }
        return Step::ran;
    }
    static std::string check(const State&) { return ""; }
    static std::string check_end(const State& s) { return s.units == 1 ? "" : "a unit of work is taken twice"; }
};

} // namespace

TEST_CASE("Interleaving: a deadline that is moved while it comes is not lost", "[exhaustive][interleaving]")
{
    const Explored explored = explore(Arming{});

    CHECK(explored.fault == "");
    CHECK(explored.interleavings > 1'000);
}

TEST_CASE("Interleaving: the model of arming finds each step out of order", "[exhaustive][interleaving]")
{
    using enum Arming::Variant;
    const auto variant = GENERATE(erases_after_the_call, arms_before_it_moves);
    CHECK_THAT(Explorer(Arming{variant}).run().fault, contains("lost"));
}

TEST_CASE("Interleaving: what is asked of a posted task is passed on, and it is posted once at a time", "[exhaustive][interleaving]")
{
    const Explored explored = explore(Posting{});

    CHECK(explored.fault == "");
    CHECK(explored.interleavings > 1'000);
}

TEST_CASE("Interleaving: the model of posting finds each step out of order", "[exhaustive][interleaving]")
{
    using enum Posting::Variant;
    CHECK_THAT(Explorer(Posting{asks_after_it_posts}).run().fault, contains("lost"));
    CHECK_THAT(Explorer(Posting{looks_before_it_is_free}).run().fault, contains("lost"));
    CHECK_THAT(Explorer(Posting{does_not_take_the_flag}).run().fault, contains("twice"));
}

TEST_CASE("Interleaving: a task that is cancelled while it starts hears of it once, behind its start", "[exhaustive][interleaving]")
{
    const Explored explored = explore(Cancelling{});

    CHECK(explored.fault == "");
    CHECK(explored.interleavings > 100);
}

TEST_CASE("Interleaving: the model of a task's cancellation finds each step out of order", "[exhaustive][interleaving]")
{
    using enum Cancelling::Variant;
    CHECK_THAT(Explorer(Cancelling{starts_late}).run().fault, contains("before"));
    CHECK_THAT(Explorer(Cancelling{looks_unlocked}).run().fault, contains("lost"));
    CHECK_THAT(Explorer(Cancelling{cancels_unlocked}).run().fault, contains("lost"));
}

TEST_CASE("Interleaving: the unit of work of a watch is taken back once", "[exhaustive][interleaving]")
{
    CHECK(explore(Background{}).fault == "");
    CHECK_THAT(Explorer(Background{Background::Variant::ends_in_two_steps}).run().fault, contains("twice"));
}

} // namespace khive_tests::async_test

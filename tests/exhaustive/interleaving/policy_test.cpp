// SPDX-License-Identifier: BSL-1.0
// TokenBucketState's `issued_` and `let_go_`, CircuitBreaker's `passing_`, BreakerShare's `calm_`, WorkShare's `keeps_`.
#include "exhaustive/interleaving/interleaving.hpp"

#include "support/catch.hpp"

#include <array>
#include <compare>

namespace khive_tests::policy_test {

namespace {

/// Two tokens go, one of them given back, while the last handle does.
struct Lifetime {
    enum class Variant {
        as_written,
        lets_go_before_it_gives_back,
        subtracts_in_two_steps,
    };
    static constexpr unsigned threads = 3;
    static constexpr int issued = 2;

    struct Thread {
        int at = 0;
        int read = 0;
        auto operator<=>(const Thread&) const = default;
    };
    struct State {
        int let_go = 0;
        int deleted = 0;
        bool touched_late = false;
        std::array<Thread, 3> threads;
        auto operator<=>(const State&) const = default;
    };

    Variant variant = Variant::as_written;

    Step step(State& s, unsigned thread) const
    {
        Thread& t = s.threads[thread];
        return thread == 2 ? drop_handle(s, t) : drop_token(s, t, thread == 0);
    }
    Step drop_token(State& s, Thread& t, bool gives_back) const
    {
        const bool lets_go_first = variant == Variant::lets_go_before_it_gives_back;
        switch (t.at++) {
        case 0: lets_go_first ? let_go(s) : touch(s, gives_back); break;
        case 1: lets_go_first ? touch(s, gives_back) : let_go(s); break;
        default: return t.at = 2, Step::done;
        }
        return Step::ran;
    }
    Step drop_handle(State& s, Thread& t) const
    {
        const bool two_steps = variant == Variant::subtracts_in_two_steps;
        switch (t.at++) {
        case 0: touch(s, true); break; // reads `issued_` under the lock: no token can be issued any more
        case 1:
            t.read = s.let_go;
            if (!two_steps) s.let_go -= issued;
            break;
        case 2:
            if (two_steps) s.let_go = t.read - issued;
            if (t.read == issued) ++s.deleted;
            break;
        default: return t.at = 3, Step::done;
        }
        return Step::ran;
    }
    static void let_go(State& s)
    {
        if (s.let_go++ == -1) ++s.deleted;
    }
    static void touch(State& s, bool really) { s.touched_late = s.touched_late || (really && s.deleted != 0); }

    static std::string check(const State& s)
    {
        if (s.touched_late) return "it is used after its end";
        return s.deleted > 1 ? "it is deleted twice" : "";
    }
    static std::string check_end(const State& s) { return s.deleted == 1 ? "" : "it is never deleted"; }
};

/// One thread opens the breaker, one closes it, one asks without the lock and is admitted with it.
struct Passing {
    enum class Variant {
        as_written,
        stores_after_the_lock, ///< `passing_` is stored once the lock is let go
        admits_by_the_peek,    ///< who was let through by the peek is not asked again
    };
    static constexpr unsigned threads = 3;

    struct Thread {
        int at = 0;
        bool state = true;
        auto operator<=>(const Thread&) const = default;
    };
    struct State {
        bool closed = true; ///< under the lock
        bool passing = true;
        bool admitted_wrongly = false;
        std::array<Thread, 3> threads;
        auto operator<=>(const State&) const = default;
    };

    Variant variant = Variant::as_written;

    Step step(State& s, unsigned thread) const
    {
        Thread& t = s.threads[thread];
        return thread == 2 ? call(s, t) : change(s, t, thread == 1);
    }
    Step change(State& s, Thread& t, bool closes) const
    {
        switch (t.at++) {
        case 0:
            s.closed = closes;
            if (variant != Variant::stores_after_the_lock) s.passing = closes;
            break;
        case 1:
            if (variant == Variant::stores_after_the_lock) s.passing = closes;
            break;
        default: return t.at = 2, Step::done;
        }
        return Step::ran;
    }
    Step call(State& s, Thread& t) const
    {
        switch (t.at++) {
        case 0: t.state = s.passing; break;
        case 1:
            if (!t.state) t.state = s.closed; // `refusal`, under the lock
            break;
        case 2: // `try_admit`, under the lock
            if (variant != Variant::admits_by_the_peek) t.state = t.state && s.closed;
            s.admitted_wrongly = t.state && !s.closed;
            break;
        default: return t.at = 3, Step::done;
        }
        return Step::ran;
    }
    static std::string check(const State& s) { return s.admitted_wrongly ? "a call passes an open breaker" : ""; }
    static std::string check_end(const State& s) { return s.passing == s.closed ? "" : "the peek is wrong for ever"; }
};

/// Two calls come by a share of a breaker, and a failure elsewhere opens it.
struct Sharing {
    enum class Variant {
        as_written,
        counts_by_the_peek,      ///< who was let through by the peek does not look again with the share's lock
        takes_back_without_lock, ///< reads what the share has counted, then forgets it
    };
    static constexpr unsigned threads = 3;

    struct Thread {
        int at = 0;
        bool calm = false;
        auto operator<=>(const Thread&) const = default;
    };
    struct State {
        bool core_locked = false;
        bool open = false;
        bool calm = true;
        int counted = 0; ///< by the share
        int read = 0;
        int admitted = 0; ///< in the core's books
        int passed = 0;
        bool passed_wrongly = false;
        std::array<Thread, 3> threads;
        auto operator<=>(const State&) const = default;
    };

    Variant variant = Variant::as_written;

    Step step(State& s, unsigned thread) const
    {
        Thread& t = s.threads[thread];
        return thread == 2 ? open(s, t) : call(s, t);
    }
    Step call(State& s, Thread& t) const
    {
        switch (t.at) {
        case 0: t.calm = s.calm; break;
        case 1: // `pass`, under the share's lock
            if (variant != Variant::counts_by_the_peek) t.calm = s.calm;
            if (t.calm) {
                ++s.counted;
                ++s.passed;
                s.passed_wrongly = s.passed_wrongly || (s.open && !s.core_locked);
            }
            break;
        case 2: // under the core's lock
            if (t.calm) break;
            if (s.core_locked) return Step::blocked;
            if (!s.open) {
                ++s.admitted;
                ++s.passed;
            }
            break;
        default: return Step::done;
        }
        ++t.at;
        return Step::ran;
    }
    Step open(State& s, Thread& t) const
    {
        switch (t.at++) {
        case 0: s.core_locked = true; break;
        case 1: // `take_back`, under both locks
            s.read = s.counted;
            if (variant != Variant::takes_back_without_lock) forget(s);
            break;
        case 2:
            if (variant == Variant::takes_back_without_lock) forget(s);
            break;
        case 3:
            s.admitted += s.read;
            s.open = true;
            break;
        case 4: s.core_locked = false; break;
        default: return t.at = 5, Step::done;
        }
        return Step::ran;
    }
    static void forget(State& s)
    {
        s.calm = false;
        s.counted = 0;
    }
    static std::string check(const State& s) { return s.passed_wrongly ? "a call passes an open breaker" : ""; }
    static std::string check_end(const State& s)
    {
        return s.admitted + s.counted == s.passed ? "" : "a call is in nobody's books";
    }
};

/// A share gives one slot back and another one out and back, and somebody comes who has to wait for all of them.
struct Keeping {
    enum class Variant {
        as_written,
        releases_by_the_peek, ///< looks whether slots are kept, and then keeps one
        keeps_on,             ///< goes on keeping slots once they are taken back
    };
    static constexpr unsigned threads = 3;
    static constexpr int slots = 2;

    struct Thread {
        int at = 0;
        bool keeps = false;
        auto operator<=>(const Thread&) const = default;
    };
    struct State {
        bool core_locked = false;
        int running = slots; ///< in the core's books
        int free = 1;        ///< at hand
        int in_use = 1;
        bool keeps = true;
        bool waits = false;
        bool granted = false;
        std::array<Thread, 3> threads;
        auto operator<=>(const State&) const = default;
    };

    Variant variant = Variant::as_written;

    Step step(State& s, unsigned thread) const
    {
        Thread& t = s.threads[thread];
        if (thread == 0) return release(s, t, 0);
        if (thread == 1) return t.at == 0 ? enter(s, t) : release(s, t, 1);
        return wait(s, t);
    }
    static Step enter(State& s, Thread& t)
    {
        if (s.free == 0) {
            t.at = 5; // by the core, which refuses as long as somebody waits
            return Step::ran;
        }
        --s.free;
        ++s.in_use;
        ++t.at;
        return Step::ran;
    }
    Step release(State& s, Thread& t, int from) const
    {
        switch (t.at - from) {
        case 0: // under the share's lock
            t.keeps = s.keeps;
            if (variant != Variant::releases_by_the_peek) keep(s, t);
            break;
        case 1:
            if (variant == Variant::releases_by_the_peek) keep(s, t);
            break;
        case 2: // under the core's lock
            if (t.keeps) break;
            if (s.core_locked) return Step::blocked;
            --s.in_use;
            --s.running;
            grant(s);
            break;
        default: return Step::done;
        }
        ++t.at;
        return Step::ran;
    }
    static void keep(State& s, const Thread& t)
    {
        if (!t.keeps) return;
        ++s.free;
        --s.in_use;
    }
    static void grant(State& s)
    {
        if (!s.waits || s.running == slots) return;
        ++s.running;
        ++s.in_use;
        s.waits = false;
        s.granted = true;
    }
    Step wait(State& s, Thread& t) const
    {
        switch (t.at) {
        case 0:
            if (s.core_locked) return Step::blocked;
            s.core_locked = true;
            break;
        case 1: // `take_back`, under both locks
            s.running -= s.free;
            s.free = 0;
            if (variant != Variant::keeps_on) s.keeps = false;
            break;
        case 2:
            s.waits = true;
            grant(s);
            s.core_locked = false;
            break;
        default: return Step::done;
        }
        ++t.at;
        return Step::ran;
    }
    static std::string check(const State& s) { return s.in_use > slots ? "a slot is held twice" : ""; }
    static std::string check_end(const State& s) { return s.granted ? "" : "somebody waits for ever"; }
};

} // namespace

TEST_CASE("Interleaving: a limiter is deleted once, by the last that uses it", "[exhaustive][interleaving]")
{
    CHECK(explore(Lifetime{}).fault == "");
}

TEST_CASE("Interleaving: the model of a limiter's life finds each step out of order", "[exhaustive][interleaving]")
{
    using enum Lifetime::Variant;
    CHECK_THAT(Explorer(Lifetime{lets_go_before_it_gives_back}).run().fault, contains("after its end"));
    CHECK_THAT(Explorer(Lifetime{subtracts_in_two_steps}).run().fault, contains("never deleted"));
}

TEST_CASE("Interleaving: a peek at a breaker lets nobody past an open one, and does not stay wrong", "[exhaustive][interleaving]")
{
    CHECK(explore(Passing{}).fault == "");
}

TEST_CASE("Interleaving: the model of a breaker's peek finds each step out of order", "[exhaustive][interleaving]")
{
    using enum Passing::Variant;
    CHECK_THAT(Explorer(Passing{stores_after_the_lock}).run().fault, contains("for ever"));
    CHECK_THAT(Explorer(Passing{admits_by_the_peek}).run().fault, contains("open breaker"));
}

TEST_CASE("Interleaving: a breaker takes back all that its shares have counted, and they let nobody past it",
          "[exhaustive][interleaving]")
{
    CHECK(explore(Sharing{}).fault == "");
}

TEST_CASE("Interleaving: the model of a breaker's shares finds each step out of order", "[exhaustive][interleaving]")
{
    using enum Sharing::Variant;
    CHECK_THAT(Explorer(Sharing{counts_by_the_peek}).run().fault, contains("open breaker"));
    CHECK_THAT(Explorer(Sharing{takes_back_without_lock}).run().fault, contains("nobody's books"));
}

TEST_CASE("Interleaving: who waits for a slot gets one that a share has or gives back", "[exhaustive][interleaving]")
{
    CHECK(explore(Keeping{}).fault == "");
}

TEST_CASE("Interleaving: the model of an executor's shares finds each step out of order", "[exhaustive][interleaving]")
{
    using enum Keeping::Variant;
    CHECK_THAT(Explorer(Keeping{releases_by_the_peek}).run().fault, contains("for ever"));
    CHECK_THAT(Explorer(Keeping{keeps_on}).run().fault, contains("for ever"));
}

} // namespace khive_tests::policy_test

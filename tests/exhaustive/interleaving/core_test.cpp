// SPDX-License-Identifier: BSL-1.0
// Mutex.
#include "exhaustive/interleaving/interleaving.hpp"

#include "support/catch.hpp"

#include <array>
#include <compare>

namespace khive_tests::core_test {

namespace {

/// Three threads lock and unlock it. Who waits sleeps until it is woken; a wake-up when nobody sleeps is lost.
struct Locking {
    enum class Variant {
        as_written,
        waits_as_locked,    ///< who has waited takes it as if nobody else did
        never_wakes,        ///< `unlock` forgets those who wait
        looks_then_takes,   ///< not in one access
        sleeps_without_look ///< `wait` does not look again whether the mutex is still awaited
    };
    static constexpr unsigned threads = 3;
    enum Value : int { unlocked, locked, awaited };

    struct Thread {
        int at = 0;
        bool asleep = false;
        auto operator<=>(const Thread&) const = default;
    };
    struct State {
        int value = unlocked;
        int inside = 0;
        std::array<Thread, threads> all;
        auto operator<=>(const State&) const = default;
    };

    Variant variant = Variant::as_written;

    Step step(State& s, unsigned thread) const
    {
        Thread& me = s.all[thread];
        if (me.at == 7) return Step::done;
        if (me.asleep) return Step::blocked;
        switch (me.at) {
        case 0: lock(s, me); break;
        case 1: wait_and_lock(s, me); break;
        case 2: // `wait` of the system: looks and falls asleep in one
            me.asleep = variant == Variant::sleeps_without_look || s.value == awaited;
            me.at = 1;
            break;
        case 3: // looked, and now takes
            s.value = locked;
            enter(s, me);
            break;
        case 4: // the end of what is guarded
            --s.inside;
            me.at = 5;
            break;
        case 5: unlock(s, me); break;
        default: wake(s, me);
        }
        return Step::ran;
    }
    static std::string check(const State& s) { return s.inside > 1 ? "two are inside" : ""; }
    static std::string check_end(const State& s) { return s.value == unlocked ? "" : "it stays locked"; }

private:
    static void enter(State& s, Thread& me)
    {
        ++s.inside;
        me.at = 4;
    }
    void lock(State& s, Thread& me) const
    {
        if (s.value != unlocked) {
            me.at = 1;
        } else if (variant == Variant::looks_then_takes) {
            me.at = 3;
        } else {
            s.value = locked;
            enter(s, me);
        }
    }
    void wait_and_lock(State& s, Thread& me) const
    {
        const bool free = s.value == unlocked;
        s.value = free && variant == Variant::waits_as_locked ? locked : awaited;
        if (free)
            enter(s, me);
        else
            me.at = 2;
    }
    static void end(Thread& me)
    {
        me.at = 7;
    }
    void unlock(State& s, Thread& me) const
    {
        const bool others_wait = s.value == awaited;
        s.value = unlocked;
        if (others_wait && variant != Variant::never_wakes)
            me.at = 6;
        else
            end(me);
    }
    static void wake(State& s, Thread& me)
    {
        for (Thread& other : s.all) {
            if (!other.asleep) continue;
            other.asleep = false;
            break;
        }
        end(me);
    }
};

} // namespace

TEST_CASE("Interleaving: a mutex lets one in at a time and wakes who waits", "[exhaustive][interleaving]")
{
    const auto explored = explore(Locking{});
    CHECK(explored.fault == "");
    CHECK(explored.interleavings > 10'000);
}

TEST_CASE("Interleaving: faults of a mutex are found", "[exhaustive][interleaving]")
{
    using Variant = Locking::Variant;
    const auto fault = [](Variant variant) { return Explorer<Locking>(Locking{variant}).run().fault; };
    CHECK(fault(Variant::waits_as_locked).starts_with("all that have not ended wait"));
    CHECK(fault(Variant::never_wakes).starts_with("all that have not ended wait"));
    CHECK(fault(Variant::looks_then_takes).starts_with("two are inside"));
    CHECK(fault(Variant::sleeps_without_look).starts_with("all that have not ended wait"));
}

} // namespace khive_tests::core_test

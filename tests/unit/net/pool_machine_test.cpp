// SPDX-License-Identifier: BSL-1.0
#include <khive/net/pool_machine.hpp>

#include <khive/core/random.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstdint>

namespace khive_tests::pool_machine_test {

using namespace khive;
using net::DialPlan;
using net::PoolCounts;
using net::PoolMachine;

TEST_CASE("PoolMachine: a caller that waits alone gets a dial of its own", "[net][pool]")
{
    PoolMachine machine(2, 0);
    PoolCounts origin;

    machine.joined(origin);
    CHECK(machine.plan(origin) == DialPlan::dial);

    machine.dialling(origin);
    CHECK(machine.plan(origin) == DialPlan::wait);
}

TEST_CASE("PoolMachine: a newcomer waits where it can neither have a dial of its own nor one that nobody waits for", "[net][pool]")
{
    PoolMachine machine(1, 0);
    PoolCounts origin;
    CHECK_FALSE(machine.newcomer_waits(origin));

    machine.dialling(origin);
    CHECK_FALSE(machine.newcomer_waits(origin));

    machine.joined(origin);
    CHECK(machine.newcomer_waits(origin));
}

TEST_CASE("PoolMachine: knows how many callers of all origins no dial is under way for", "[net][pool]")
{
    PoolMachine machine(10, 0);
    PoolCounts origin;
    PoolCounts other;

    machine.dialling(other); // of nobody any more: helps no caller of another origin
    machine.joined(origin);
    machine.joined(origin);
    CHECK(machine.lacking() == 2);

    machine.dialling(origin);
    CHECK(machine.lacking() == 1);

    machine.left(origin);
    machine.left(origin);
    CHECK(machine.lacking() == 0);
}

TEST_CASE("PoolMachine: the cap of an origin holds though there is room in all", "[net][pool]")
{
    PoolMachine machine(10, 1);
    PoolCounts origin;
    PoolCounts other;
    machine.dialling(origin);
    machine.dialled(origin);
    machine.leased(origin);

    machine.joined(origin);
    machine.joined(other);

    CHECK(machine.plan(origin) == DialPlan::wait);
    CHECK(machine.plan(other) == DialPlan::dial);
}

TEST_CASE("PoolMachine: with no room left an idle connection of another origin makes some", "[net][pool]")
{
    PoolMachine machine(1, 0);
    PoolCounts origin;
    PoolCounts other;
    machine.dialling(other);
    machine.joined(origin);
    CHECK(machine.plan(origin) == DialPlan::wait);

    machine.dialled(other);
    CHECK(machine.plan(origin) == DialPlan::make_room);

    machine.leased(other);
    CHECK(machine.plan(origin) == DialPlan::wait);
}

TEST_CASE("PoolMachine: an origin's own idle connections make no room for it", "[net][pool]")
{
    PoolMachine machine(1, 0);
    PoolCounts origin;
    machine.dialling(origin);
    machine.dialled(origin);
    machine.joined(origin);

    CHECK(machine.plan(origin) == DialPlan::wait);
}

TEST_CASE("PoolMachine: describes itself in one line", "[net][pool]")
{
    PoolMachine machine(5, 0);
    PoolCounts origin;
    machine.dialling(origin);
    machine.dialled(origin);
    machine.leased(origin);
    machine.dialling(origin);
    machine.joined(origin);

    CHECK(machine.describe() == "leased 1, idle 0, connecting 1, waiting 1 of 5");
}

namespace {

/// Obeys the machine's plans with random events for several origins, and keeps books of its own.
class Player {
public:
    Player(std::uint64_t seed, std::size_t max_open, std::size_t max_per_origin)
        : random_(seed), max_open_(max_open), max_per_origin_(max_per_origin), machine_(max_open, max_per_origin)
    {
    }

    void step()
    {
        PoolCounts& origin = origins_[random_.next() % origins_.size()];
        switch (random_.next() % 7) {
        case 0: machine_.joined(origin); break;
        case 1: if (origin.waiting != 0) machine_.left(origin); break;
        case 2: if (origin.connecting != 0) machine_.dialled(origin); break;
        case 3: if (origin.connecting != 0) machine_.dial_failed(origin); break;
        case 4: if (origin.idle != 0) serve(origin); break;
        case 5: if (origin.leased != 0) machine_.returned(origin); break;
        case 6: if (origin.leased != 0) machine_.lease_closed(origin); break;
        default: break;
        }
        obey(origin);
    }

    /// Does everything add up, and is everyone who could be helped?
    [[nodiscard]] bool holds() const
    {
        PoolCounts sum;
        for (const PoolCounts& origin : origins_) {
            sum.leased += origin.leased;
            sum.idle += origin.idle;
            sum.connecting += origin.connecting;
            sum.waiting += origin.waiting;
            if (max_per_origin_ != 0 && origin.open() > max_per_origin_) return false;
        }
        const PoolCounts& total = machine_.total();
        return sum.leased == total.leased && sum.idle == total.idle && sum.connecting == total.connecting &&
               sum.waiting == total.waiting && total.open() <= max_open_;
    }

private:
    void serve(PoolCounts& origin)
    {
        machine_.leased(origin);
        if (origin.waiting != 0) machine_.left(origin);
    }

    void obey(PoolCounts& origin)
    {
        for (DialPlan plan = machine_.plan(origin); plan != DialPlan::wait; plan = machine_.plan(origin)) {
            if (plan == DialPlan::make_room) evict_for(origin);
            machine_.dialling(origin);
        }
    }

    void evict_for(const PoolCounts& origin)
    {
        for (PoolCounts& other : origins_)
            if (&other != &origin && other.idle != 0) return machine_.idle_closed(other);
        FAIL("told to make room where no other origin has an idle connection");
    }

    Random random_;
    std::size_t max_open_;
    std::size_t max_per_origin_;
    PoolMachine machine_;
    std::array<PoolCounts, 3> origins_;
};

} // namespace

TEST_CASE("PoolMachine: whatever happens, the caps hold and the counts add up", "[net][pool][property]")
{
    for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
        Player player(seed, 1 + seed % 6, std::min<std::size_t>(seed % 4, 1 + seed % 6));
        bool holds = true;
        for (int i = 0; i < 60 && holds; ++i) {
            player.step();
            holds = player.holds();
        }
        INFO("seed " << seed);
        REQUIRE(holds);
    }
}

} // namespace khive_tests::pool_machine_test

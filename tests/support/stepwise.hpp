// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <cstddef>
#include <memory>

// A test at every suspension point: the same call begun afresh again and again, and interrupted after one step more each time.
namespace khive_tests {

/// More steps than any call here takes.
inline constexpr std::size_t too_many_steps = 20'000;

/// Takes steps until `done()`; false if nothing is left that could happen, or if there is no end to it.
template <class Done>
bool step_until(khive::testing::VirtualTime& time, Done done)
{
    for (std::size_t steps = 0; !done(); ++steps)
        if (steps == too_many_steps || !step(time)) return false;
    return true;
}

/// For k = 0, 1, 2, ...: a new world by `make()`, whose call begins by `world->begin()` and takes k steps; `interrupt(*world)`;
/// then `world->finish()`, which checks what must hold. Until the call ends by itself before it is interrupted.
///
/// A step is one handler of the context or one jump of its time, so no two states of the call lie between two of them. Returns
/// how many interruptions that were.
template <class Make, class Interrupt>
std::size_t interrupt_after_every_step(Make make, Interrupt interrupt)
{
    for (std::size_t k = 0;; ++k) {
        INFO("interrupted after " << k << " steps");
        const auto world = make();
        world->begin();
        std::size_t taken = 0;
        while (taken < k && !world->done() && step(world->time())) ++taken;
        if (world->done()) return k;
        REQUIRE(taken == k); // else it hangs by itself
        interrupt(*world);
        world->finish();
    }
}

} // namespace khive_tests

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "exhaustive/allocation/failing_memory.hpp"
#include "support/catch.hpp"
#include "support/tally.hpp"

#include <khive/core/exceptions.hpp>

#include <boost/asio/awaitable.hpp>

#include <cstdint>
#include <exception>
#include <new>
#include <string>
#include <utility>

// A test at every allocation: the same operation begun afresh again and again, and one allocation later fails each time.
namespace khive_tests {

inline Tally failures{"allocations failed"};
inline Tally excused{"allocations let through that other libraries cannot do without"};

/// How an operation ended.
struct Ending {
    bool done = false;
    std::string how; ///< "value", the kind of its error, "bad_alloc", or something that must not be
    std::string value;
};

/// Runs what `make()` makes with the memory as planned, until it has ended. A template parameter and no closure, which would have
/// to outlive the coroutine.
template <class World>
boost::asio::awaitable<void> starving(World* world, boost::asio::awaitable<std::string> (*make)(World&), memory::Plan plan,
                                      Ending* ending)
{
    memory::arm(plan);
    try {
        auto operation = make(*world);
        ending->value = co_await std::move(operation);
        memory::disarm();
        ending->how = "value";
    } catch (const khive::APIClientError& error) {
        memory::disarm();
        ending->how = to_string(error.error().kind());
    } catch (const std::bad_alloc&) {
        memory::disarm();
        ending->how = "bad_alloc";
    } catch (const std::exception& error) {
        memory::disarm();
        ending->how = std::string("exception: ") + error.what();
    }
    ending->done = true;
}

/// For n = 1, 2, 3, ...: `run(plan)` in a world of its own, in which the n-th allocation fails, or all from the n-th on; until
/// there is none to fail. How many there were.
template <class Run>
std::uint64_t fail_every_allocation(bool later_too, Run run)
{
    for (std::uint64_t n = 1;; ++n) {
        INFO("allocation " << n << (later_too ? " and all later ones fail" : " fails"));
        run(memory::Plan{.first = n, .later_too = later_too});
        failures.add(memory::failed());
        excused.add(memory::excused());
        if (memory::failed() + memory::excused() == 0) return n - 1;
        REQUIRE(n < 5000);
    }
}

} // namespace khive_tests

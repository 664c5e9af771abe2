// SPDX-License-Identifier: BSL-1.0
// An executor without a way that does not wait is told so.
// expect: HandsOutSlots
#include <khive/policy/concepts.hpp>

using namespace khive;

struct Slow {
    struct Slot {
        Slot(Slot&&) = default;
        Slot& operator=(Slot&&) = default;
    };
    asio::awaitable<Result<Slot>> enter(async::WaitRequest);
};
static_assert(ExecutorPolicy<Slow>);

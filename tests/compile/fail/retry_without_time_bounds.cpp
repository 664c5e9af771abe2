// SPDX-License-Identifier: BSL-1.0
// A retry policy says how long an attempt and a call may take.
// expect: BoundsTime
#include <khive/policy/concepts.hpp>

using namespace khive;

struct Tireless {
    struct Schedule {
        RetryDecision next(const Outcome&, unsigned, TimePoint, TimePoint);
    };
    Schedule begin() const;
};
static_assert(RetryPolicy<Tireless>);

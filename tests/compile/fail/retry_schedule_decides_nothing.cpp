// SPDX-License-Identifier: BSL-1.0
// A retry policy whose schedule decides nothing is told so.
// expect: DecidesRetries
#include <khive/policy/concepts.hpp>

using namespace khive;

struct Undecided {
    struct Schedule {};
    Schedule begin() const;
    Duration attempt_timeout() const;
    Duration total_timeout() const;
};
static_assert(RetryPolicy<Undecided>);

// SPDX-License-Identifier: BSL-1.0
// A circuit breaker whose tickets cannot be told the outcome learns nothing.
// expect: RecordsOutcomes
#include <khive/policy/concepts.hpp>

using namespace khive;

struct Deaf {
    struct Ticket {
        Ticket(Ticket&&) = default;
        Ticket& operator=(Ticket&&) = default;
    };
    std::optional<Error> refusal(TimePoint);
    Result<Ticket> try_admit(TimePoint);
};
static_assert(CircuitBreakerPolicy<Deaf>);

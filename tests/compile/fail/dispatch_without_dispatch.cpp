// SPDX-License-Identifier: BSL-1.0
// A dispatch policy that cannot wait is told which verb is missing.
// expect: WaitsForDispatch
#include <khive/policy/concepts.hpp>

using namespace khive;

struct Impatient {
    struct Grant {
        Grant(Grant&&) = default;
        Grant& operator=(Grant&&) = default;
        void spend() noexcept {}
    };
    std::optional<Grant> try_dispatch(double, TimePoint);
    std::optional<Error> check_cost(double);
};
static_assert(DispatchPolicy<Impatient>);

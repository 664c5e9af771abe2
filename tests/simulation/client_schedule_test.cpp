// SPDX-License-Identifier: BSL-1.0
// Random schedules against the whole client: calls, cancellations, faults, outages and closing, and what must hold after each
// step. More of them: tests/simulation/run.sh.
#include "simulation/client_schedule.hpp"

#include "support/catch.hpp"

#include <cstdlib>
#include <string>

namespace khive_tests::client_schedule_test {

namespace {

void try_seeds(unsigned first, unsigned count)
{
    std::size_t answered = 0;
    for (unsigned seed = first; seed < first + count; ++seed) {
        const std::string wrong = try_seed(seed, answered);
        REQUIRE(wrong == "");
    }
    CHECK(answered > count); // the schedules are not all failures
}

unsigned number_from(const char* variable, unsigned otherwise)
{
    const char* const text = std::getenv(variable);
    return text != nullptr ? static_cast<unsigned>(std::stoul(text)) : otherwise;
}

} // namespace

TEMPLATE_TEST_CASE_SIG("AsyncAPIClient: invariants hold on random schedules", "[client][simulation]",
                       ((unsigned First), First), 0U, 100U, 200U, 300U, 400U, 500U, 600U, 700U, 800U, 900U)
{
    try_seeds(First, 100);
}

TEST_CASE("AsyncAPIClient: invariants hold on the schedules that are asked for", "[.][client][many]")
{
    try_seeds(number_from("KHIVE_FIRST_SEED", 0), number_from("KHIVE_SEEDS", 1'000));
}

} // namespace khive_tests::client_schedule_test

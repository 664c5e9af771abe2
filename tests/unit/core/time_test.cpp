// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/core/time.hpp>

#include <limits>

namespace khive_tests::time_test {

using namespace khive;
using namespace std::chrono_literals;

TEST_CASE("saturating_add: stops at the ends of time", "[core][time]")
{
    const TimePoint now{100s};

    CHECK(saturating_add(now, 5s) == TimePoint{105s});
    CHECK(saturating_add(now, -5s) == TimePoint{95s});
    CHECK(saturating_add(now, unlimited) == no_deadline);
    CHECK(saturating_add(no_deadline, 1s) == no_deadline);
    CHECK(saturating_add(no_deadline, 0s) == no_deadline);
    CHECK(saturating_add(TimePoint{-100s}, Duration::min()) == TimePoint::min());
}

TEST_CASE("time_left: is never negative", "[core][time]")
{
    const TimePoint now{100s};

    CHECK(time_left(TimePoint{103s}, now) == 3s);
    CHECK(time_left(now, now) == 0s);
    CHECK(time_left(TimePoint{99s}, now) == 0s);
    CHECK(time_left(no_deadline, now) == unlimited);
}

TEST_CASE("from_seconds: rounds up and survives every number", "[core][time]")
{
    CHECK(from_seconds(1.5) == 1500ms);
    CHECK(from_seconds(1e-12) == Duration{1});
    CHECK(from_seconds(0) == 0s);
    CHECK(from_seconds(-1) == 0s);
    CHECK(from_seconds(std::numeric_limits<double>::quiet_NaN()) == 0s);
    CHECK(from_seconds(-std::numeric_limits<double>::infinity()) == 0s);
    CHECK(from_seconds(std::numeric_limits<double>::infinity()) == unlimited);
    CHECK(from_seconds(1e300) == unlimited);
    CHECK(from_seconds(9.3e9) == unlimited);
}

TEST_CASE("to_seconds: is the inverse", "[core][time]")
{
    CHECK(to_seconds(1500ms) == Approx(1.5));
    CHECK(to_seconds(-2s) == Approx(-2));
}

} // namespace khive_tests::time_test

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/core/random.hpp>

#include <algorithm>
#include <set>
#include <thread>
#include <vector>

namespace khive_tests::random_test {

using khive::Random;

TEST_CASE("Random: the same seed gives the same numbers", "[core][random]")
{
    Random a{42};
    Random b{42};
    Random c{43};
    bool differs = false;
    for (int i = 0; i < 100; ++i) {
        const auto number = a.next();
        CHECK(number == b.next());
        differs = differs || number != c.next();
    }

    CHECK(differs);
}

TEST_CASE("Random: follows the published sequence of SplitMix64", "[core][random]")
{
    Random random{1234567};

    CHECK(random.next() == 6457827717110365317u);
    CHECK(random.next() == 3203168211198807973u);
    CHECK(random.next() == 9817491932198370423u);
}

TEST_CASE("Random: uniform covers [0, 1) evenly", "[core][random]")
{
    Random random{7};
    std::vector<int> tenths(10);
    for (int i = 0; i < 100'000; ++i) {
        const double number = random.uniform();
        REQUIRE(number >= 0);
        REQUIRE(number < 1);
        ++tenths[static_cast<std::size_t>(number * 10)];
    }

    CHECK(*std::min_element(tenths.begin(), tenths.end()) > 9'500);
    CHECK(*std::max_element(tenths.begin(), tenths.end()) < 10'500);
}

TEST_CASE("Random: a copy goes on from the same place", "[core][random]")
{
    Random random{7};
    (void)random.next();
    Random copy = random;

    CHECK(copy.next() == random.next());
}

TEST_CASE("Random: threads never draw the same number", "[core][random][threads]")
{
    Random random{7};
    std::vector<std::uint64_t> mine(10'000);
    std::vector<std::uint64_t> others(10'000);
    {
        std::jthread other([&] { std::generate(others.begin(), others.end(), [&] { return random.next(); }); });
        std::generate(mine.begin(), mine.end(), [&] { return random.next(); });
    }

    std::set<std::uint64_t> all(mine.begin(), mine.end());
    all.insert(others.begin(), others.end());
    CHECK(all.size() == 20'000);
}

} // namespace khive_tests::random_test

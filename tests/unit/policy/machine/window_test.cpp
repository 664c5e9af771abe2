// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/machine/window.hpp>

#include <khive/core/random.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <deque>
#include <utility>

namespace khive_tests::window_test {

using namespace std::chrono_literals;
using khive::Duration;
using khive::TimePoint;
using khive::machine::Window;

namespace {

constexpr TimePoint start = TimePoint{} + 1h;

std::pair<std::uint64_t, std::uint64_t> counts(Window& window, TimePoint now)
{
    const auto [calls, failures] = window.counts(now);
    return {calls, failures};
}

using Pair = std::pair<std::uint64_t, std::uint64_t>;

} // namespace

TEST_CASE("Window: of calls holds the last N calls whatever their age", "[machine][window]")
{
    auto window = Window::of_calls(3);

    for (const bool failure : {true, true, false, false}) window.record(failure, start);

    CHECK(counts(window, start + 24h) == Pair{3, 1});
}

TEST_CASE("Window: of time forgets calls that are older than its length", "[machine][window]")
{
    auto window = Window::of_time(10s);

    window.record(true, start);
    window.record(false, start + 5s);

    CHECK(counts(window, start + 8s) == Pair{2, 1});
    CHECK(counts(window, start + 12s) == Pair{1, 0});
    CHECK(counts(window, start + 16s) == Pair{0, 0});
}

TEST_CASE("Window: of time is empty after any pause longer than itself", "[machine][window]")
{
    auto window = Window::of_time(10s);
    for (int i = 0; i < 100; ++i) window.record(true, start + i * 100ms);

    const auto pause = GENERATE(Duration{11s}, Duration{1h}, Duration{24h * 365});

    CHECK(counts(window, start + 10s + pause) == Pair{0, 0});
}

TEST_CASE("Window: a step back in time is ignored", "[machine][window]")
{
    auto window = Window::of_time(10s);
    window.record(true, start + 5s);

    window.record(true, start);

    CHECK(counts(window, start - 1h) == Pair{2, 2});
    CHECK(counts(window, start + 6s) == Pair{2, 2});
}

TEST_CASE("Window: clear forgets everything", "[machine][window]")
{
    auto window = GENERATE(Window::of_time(10s), Window::of_calls(5), Window::none());
    window.record(true, start);

    window.clear();

    CHECK(counts(window, start) == Pair{0, 0});
}

TEST_CASE("Window: none never holds a call", "[machine][window]")
{
    auto window = Window::none();

    window.record(true, start);

    CHECK(counts(window, start) == Pair{0, 0});
}

TEST_CASE("Window: lengths shorter than its slices work", "[machine][window]")
{
    auto window = Window::of_time(Duration{1});

    window.record(true, start);

    CHECK(counts(window, start) == Pair{1, 1});
    CHECK(counts(window, start + 1us) == Pair{0, 0});
}

TEST_CASE("Window: of calls agrees with a list over random schedules", "[machine][window][property]")
{
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        khive::Random random{seed};
        const std::size_t size = 1 + random.next() % 40;
        auto window = Window::of_calls(size);
        std::deque<bool> list;
        for (int i = 0; i < 200; ++i) {
            const bool failure = random.uniform() < 0.4;
            window.record(failure, start);
            list.push_back(failure);
            if (list.size() > size) list.pop_front();
            const auto failures = static_cast<std::uint64_t>(std::count(list.begin(), list.end(), true));
            if (counts(window, start) != Pair{list.size(), failures}) FAIL("seed " << seed << " step " << i);
        }
    }
    SUCCEED();
}

TEST_CASE("Window: of time holds all of the last nine tenths and nothing older than its length",
          "[machine][window][property]")
{
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        khive::Random random{seed};
        auto window = Window::of_time(10s);
        std::deque<TimePoint> list;
        TimePoint now = start;
        const auto younger = [&](Duration age) {
            return static_cast<std::uint64_t>(
                std::count_if(list.begin(), list.end(), [&](TimePoint at) { return now - at <= age; }));
        };
        for (int i = 0; i < 200; ++i) {
            now += khive::from_seconds(random.uniform() * random.uniform() * 3);
            window.record(true, now);
            list.push_back(now);
            const auto held = window.counts(now).calls;
            if (held < younger(8999ms) || held > younger(10001ms)) FAIL("seed " << seed << " step " << i);
        }
    }
    SUCCEED();
}

} // namespace khive_tests::window_test

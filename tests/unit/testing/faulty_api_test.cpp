// SPDX-License-Identifier: BSL-1.0
#include <khive/testing/faulty_api.hpp>

#include "support/catch.hpp"

#include <stdexcept>

namespace khive_tests::faulty_api_test {

using namespace khive;
using namespace khive::testing;
using namespace std::chrono_literals;

namespace {

ReceivedRequest at(Duration time)
{
    ReceivedRequest request;
    request.method = "GET";
    request.target = "/\"x\"";
    request.time = TimePoint{} + 1h + time;
    return request;
}

/// The statuses of `count` requests, one each `interval`; 0 is a reset.
std::vector<unsigned> statuses(const FaultyAPI& api, int count, Duration interval)
{
    std::vector<unsigned> all;
    for (int i = 0; i < count; ++i) all.push_back(api(at(i * interval)).status());
    return all;
}

} // namespace

TEST_CASE("FaultyAPI: without options it describes the request", "[testing]")
{
    const FaultyAPI api{FaultyAPIOptions{}};

    CHECK_THAT(api(at(0s)).bytes(), khive_tests::contains(R"({"method":"GET","target":"/\"x\"","body_size":0})"));
    CHECK(api.counts().answered == 1);
}

TEST_CASE("FaultyAPI: allows its burst, then its rate, and says when to come again", "[testing]")
{
    const FaultyAPI api{{.quota = 2, .quota_burst = 3}};

    CHECK(statuses(api, 4, 0s) == std::vector<unsigned>{200, 200, 200, 429});
    CHECK_THAT(api(at(0s)).bytes(), khive_tests::contains("Retry-After: 1\r\n"));
    CHECK(api(at(499ms)).status() == 429);
    CHECK(api(at(500ms)).status() == 200);
    CHECK(api(at(501ms)).status() == 429);
    CHECK(statuses(FaultyAPI{{.quota = 2, .quota_burst = 1}}, 4, 500ms) == std::vector<unsigned>{200, 200, 200, 200});
    CHECK(api.counts().throttled == 4);
}

TEST_CASE("FaultyAPI: allows its burst on a machine that has just started, whose clock begins at zero", "[testing]")
{
    const FaultyAPI api{{.quota = 0.001, .quota_burst = 2}};

    CHECK(api(at(-59min)).status() == 200);
    CHECK(api(at(-59min)).status() == 200);
    CHECK(api(at(-59min)).status() == 429);
}

TEST_CASE("FaultyAPI: errors come in bursts", "[testing]")
{
    const FaultyAPI api{{.error_ratio = 0.2, .error_burst = 3}};

    const auto all = statuses(api, 200, 1s);

    CHECK(api.counts().failed + api.counts().answered == 200);
    CHECK(api.counts().failed > 0);
    const auto first = std::find(all.begin(), all.end(), 503u);
    REQUIRE(all.end() - first >= 3);
    CHECK(std::all_of(first, first + 3, [](unsigned status) { return status == 503; }));
}

TEST_CASE("FaultyAPI: a seed repeats its decisions", "[testing]")
{
    const auto run = [](std::uint64_t seed) {
        return statuses(FaultyAPI{{.error_ratio = 0.3, .reset_ratio = 0.3, .seed = seed}}, 100, 1s);
    };
    CHECK(run(1) == run(1));
    CHECK(run(1) != run(2));
}

TEST_CASE("FaultyAPI: answers take a time within the bounds", "[testing]")
{
    const FaultyAPI api{{.min_latency = 10ms, .max_latency = 20ms}};

    for (int i = 0; i < 100; ++i) {
        const auto actions = api(at(0s)).actions();
        REQUIRE(actions.front().kind == PeerAction::Kind::pause);
        CHECK(actions.front().pause >= 10ms);
        CHECK(actions.front().pause <= 20ms);
    }
}

TEST_CASE("FaultyAPI: copies share their state", "[testing]")
{
    const FaultyAPI api{{.reset_ratio = 1}};
    const FaultyAPI copy = api;

    CHECK(copy(at(0s)).status() == 0);
    CHECK(api.counts().reset == 1);
}

TEST_CASE("FaultyAPI: refuses options out of range", "[testing]")
{
    CHECK_THROWS_AS(FaultyAPI{{.error_ratio = 1.5}}, std::invalid_argument);
    CHECK_THROWS_AS(FaultyAPI{{.quota = -1}}, std::invalid_argument);
    CHECK_THROWS_AS((FaultyAPI{{.quota = 1, .quota_burst = 0}}), std::invalid_argument);
    CHECK_THROWS_AS(FaultyAPI{{.reset_ratio = std::numeric_limits<double>::quiet_NaN()}}, std::invalid_argument);
}

} // namespace khive_tests::faulty_api_test

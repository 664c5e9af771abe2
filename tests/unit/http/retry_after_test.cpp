// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/http/retry_after.hpp>

#include <vector>

namespace khive_tests::retry_after_test {

using namespace khive;
using namespace std::chrono_literals;
using std::chrono::sys_days;
using std::chrono::system_clock;

namespace {

// Fri, 01 Jan 2027 00:00:10 GMT
const system_clock::time_point now = sys_days{std::chrono::year{2027} / 1 / 1} + 10s;

using Fields = std::vector<std::pair<std::string, std::string>>;

std::optional<Duration> delay(const Fields& fields, system_clock::time_point wall_now = now)
{
    Headers headers;
    for (const auto& [name, value] : fields) headers.add(name, value);
    return http::retry_after(headers, wall_now);
}

} // namespace

TEST_CASE("retry_after: finds the header whatever its case", "[http][retry_after][CL-1]")
{
    const auto name = GENERATE(as<std::string>{}, "Retry-After", "retry-after", "RETRY-AFTER");

    CHECK(delay({{name, "7"}}) == 7s);
}

TEST_CASE("retry_after: seconds, with or without a fraction", "[http][retry_after][CL-1]")
{
    const auto [value, expected] = GENERATE(table<std::string, Duration>({
        {"0", 0s},
        {"1", 1s},
        {"120", 120s},
        {"007", 7s},
        {"1.5", 1500ms},
        {"0.001", 1ms},
        {"999999999", 999999999s},
        {" 3 ", 3s},
        {"0.000000001", Duration{1}},
        {"2.0", 2s},
    }));

    CHECK(delay({{"Retry-After", value}}) == expected);
}

TEST_CASE("retry_after: what is no plain number or date is nothing", "[http][retry_after][CL-1][hostile]")
{
    const auto value = GENERATE(as<std::string>{}, "", "-1", "+1", "-0", "nan", "NaN", "inf", "Infinity", "-inf", "1e3",
                                "0x10", "1,000", "1 000", "1s", "1.", ".5", "1.5.5", "1234567890", "99999999999999999999",
                                "1.1234567890", "soon", "\xd9\xa3", "1;2", "5, 6", "\"5\"");

    CHECK_FALSE(delay({{"Retry-After", value}}));
    CHECK_FALSE(delay({{"retry-after-ms", value}}));
}

TEST_CASE("retry_after: milliseconds come first", "[http][retry_after]")
{
    CHECK(delay({{"Retry-After", "9"}, {"Retry-After-Ms", "250"}}) == 250ms);
    CHECK(delay({{"retry-after-ms", "0.5"}}) == 500us);
    CHECK(delay({{"retry-after-ms", "soon"}, {"Retry-After", "9"}}) == 9s);
}

TEST_CASE("retry_after: the first valid one of several wins", "[http][retry_after]")
{
    CHECK(delay({{"Retry-After", "x"}, {"Retry-After", "-4"}, {"Retry-After", "5"}, {"Retry-After", "6"}}) == 5s);
}

TEST_CASE("retry_after: reads the three forms of a date", "[http][retry_after][CL-1]")
{
    const auto date = GENERATE(as<std::string>{}, "Fri, 01 Jan 2027 00:01:40 GMT", "Friday, 01-Jan-27 00:01:40 GMT",
                               "Fri Jan  1 00:01:40 2027");

    CHECK(delay({{"Retry-After", date}}) == 90s);
}

TEST_CASE("retry_after: a date counts from the answer's own Date", "[http][retry_after]")
{
    const Fields fields{{"Retry-After", "Fri, 01 Jan 2027 00:01:40 GMT"}, {"Date", "Fri, 01 Jan 2027 00:01:10 GMT"}};

    CHECK(delay(fields) == 30s);
    CHECK(delay(fields, now - 24h) == 30s);
    CHECK(delay({fields[0], {"Date", "yesterday"}}) == 90s);
    CHECK(delay({fields[0], {"Date", "Thu, 31 Dec 9999 23:59:59 GMT"}}) == 90s);
}

TEST_CASE("retry_after: a date that has passed says nothing", "[http][retry_after][CL-1]")
{
    CHECK_FALSE(delay({{"Retry-After", "Thu, 31 Dec 2026 23:59:59 GMT"}}));
    CHECK_FALSE(delay({{"Retry-After", "Fri, 01 Jan 2027 00:00:10 GMT"}}));
    CHECK_FALSE(delay({{"Retry-After", "Thu, 01 Jan 1970 00:00:00 GMT"}}));
    CHECK_FALSE(delay({{"Retry-After", "Mon, 01 Jan 0001 00:00:00 GMT"}}));
}

TEST_CASE("retry_after: a wait is never cut short by rounding", "[http][retry_after]")
{
    CHECK(delay({{"Retry-After", "Fri, 01 Jan 2027 00:00:12 GMT"}}, now + 500ms) == 1500ms);
}

TEST_CASE("retry_after: a date at the end of time does not overflow", "[http][retry_after][hostile]")
{
    CHECK(delay({{"Retry-After", "Thu, 31 Dec 9999 23:59:59 GMT"}}) == unlimited);
}

TEST_CASE("retry_after: no header, no wish", "[http][retry_after]")
{
    CHECK_FALSE(delay({}));
    CHECK_FALSE(delay({{"X-Retry-After", "5"}}));
}

} // namespace khive_tests::retry_after_test

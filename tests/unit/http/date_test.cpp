// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/http/date.hpp>

namespace khive_tests::date_test {

using namespace khive;
using namespace std::chrono;

namespace {

const system_clock::time_point now = sys_days{2026y / November / 24};

std::optional<sys_seconds> parsed(std::string_view text)
{
    return http::parse_http_date(text, now);
}

} // namespace

TEST_CASE("parse_http_date: reads the three forms of one instant", "[http][date]")
{
    const auto text = GENERATE(as<std::string>{}, "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                               "Sun Nov  6 08:49:37 1994", "Sun Nov 06 08:49:37 1994");

    CHECK(parsed(text) == sys_seconds{784111777s});
}

TEST_CASE("parse_http_date: every month, both ends of time and leap days", "[http][date]")
{
    const auto [text, expected] = GENERATE(table<std::string, sys_seconds>({
        {"Thu, 01 Jan 1970 00:00:00 GMT", sys_seconds{0s}},
        {"Thu, 31 Dec 9999 23:59:59 GMT", sys_days{9999y / December / 31} + 86399s},
        {"Thu, 29 Feb 2024 12:00:00 GMT", sys_days{2024y / February / 29} + 12h},
        {"Sat, 31 Dec 2016 23:59:60 GMT", sys_days{2017y / January / 1}},
        {"Mon, 15 Mar 2027 00:00:00 GMT", sys_days{2027y / March / 15}},
        {"Mon, 15 Apr 2027 00:00:00 GMT", sys_days{2027y / April / 15}},
        {"Mon, 15 May 2027 00:00:00 GMT", sys_days{2027y / May / 15}},
        {"Mon, 15 Jun 2027 00:00:00 GMT", sys_days{2027y / June / 15}},
        {"Mon, 15 Jul 2027 00:00:00 GMT", sys_days{2027y / July / 15}},
        {"Mon, 15 Aug 2027 00:00:00 GMT", sys_days{2027y / August / 15}},
        {"Mon, 15 Sep 2027 00:00:00 GMT", sys_days{2027y / September / 15}},
        {"Mon, 15 Oct 2027 00:00:00 GMT", sys_days{2027y / October / 15}},
    }));

    CHECK(parsed(text) == expected);
}

TEST_CASE("parse_http_date: two digits of a year mean the nearest past beyond 50 years ahead", "[http][date]")
{
    CHECK(parsed("Sunday, 06-Nov-26 00:00:00 GMT") == sys_days{2026y / November / 6});
    CHECK(parsed("Sunday, 06-Nov-76 00:00:00 GMT") == sys_days{2076y / November / 6});
    CHECK(parsed("Sunday, 06-Nov-77 00:00:00 GMT") == sys_days{1977y / November / 6});
    CHECK(parsed("Sunday, 06-Nov-99 00:00:00 GMT") == sys_days{1999y / November / 6});
}

TEST_CASE("parse_http_date: takes nothing else", "[http][date][hostile]")
{
    using namespace std::string_literals;
    const auto text =
        GENERATE(as<std::string>{}, "", " ", "0", "now", "Sun", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
                 "Sun, 06 Nov 1994 08:49:37 GMT ", " Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 GMT+1",
                 "Son, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
                 "Sun, 31 Nov 1994 08:49:37 GMT", "Fri, 29 Feb 2023 08:49:37 GMT", "Sun, 06 Nov 1994 24:00:00 GMT",
                 "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
                 "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06 Nov 19940 08:49:37 GMT", "Sun, -6 Nov 1994 08:49:37 GMT",
                 "Sun, 06-Nov-94 08:49:37 GMT", "Sunday, 06 Nov 1994 08:49:37 GMT", "Sun Nov 6 08:49:37 1994",
                 "Sun Nov   6 08:49:37 1994", "Sun Nov  6 08:49:37 1994 GMT", "sun, 06 nov 1994 08:49:37 gmt",
                 "Sun, 06 Nov 1994 08:49:37\0GMT"s, "1994-11-06T08:49:37Z", "Sun, 0\xd9\xa6 Nov 1994 08:49:37 GMT");

    CHECK_FALSE(parsed(text));
}

TEST_CASE("parse_http_date: no beginning of a date is one", "[http][date]")
{
    const auto text = GENERATE(as<std::string>{}, "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
                               "Sun Nov  6 08:49:37 1994");

    for (std::size_t size = 0; size < text.size(); ++size) CHECK_FALSE(parsed(std::string_view{text}.substr(0, size)));
}

} // namespace khive_tests::date_test

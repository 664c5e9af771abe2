// SPDX-License-Identifier: BSL-1.0
// Delays and dates are in range, read as they are written, and found in the order that is promised.
//
// Input: four bytes for the clock, then the texts retry-after-ms, Retry-After and Date.
#include "fuzz/fuzz.hpp"

#include <khive/http/date.hpp>
#include <khive/http/retry_after.hpp>

#include <array>
#include <chrono>
#include <optional>

using namespace khive_fuzz;
using namespace std::chrono_literals;

namespace http = khive::http;

namespace {

using WallTime = std::chrono::system_clock::time_point;

/// Between the years 1970 and 2242, with a fraction of a second.
WallTime choose_now(Input& in)
{
    const auto seconds = (in.byte() << 24 | in.byte() << 16 | in.byte() << 8 | in.byte()) * 2LL;
    return WallTime{std::chrono::seconds{seconds} + std::chrono::milliseconds{seconds % 1000}};
}

std::string written(const char* form, std::chrono::sys_seconds date)
{
    constexpr std::array months{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto day = std::chrono::floor<std::chrono::days>(date);
    const std::chrono::year_month_day ymd{day};
    const std::chrono::hh_mm_ss time{date - day};
    const auto* month = months.at(unsigned{ymd.month()} - 1);
    const auto day_of_month = unsigned{ymd.day()};
    std::array<char, 64> text{};
    const bool asctime = form[0] == 'a';
    if (asctime)
        std::snprintf(text.data(), text.size(), "Mon %s %2u %02d:%02d:%02d %04d", month, day_of_month,
                      static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                      static_cast<int>(time.seconds().count()), int{ymd.year()});
    else
        std::snprintf(text.data(), text.size(), "Mon, %02u %s %04d %02d:%02d:%02d GMT", day_of_month, month, int{ymd.year()},
                      static_cast<int>(time.hours().count()), static_cast<int>(time.minutes().count()),
                      static_cast<int>(time.seconds().count()));
    return text.data();
}

void check_date(std::string_view text, WallTime now)
{
    const auto date = http::parse_http_date(text, now);
    if (!date) return;
    require(text.size() >= 24 && text.size() <= 33, "what has another length than a date is one", text);
    const auto year = int{std::chrono::year_month_day{std::chrono::floor<std::chrono::days>(*date)}.year()};
    const auto this_year = int{std::chrono::year_month_day{std::chrono::floor<std::chrono::days>(now)}.year()};
    const bool two_digits = text.find('-') != std::string_view::npos;
    require(!two_digits || (year <= this_year + 51 && year >= this_year - 101), "a short year is far away", text);
    require(year >= 0 && year <= 10'000, "the year has more than four digits", text);
    if (year == 10'000) return; // a leap second at the end of 9999
    for (const auto* form : {"asctime", "imf"})
        require(http::parse_http_date(written(form, *date), now) == date, "a date that is written reads as another", text);
}

bool is_digits(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

std::int64_t number_of(std::string_view digits)
{
    std::int64_t number = 0;
    for (const char c : digits) number = number * 10 + (c - '0');
    return number;
}

/// A text as a field value may have it.
std::string_view value_of(std::string_view text)
{
    return khive::is_field_value(text) ? khive::trim(text) : std::string_view{};
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    Input in(data, size);
    const auto now = choose_now(in);
    const auto ms = value_of(in.text());
    const auto after = value_of(in.text());
    const auto date = value_of(in.text());
    for (const auto text : {ms, after, date}) check_date(text, now);

    khive::Headers headers;
    headers.add("Date", date).add("Retry-After", after).add("retry-after-ms", ms);
    const auto delay = http::retry_after(headers, now);
    if (is_digits(ms) && ms.size() <= 9)
        require(delay == std::chrono::milliseconds{number_of(ms)}, "milliseconds do not go first or mean something else",
                ms);
    if (!delay) return require(!is_digits(after) || after.size() > 9, "seconds are not understood", after), 0;
    require(*delay >= 0s, "a delay is negative", after);
    require(*delay <= 1'000'000'000s || http::parse_http_date(after, now), "a delay is longer than nine digits can say",
            after);

    headers.erase("retry-after-ms");
    const auto without = http::retry_after(headers, now);
    const bool from_ms = !ms.empty() && without != delay;
    require(!from_ms || ms.find_first_not_of("0123456789.") == std::string_view::npos, "no number gives a delay", ms);
    if (is_digits(after) && after.size() <= 9)
        require(without == std::chrono::seconds{number_of(after)}, "seconds mean something else", after);
    else if (const auto until = http::parse_http_date(after, now); until && without) {
        const auto answered = http::parse_http_date(date, now);
        require(*without > 0s, "a date that has passed gives a delay", after);
        if (answered && answered->time_since_epoch() >= 0s && *until - *answered < 24h * 365 * 100 &&
            answered->time_since_epoch() < 24h * 365 * 200)
            require(*without == *until - *answered, "a date does not count from that of the answer", after);
    }
    return 0;
}

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/http/date.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>

namespace khive::inline KHIVE_ABI::http {
namespace detail {

inline constexpr std::string_view month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
inline constexpr std::string_view day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                                 "Thursday", "Friday", "Saturday"};

/// Reads a date from left to right; after the first thing that is not as expected every answer is meaningless.
class DateReader {
public:
    explicit DateReader(std::string_view text) noexcept : rest_(text) {}

    [[nodiscard]] bool at_end() const noexcept { return good_ && rest_.empty(); }

    void literal(std::string_view expected) noexcept
    {
        good_ = good_ && rest_.starts_with(expected);
        if (good_) rest_.remove_prefix(expected.size());
    }

    [[nodiscard]] int digits(std::size_t count) noexcept
    {
        int value = 0;
        for (; count != 0; --count) {
            good_ = good_ && !rest_.empty() && rest_[0] >= '0' && rest_[0] <= '9';
            if (!good_) return 0;
            value = value * 10 + (rest_[0] - '0');
            rest_.remove_prefix(1);
        }
        return value;
    }

    /// The day of asctime: a space stands for a leading zero.
    [[nodiscard]] int padded_day() noexcept
    {
        const bool padded = rest_.starts_with(' ');
        if (padded) rest_.remove_prefix(1);
        return digits(padded ? 1 : 2);
    }

    /// From 1.
    [[nodiscard]] int month() noexcept
    {
        std::size_t number = 1;
        for (const auto name : month_names) {
            if (rest_.starts_with(name)) break;
            ++number;
        }
        good_ = good_ && number <= std::size(month_names);
        if (good_) rest_.remove_prefix(3);
        return static_cast<int>(number);
    }

    /// The name of a day, which is not compared with the date. Its first `length` letters, or all for zero.
    void day_name(std::size_t length) noexcept
    {
        for (auto name : day_names) {
            if (length != 0) name = name.substr(0, length);
            if (rest_.starts_with(name)) return rest_.remove_prefix(name.size());
        }
        good_ = false;
    }

    /// In seconds.
    [[nodiscard]] int time_of_day() noexcept
    {
        const int hours = digits(2);
        literal(":");
        const int minutes = digits(2);
        literal(":");
        const int seconds = digits(2);
        good_ = good_ && hours < 24 && minutes < 60 && seconds <= 60; // 60 is a leap second
        return (hours * 60 + minutes) * 60 + seconds;
    }

private:
    std::string_view rest_;
    bool good_ = true;
};

// The calendar by hand: with that of std::chrono a program that includes this compiles a hundred functions more.

constexpr bool is_leap(int year) noexcept
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

/// From the first day of the year 0.
constexpr int days_before_year(int year) noexcept
{
    return 365 * year + (year + 3) / 4 - (year + 99) / 100 + (year + 399) / 400;
}

constexpr int days_before_month(int year, int month) noexcept
{
    constexpr int days[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    return days[month - 1] + (month > 2 && is_leap(year) ? 1 : 0);
}

inline constexpr int epoch = days_before_year(1970);
inline constexpr int seconds_per_day = 24 * 60 * 60;

inline int year_of(std::chrono::system_clock::time_point now) noexcept
{
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    const auto days = static_cast<int>(seconds / seconds_per_day) - (seconds % seconds_per_day < 0 ? 1 : 0) + epoch;
    int year = days / 366;
    while (days_before_year(year + 1) <= days) ++year;
    return year;
}

inline std::chrono::sys_seconds point_of(int year, int month, int day, int time, bool good)
{
    if (!good || day < 1) return no_date;
    const int before = days_before_month(year, month);
    if (day > days_before_month(year, month + 1) - before) return no_date;
    const std::int64_t days = days_before_year(year) - epoch + before + day - 1;
    return std::chrono::sys_seconds{std::chrono::seconds{days * seconds_per_day + time}};
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
[[gnu::cold]] inline std::chrono::sys_seconds parse_imf_date(DateReader in)
{
    in.day_name(3);
    in.literal(", ");
    const int day = in.digits(2);
    in.literal(" ");
    const int month = in.month();
    in.literal(" ");
    const int year = in.digits(4);
    in.literal(" ");
    const int time = in.time_of_day();
    in.literal(" GMT");
    return point_of(year, month, day, time, in.at_end());
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
[[gnu::cold]] inline std::chrono::sys_seconds parse_rfc850_date(DateReader in, int this_year)
{
    in.day_name(0);
    in.literal(", ");
    const int day = in.digits(2);
    in.literal("-");
    const int month = in.month();
    in.literal("-");
    int year = this_year / 100 * 100 + in.digits(2);
    if (year > this_year + 50) year -= 100;
    in.literal(" ");
    const int time = in.time_of_day();
    in.literal(" GMT");
    return point_of(year, month, day, time, in.at_end());
}

/// `Sun Nov  6 08:49:37 1994`
[[gnu::cold]] inline std::chrono::sys_seconds parse_asctime_date(DateReader in)
{
    in.day_name(3);
    in.literal(" ");
    const int month = in.month();
    in.literal(" ");
    const int day = in.padded_day();
    in.literal(" ");
    const int time = in.time_of_day();
    in.literal(" ");
    const int year = in.digits(4);
    return point_of(year, month, day, time, in.at_end());
}

} // namespace detail

KHIVE_DECL std::chrono::sys_seconds read_http_date(std::string_view text, std::chrono::system_clock::time_point now)
{
    const detail::DateReader in{text};
    if (const auto date = detail::parse_imf_date(in); date != no_date) return date;
    if (const auto date = detail::parse_asctime_date(in); date != no_date) return date;
    return detail::parse_rfc850_date(in, detail::year_of(now));
}

} // namespace khive::inline KHIVE_ABI::http

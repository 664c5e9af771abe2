// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/http/date.hpp>

#include <array>

namespace khive::inline KHIVE_ABI::http {
namespace detail {

inline constexpr std::array<std::string_view, 12> month_names{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
inline constexpr std::array<std::string_view, 7> day_names{"Sunday",   "Monday", "Tuesday", "Wednesday",
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

    [[nodiscard]] std::chrono::month month() noexcept
    {
        unsigned number = 1;
        for (const auto name : month_names) {
            if (rest_.starts_with(name)) break;
            ++number;
        }
        good_ = good_ && number <= month_names.size();
        if (good_) rest_.remove_prefix(3);
        return std::chrono::month{number};
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

    [[nodiscard]] std::chrono::seconds time_of_day() noexcept
    {
        const int hours = digits(2);
        literal(":");
        const int minutes = digits(2);
        literal(":");
        const int seconds = digits(2);
        good_ = good_ && hours < 24 && minutes < 60 && seconds <= 60; // 60 is a leap second
        return std::chrono::hours{hours} + std::chrono::minutes{minutes} + std::chrono::seconds{seconds};
    }

private:
    std::string_view rest_;
    bool good_ = true;
};

inline std::optional<std::chrono::sys_seconds> point_of(std::chrono::year_month_day date, std::chrono::seconds time,
                                                        bool good)
{
    if (!good || !date.ok()) return std::nullopt;
    return std::chrono::sys_days{date} + time;
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
inline std::optional<std::chrono::sys_seconds> parse_imf_date(DateReader in)
{
    in.day_name(3);
    in.literal(", ");
    const std::chrono::day day{static_cast<unsigned>(in.digits(2))};
    in.literal(" ");
    const auto month = in.month();
    in.literal(" ");
    const std::chrono::year year{in.digits(4)};
    in.literal(" ");
    const auto time = in.time_of_day();
    in.literal(" GMT");
    return point_of({year, month, day}, time, in.at_end());
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
inline std::optional<std::chrono::sys_seconds> parse_rfc850_date(DateReader in, std::chrono::year this_year)
{
    in.day_name(0);
    in.literal(", ");
    const std::chrono::day day{static_cast<unsigned>(in.digits(2))};
    in.literal("-");
    const auto month = in.month();
    in.literal("-");
    const int century = static_cast<int>(this_year) / 100 * 100;
    std::chrono::year year{century + in.digits(2)};
    if (year > this_year + std::chrono::years{50}) year -= std::chrono::years{100};
    in.literal(" ");
    const auto time = in.time_of_day();
    in.literal(" GMT");
    return point_of({year, month, day}, time, in.at_end());
}

/// `Sun Nov  6 08:49:37 1994`
inline std::optional<std::chrono::sys_seconds> parse_asctime_date(DateReader in)
{
    in.day_name(3);
    in.literal(" ");
    const auto month = in.month();
    in.literal(" ");
    const std::chrono::day day{static_cast<unsigned>(in.padded_day())};
    in.literal(" ");
    const auto time = in.time_of_day();
    in.literal(" ");
    const std::chrono::year year{in.digits(4)};
    return point_of({year, month, day}, time, in.at_end());
}

} // namespace detail

KHIVE_DECL std::optional<std::chrono::sys_seconds> parse_http_date(std::string_view text,
                                                                   std::chrono::system_clock::time_point now)
{
    const detail::DateReader in{text};
    if (const auto date = detail::parse_imf_date(in)) return date;
    if (const auto date = detail::parse_asctime_date(in)) return date;
    const auto today = std::chrono::floor<std::chrono::days>(now);
    return detail::parse_rfc850_date(in, std::chrono::year_month_day{today}.year());
}

} // namespace khive::inline KHIVE_ABI::http

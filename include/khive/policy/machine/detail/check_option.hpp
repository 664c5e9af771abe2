// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error.hpp>
#include <khive/core/time.hpp>

#include <cstdio>
#include <string>
#include <string_view>

namespace khive::inline KHIVE_ABI::machine::detail {

/// Throws `ConfigurationError` with what was wrong: "CircuitBreaker: failure_ratio is 1.5, must be in [0, 1]".
[[noreturn]] inline void reject_option(std::string_view option, std::string_view value, std::string_view rule)
{
    std::string text;
    text.append(option).append(" is ").append(value).append(", must be ").append(rule);
    Error{ErrorKind::configuration}.with_message(std::move(text)).raise();
}

/// `option` is the full name: "CircuitBreaker: failure_ratio".
inline void check_option(bool valid, std::string_view option, double value, std::string_view rule)
{
    if (valid) return;
    char number[32];
    std::snprintf(number, sizeof number, "%g", value);
    reject_option(option, number, rule);
}

inline void check_option(bool valid, std::string_view option, Duration value, std::string_view rule)
{
    if (valid) return;
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%gs", to_seconds(value));
    reject_option(option, seconds, rule);
}

} // namespace khive::inline KHIVE_ABI::machine::detail

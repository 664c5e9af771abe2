// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>

namespace khive::inline KHIVE_ABI {

/// Digits and nothing else, at most `most`, which is 9 or more.
inline std::optional<std::uint64_t> parse_number(std::string_view text,
                                                 std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) noexcept
{
    std::uint64_t number = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return std::nullopt;
        const auto digit = static_cast<unsigned>(c - '0');
        if (number > (most - digit) / 10) return std::nullopt;
        number = number * 10 + digit;
    }
    if (text.empty()) return std::nullopt;
    return number;
}

} // namespace khive::inline KHIVE_ABI

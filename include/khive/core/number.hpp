// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <cstdint>
#include <limits>
#include <string_view>

namespace khive::inline KHIVE_ABI {

/// Reads digits and nothing else, at most `most`, which is 9 or more. Where there is anything else, `number` means nothing.
inline bool parse_number(std::string_view text, std::uint64_t& number,
                         std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) noexcept
{
    number = 0;
    for (const char c : text) {
        if (c < '0' || c > '9') return false;
        const auto digit = static_cast<unsigned>(c - '0');
        if (number > (most - digit) / 10) return false;
        number = number * 10 + digit;
    }
    return !text.empty();
}

} // namespace khive::inline KHIVE_ABI

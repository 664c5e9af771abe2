// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/time.hpp>

#include <cstdio>
#include <string>

namespace khive::inline KHIVE_ABI::detail {

/// `12.3ms`
inline std::string format_ms(Duration duration)
{
    char text[32];
    std::snprintf(text, sizeof text, "%.1fms", to_seconds(duration) * 1e3);
    return text;
}

} // namespace khive::inline KHIVE_ABI::detail

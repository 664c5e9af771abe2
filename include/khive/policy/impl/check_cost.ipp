// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/policy/detail/check_cost.hpp>

#include <cstdio>

namespace khive::inline KHIVE_ABI::detail {

KHIVE_DECL std::optional<Error> check_cost(double cost, double burst)
{
    if (cost > 0 && cost <= burst) return std::nullopt;
    char text[96];
    std::snprintf(text, sizeof text, "cost is %g, must be > 0 and <= burst (%g)", cost, burst);
    return Error{ErrorKind::invalid_argument}.with_message(text);
}

} // namespace khive::inline KHIVE_ABI::detail

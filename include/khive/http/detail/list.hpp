// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>
#include <khive/core/min_max.hpp>

#include <string_view>

namespace khive::inline KHIVE_ABI::http::detail {

/// Calls `each(member)` for the members of a comma-separated list, empty ones left out.
template <class F>
void for_each_member(std::string_view list, F each)
{
    while (!list.empty()) {
        const auto end = std::min(list.find(','), list.size());
        const auto member = trim(list.substr(0, end));
        if (!member.empty()) each(member);
        list.remove_prefix(std::min(end + 1, list.size()));
    }
}

/// Does the list have the member, ignoring case?
[[nodiscard]] inline bool has_member(std::string_view list, std::string_view wanted)
{
    bool found = false;
    for_each_member(list, [&](std::string_view member) { found = found || iequals(member, wanted); });
    return found;
}

} // namespace khive::inline KHIVE_ABI::http::detail

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>
#include <khive/core/min_max.hpp>

#include <string_view>

namespace khive::inline KHIVE_ABI::http::detail {

/// Takes the next of the members of a comma-separated list from it, empty ones left out; false where none is left.
[[nodiscard]] inline bool next_member(std::string_view& list, std::string_view& member)
{
    while (!list.empty()) {
        const auto end = std::min(list.find(','), list.size());
        member = trim(list.substr(0, end));
        list.remove_prefix(std::min(end + 1, list.size()));
        if (!member.empty()) return true;
    }
    return false;
}

/// Does the list have the member, ignoring case?
[[nodiscard]] inline bool has_member(std::string_view list, std::string_view wanted)
{
    for (std::string_view member; next_member(list, member);)
        if (iequals(member, wanted)) return true;
    return false;
}

} // namespace khive::inline KHIVE_ABI::http::detail

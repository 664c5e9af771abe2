// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/timeouts.hpp>

#include <array>
#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI {
namespace detail {

inline Error bad_timeouts(const std::string& rule)
{
    return Error{ErrorKind::configuration}.with_message("Timeouts: " + rule);
}

inline std::string in_seconds(Duration value)
{
    return std::to_string(to_seconds(value)) + " s";
}

} // namespace detail

KHIVE_DECL std::optional<Error> Timeouts::check() const
{
    using Named = std::pair<const char*, Duration>;
    const std::array<Named, 8> all{{{"resolve", resolve}, {"connect", connect}, {"tls_handshake", tls_handshake},
                                    {"write_stall", write_stall}, {"first_byte", first_byte}, {"read_stall", read_stall},
                                    {"attempt", attempt}, {"total", total}}};
    for (const auto& [name, value] : all)
        if (value <= Duration::zero())
            return detail::bad_timeouts(std::string(name) + " is " + detail::in_seconds(value) + ", must be > 0");
    if (attempt != unlimited && attempt > total)
        return detail::bad_timeouts("attempt, " + detail::in_seconds(attempt) + ", is longer than total, " +
                                    detail::in_seconds(total) + ", and could never run out");
    const Duration whole = std::min(attempt, total);
    if (first_byte != unlimited && first_byte > whole)
        return detail::bad_timeouts("first_byte, " + detail::in_seconds(first_byte) + ", is longer than the " +
                                    (attempt < total ? "attempt" : "total") + ", " + detail::in_seconds(whole) +
                                    ", and could never run out");
    return std::nullopt;
}

} // namespace khive::inline KHIVE_ABI

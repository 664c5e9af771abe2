// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/timeouts.hpp>
#include <khive/core/min_max.hpp>

#include <string>

namespace khive::inline KHIVE_ABI {
namespace detail {

KHIVE_COLD_DECL Error bad_timeouts(const std::string& rule)
{
    return Error{ErrorKind::configuration}.with_message("Timeouts: " + rule);
}

KHIVE_COLD_DECL std::string in_seconds(const char* name, Duration value)
{
    return std::string(name) + ", " + std::to_string(to_seconds(value)) + " s";
}

KHIVE_COLD_DECL Error never_runs_out(const char* name, Duration value, const char* outer_name, Duration outer)
{
    if (value == unlimited || value <= outer) return {};
    return bad_timeouts(in_seconds(name, value) + ", is longer than " + in_seconds(outer_name, outer) +
                        ", and could never run out");
}

struct NamedTimeout {
    const char* name;
    Duration Timeouts::*value;
};

inline constexpr NamedTimeout stage_timeouts[] = {
    {"pool_wait", &Timeouts::pool_wait},     {"resolve", &Timeouts::resolve},
    {"connect", &Timeouts::connect},         {"tls_handshake", &Timeouts::tls_handshake},
    {"write_stall", &Timeouts::write_stall}, {"first_byte", &Timeouts::first_byte},
    {"read_stall", &Timeouts::read_stall}};
inline constexpr NamedTimeout limit_timeouts[] = {{"attempt", &Timeouts::attempt}, {"total", &Timeouts::total}};

template <class Named>
Error not_positive(const Timeouts& timeouts, const Named& all)
{
    for (const auto& [name, value] : all)
        if (timeouts.*value <= Duration::zero())
            return bad_timeouts(std::string(name) + " is " + std::to_string(to_seconds(timeouts.*value)) + " s, must be > 0");
    return {};
}

} // namespace detail

KHIVE_DECL Error Timeouts::check_limits() const
{
    if (auto bad = detail::not_positive(*this, detail::limit_timeouts); bad.failed()) return bad;
    return detail::never_runs_out("attempt", attempt, "total", total);
}

KHIVE_DECL Error Timeouts::check() const
{
    if (auto bad = detail::not_positive(*this, detail::stage_timeouts); bad.failed()) return bad;
    if (auto bad = check_limits(); bad.failed()) return bad;
    const Timeouts defaults;
    const char* shorter = attempt < total ? "attempt" : "total";
    for (const auto& [name, value] : detail::stage_timeouts) {
        if (this->*value == defaults.*value) continue;
        auto bad = detail::never_runs_out(name, this->*value, shorter, std::min(attempt, total));
        if (bad.failed()) return bad;
    }
    return {};
}

KHIVE_DECL Error Timeouts::check_retry(Duration attempt_timeout, Duration total_timeout) const
{
    auto bad = detail::never_runs_out("total_timeout of the retry policy", total_timeout, "total", total);
    if (bad.failed()) return bad;
    const char* shorter = attempt < total ? "attempt" : "total";
    return detail::never_runs_out("attempt_timeout of the retry policy", attempt_timeout, shorter, std::min(attempt, total));
}

} // namespace khive::inline KHIVE_ABI

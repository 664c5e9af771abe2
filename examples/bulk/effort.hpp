// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/ledger.hpp>
#include <khive/core/time.hpp>

#include <cstdint>

namespace bulk {

/// What a line has cost so far.
struct Effort {
    khive::TimePoint started{};
    khive::Duration elapsed{};
    khive::Duration rate_wait{};
    khive::Duration slot_wait{};
    khive::Duration pool_wait{};
    khive::Duration backoff{};
    std::uint64_t attempts = 0;
};

/// Was it sent, or at least tried to? A refusal by a policy is no attempt.
[[nodiscard]] inline bool was_tried(const khive::Attempt& attempt) noexcept
{
    return attempt.status != 0 || attempt.peer.family != 0 || attempt.error == khive::ErrorKind::resolve ||
           attempt.error == khive::ErrorKind::connect || attempt.error == khive::ErrorKind::tls;
}

/// Adds the attempts of one call.
inline void add(Effort& effort, const khive::Ledger& ledger)
{
    for (std::size_t at = 0; at < ledger.size(); ++at) {
        const khive::Attempt& attempt = ledger[at];
        effort.rate_wait += attempt.rate_wait;
        effort.slot_wait += attempt.slot_wait;
        effort.pool_wait += attempt.pool_wait;
        effort.backoff += attempt.backoff;
        effort.attempts += was_tried(attempt) ? 1 : 0;
    }
}

} // namespace bulk

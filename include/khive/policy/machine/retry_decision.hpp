// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/ledger.hpp>
#include <khive/core/time.hpp>

namespace khive::inline KHIVE_ABI {

/// The decision of a retry policy after an attempt.
struct RetryDecision {
    bool retry = false;                   ///< try again after `delay`
    StopReason reason = StopReason::done; ///< why not, where `retry` is false
    Duration delay{};                     ///< a floor
};

} // namespace khive::inline KHIVE_ABI

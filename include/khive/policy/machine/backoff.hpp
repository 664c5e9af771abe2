// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>
#include <khive/core/outcome.hpp>
#include <khive/core/time.hpp>
#include <khive/policy/machine/retry_decision.hpp>

#include <chrono>
#include <cstdint>
#include <type_traits>

namespace khive::inline KHIVE_ABI {

/// How chance shortens a delay. The cap is applied first: even the longest delays are spread out.
enum class Jitter : std::uint8_t {
    none,         ///< the exact delay
    full,         ///< anywhere between zero and the delay
    equal,        ///< half of it, and anywhere up to the other half
    decorrelated, ///< anywhere between `base_delay` and three times the last delay
};

/// How often, after how long and on what terms a call is tried again.
struct RetryOptions {
    unsigned max_attempts = 3;                            ///< the first one counts. 1 to 1000.
    Duration base_delay = std::chrono::milliseconds{500}; ///< before the second attempt. More than 0.
    Duration max_delay = std::chrono::seconds{8};         ///< cap. At least `base_delay`.
    double factor = 2;                                    ///< of each delay to the one before. At least 1.
    Jitter jitter = Jitter::full;                         ///< `none` also takes the server's `Retry-After` exactly.
    Duration max_retry_after = std::chrono::minutes{2};   ///< gives up where the server asks for more. At least 0.
    Duration attempt_timeout = unlimited;                 ///< of each attempt. More than 0, at most `total_timeout`.
    Duration total_timeout = unlimited;                   ///< of all attempts and delays. More than 0.
    bool retry_unsafe = false; ///< repeat also what the server may have done already and would do twice.
};
static_assert(std::is_trivially_destructible_v<RetryOptions>);

namespace machine {

/// Decides whether and when a call is tried again. One per call: it remembers the last delay.
///
/// - Time: only from `now`; saturating.
/// - Complexity: O(1), no allocation.
/// - Source: Brooker, Exponential Backoff And Jitter, AWS Architecture Blog 2015; decorrelated jitter capped before the draw.
class Backoff {
public:
    /// Throws `ConfigurationError`.
    KHIVE_DECL explicit Backoff(const RetryOptions& options);

    /// After the `attempts_made`-th attempt ended with `outcome`. `random` is uniform in [0, 1).
    [[nodiscard]] KHIVE_DECL RetryDecision next(const Outcome& outcome, unsigned attempts_made, TimePoint now,
                                                TimePoint deadline, double random) noexcept;
    /// The delay after the `attempts_made`-th attempt, if nobody asks for another.
    [[nodiscard]] KHIVE_DECL Duration delay(unsigned attempts_made, double random) const noexcept;
    [[nodiscard]] const RetryOptions& options() const noexcept { return options_; }
    /// The delay before, for who keeps only that between two attempts.
    [[nodiscard]] Duration last() const noexcept { return last_; }
    void go_on_after(Duration last) noexcept { last_ = last; }

private:
    [[nodiscard]] KHIVE_DECL StopReason obstacle(const Outcome& outcome, unsigned attempts_made) const noexcept;
    [[nodiscard]] KHIVE_DECL Duration asked_for(Duration retry_after, double random) const noexcept;

    RetryOptions options_;
    Duration last_;
};

} // namespace machine
} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/machine/impl/backoff.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/outcome.hpp>
#include <khive/policy/circuit_breaker.hpp>

#include <chrono>

namespace khive_tests {

/// Opens at the first failure for ten seconds sharp.
inline constexpr khive::CircuitBreakerOptions touchy{
    .consecutive_failures = 1, .open_for = std::chrono::seconds{10}, .open_jitter = 0};

inline void fail_once(const khive::CircuitBreaker& breaker, khive::TimePoint now)
{
    breaker.try_admit(now).value().record(khive::Outcome{.verdict = khive::Verdict::failure}, now);
}

} // namespace khive_tests

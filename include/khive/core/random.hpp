// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>
#include <khive/core/yield_point.hpp>

#include <atomic>
#include <cstdint>

namespace khive::inline KHIVE_ABI {

/// The random numbers that jitter needs: seedable, small, not for secrets.
///
/// - Thread safety: safe; each call is one atomic addition.
/// - Source: SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
class Random {
public:
    /// Seeds from the operating system.
    KHIVE_DECL Random();
    /// The same seed gives the same numbers.
    explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
    Random(const Random& other) noexcept : state_(other.state_.load(std::memory_order_relaxed)) {}
    Random& operator=(const Random&) = delete;

    [[nodiscard]] std::uint64_t next() noexcept
    {
        constexpr std::uint64_t golden = 0x9e3779b97f4a7c15u;
        KHIVE_YIELD_POINT();
        std::uint64_t z = state_.fetch_add(golden, std::memory_order_relaxed) + golden;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }

    /// Uniform in [0, 1).
    [[nodiscard]] double uniform() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }

private:
    std::atomic<std::uint64_t> state_; ///< a number by itself, each of which is given out once
};

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/core/impl/random.ipp>
#endif

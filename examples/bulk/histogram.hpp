// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/time.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace bulk {

/// Durations from a microsecond on, counted in buckets that are 3 % wide: percentiles of any number of them in 10 kB.
class Histogram {
public:
    void record(khive::Duration duration) noexcept
    {
        const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(duration).count();
        ++buckets_[bucket_of(static_cast<std::uint64_t>(std::max<decltype(micros)>(micros, 0)))];
        ++count_;
        longest_ = std::max(longest_, duration);
    }

    /// What `share` of them did not exceed, at most 3 % too long.
    [[nodiscard]] khive::Duration percentile(double share) const noexcept
    {
        auto left = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
        for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket) {
            if (buckets_[bucket] >= left) return std::min<khive::Duration>(std::chrono::microseconds{upper_end(bucket)}, longest_);
            left -= buckets_[bucket];
        }
        return longest_;
    }
    [[nodiscard]] khive::Duration longest() const noexcept { return longest_; }
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }

private:
    // A bucket is the position of the highest bit and the five bits below it.
    static constexpr unsigned bits = 5;
    static constexpr std::size_t size = 40u << bits;

    static std::size_t bucket_of(std::uint64_t value) noexcept
    {
        const unsigned width = static_cast<unsigned>(std::bit_width(value));
        if (width <= bits) return static_cast<std::size_t>(value);
        const unsigned shift = width - 1 - bits;
        return std::min<std::size_t>((std::size_t{shift} << bits) + static_cast<std::size_t>(value >> shift), size - 1);
    }
    static std::int64_t upper_end(std::size_t bucket) noexcept
    {
        if (bucket < (2u << bits)) return static_cast<std::int64_t>(bucket);
        const std::size_t shift = (bucket >> bits) - 1;
        const std::size_t head = bucket - (shift << bits);
        return static_cast<std::int64_t>(((head + 1) << shift) - 1);
    }

    std::array<std::uint64_t, size> buckets_{};
    std::uint64_t count_ = 0;
    khive::Duration longest_{};
};

} // namespace bulk

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdio>

namespace khive_tests {

/// Counts what an exhaustive test has gone through, and says so when the process ends.
class Tally {
public:
    explicit Tally(const char* what) noexcept : what_(what) {}
    Tally(const Tally&) = delete;
    Tally& operator=(const Tally&) = delete;
    ~Tally()
    {
        if (count_ != 0) std::printf("%llu %s\n", static_cast<unsigned long long>(count_.load()), what_);
    }
    void add(std::uint64_t count) noexcept { count_ += count; }

private:
    const char* what_;
    std::atomic<std::uint64_t> count_{0};
};

} // namespace khive_tests

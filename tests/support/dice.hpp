// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <random>

namespace khive_tests {

/// Random choices that a seed repeats.
class Dice {
public:
    explicit Dice(unsigned seed) : random_(seed) {}
    double real(double low, double high) { return std::uniform_real_distribution<double>(low, high)(random_); }
    int whole(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
    bool chance(double probability) { return real(0, 1) < probability; }

private:
    std::mt19937_64 random_;
};

} // namespace khive_tests

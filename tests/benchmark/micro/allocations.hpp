// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>

namespace micro {

/// How often this thread has allocated memory from the heap.
[[nodiscard]] std::uint64_t allocations() noexcept;

/// Reports the allocations of its scope as the counter `allocs`, per iteration.
class CountAllocations {
public:
    explicit CountAllocations(benchmark::State& state) noexcept : state_(state), before_(allocations()) {}
    CountAllocations(const CountAllocations&) = delete;
    CountAllocations& operator=(const CountAllocations&) = delete;
    ~CountAllocations()
    {
        const auto made = static_cast<double>(allocations() - before_);
        state_.counters["allocs"] = benchmark::Counter(made, benchmark::Counter::kAvgIterations);
    }

private:
    benchmark::State& state_;
    std::uint64_t before_;
};

/// Repeats `act` and reports its time and allocations.
template <class Act>
void repeat(benchmark::State& state, Act act)
{
    for (int i = 0; i < 100; ++i) act(); // memory that is kept is there
    const CountAllocations count(state);
    for (auto _ : state) act();
}

} // namespace micro

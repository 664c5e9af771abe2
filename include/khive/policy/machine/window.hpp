// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>
#include <khive/core/time.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace khive::inline KHIVE_ABI::machine {

/// How many of the latest calls failed: of the last N calls, or of the calls of the last so many seconds.
///
/// A ring of slices with running totals. A slice is one call, or a tenth of the time; the slice being filled counts, so a
/// window of time reaches back between 90 and 100 % of its length.
///
/// - Time: only from `now`; a step back is ignored.
/// - Complexity: O(1), at most `slices` steps after a pause; allocates at construction only.
class Window {
public:
    static constexpr std::size_t slices = 10;

    struct Counts {
        std::uint64_t calls = 0;
        std::uint64_t failures = 0;
    };

    /// The last `count` calls.
    [[nodiscard]] static Window of_calls(std::size_t count) { return Window(count, Duration::zero()); }
    /// The calls of the last `span`.
    [[nodiscard]] static Window of_time(Duration span) { return Window(slices, span / Duration::rep{slices} + Duration{1}); }
    /// Remembers nothing.
    [[nodiscard]] static Window none() { return Window(0, Duration::zero()); }

    KHIVE_DECL void record(bool failure, TimePoint now) noexcept;
    /// What is in the window, as of `now`.
    [[nodiscard]] KHIVE_DECL Counts counts(TimePoint now) noexcept;
    KHIVE_DECL void clear() noexcept;

private:
    Window(std::size_t size, Duration width) : ring_(size), width_(width) {}

    KHIVE_DECL void turn() noexcept;
    KHIVE_DECL void turn_to(TimePoint now) noexcept;
    [[nodiscard]] bool timed() const noexcept { return width_ > Duration::zero(); }

    std::vector<Counts> ring_;
    std::size_t current_ = 0;
    Counts total_;
    Duration width_;                         ///< of a slice; zero where a slice is one call
    TimePoint slice_end_ = TimePoint::min(); ///< `min` before the first call
};

} // namespace khive::inline KHIVE_ABI::machine

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/machine/impl/window.ipp>
#endif

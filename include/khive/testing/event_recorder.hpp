// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/config.hpp>

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace khive::inline KHIVE_ABI::testing {

/// Notes named events from any thread, for assertions on what happened, how often and in which order.
///
/// ```cpp
/// breaker.on_state_change([&](const auto& change) { events.record(to_string(change.to)); });
/// ...
/// CHECK(events.text() == "open, half_open, closed");
/// ```
///
/// - Lifetime: must outlive whoever records.
/// - Thread safety: safe.
class EventRecorder {
public:
    KHIVE_TESTING_DECL void record(std::string_view name);
    KHIVE_TESTING_DECL void clear();

    /// Every event so far, in order.
    [[nodiscard]] KHIVE_TESTING_DECL std::vector<std::string> names() const;
    /// The same as one line, separated by ", ".
    [[nodiscard]] KHIVE_TESTING_DECL std::string text() const;
    [[nodiscard]] KHIVE_TESTING_DECL std::size_t size() const;
    /// How often it happened.
    [[nodiscard]] KHIVE_TESTING_DECL std::size_t count(std::string_view name) const;
    /// Did both happen, and the first `earlier` before the first `later`?
    [[nodiscard]] KHIVE_TESTING_DECL bool in_order(std::string_view earlier, std::string_view later) const;

    /// Blocks until `name` has happened `times` times: for tests with threads of their own.
    KHIVE_TESTING_DECL void wait_for(std::string_view name, std::size_t times = 1) const;

private:
    [[nodiscard]] std::size_t count_locked(std::string_view name) const;

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::vector<std::string> names_;
};

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/event_recorder.ipp>
#endif

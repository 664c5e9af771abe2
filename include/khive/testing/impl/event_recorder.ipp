// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/event_recorder.hpp>

#include <algorithm>

namespace khive::inline KHIVE_ABI::testing {

KHIVE_TESTING_DECL void EventRecorder::record(std::string_view name)
{
    const std::lock_guard lock(mutex_);
    names_.emplace_back(name);
    changed_.notify_all();
}

KHIVE_TESTING_DECL void EventRecorder::clear()
{
    const std::lock_guard lock(mutex_);
    names_.clear();
}

KHIVE_TESTING_DECL std::vector<std::string> EventRecorder::names() const
{
    const std::lock_guard lock(mutex_);
    return names_;
}

KHIVE_TESTING_DECL std::string EventRecorder::text() const
{
    std::string line;
    for (const auto& name : names()) line.append(line.empty() ? "" : ", ").append(name);
    return line;
}

KHIVE_TESTING_DECL std::size_t EventRecorder::size() const
{
    const std::lock_guard lock(mutex_);
    return names_.size();
}

inline std::size_t EventRecorder::count_locked(std::string_view name) const
{
    return static_cast<std::size_t>(std::count(names_.begin(), names_.end(), name));
}

KHIVE_TESTING_DECL std::size_t EventRecorder::count(std::string_view name) const
{
    const std::lock_guard lock(mutex_);
    return count_locked(name);
}

KHIVE_TESTING_DECL bool EventRecorder::in_order(std::string_view earlier, std::string_view later) const
{
    const std::lock_guard lock(mutex_);
    const auto first = std::find(names_.begin(), names_.end(), earlier);
    const auto second = std::find(names_.begin(), names_.end(), later);
    return second != names_.end() && first < second;
}

KHIVE_TESTING_DECL void EventRecorder::wait_for(std::string_view name, std::size_t times) const
{
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count_locked(name) >= times; });
}

} // namespace khive::inline KHIVE_ABI::testing

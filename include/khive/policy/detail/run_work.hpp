// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/result.hpp>
#include <khive/policy/detail/awaitable_value.hpp>
#include <khive/policy/detail/work_state.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::detail {

/// The body of a task: its turn, then `fn()`, whose value goes to `value`.
///
/// - Lifetime: the task owns `value` and outlives the frame.
template <class T, class F>
asio::awaitable<void> run_work(std::shared_ptr<WorkState> work, WorkTask* task, async::WaitRequest turn, F fn,
                               std::optional<Stored<T>>* value)
{
    if (!task->permit()) {
        auto waited = co_await async::wait_in<WorkPermit>(std::move(work), turn);
        if (!waited) waited.error().raise();
        task->permit().emplace(std::move(*waited));
    }
    // Cancelled between grant and resumption: nothing has begun, so the token goes back.
    const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
    if (is_cancelled(cancellation)) Error{ErrorKind::cancelled}.raise();
    task->permit()->spend();
    if constexpr (std::is_void_v<T>) {
        co_await fn();
        value->emplace();
    } else {
        value->emplace(co_await fn());
    }
}

} // namespace khive::inline KHIVE_ABI::detail

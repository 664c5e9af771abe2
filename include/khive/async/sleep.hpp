// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/completion.hpp>
#include <khive/async/time_service.hpp>
#include <khive/async/wait_scope.hpp>
#include <khive/core/result.hpp>

#include <boost/asio/awaitable.hpp>

#include <memory>

namespace khive::inline KHIVE_ABI::async {

/// Suspends until `due`, on the executor's time service: virtual in tests.
///
/// - Time: never early.
/// - Cancellation: at once, also when `scope` closes; returns false then.
[[nodiscard]] KHIVE_DECL asio::awaitable<bool> sleep_until(TimePoint due, std::shared_ptr<WaitScope> scope = nullptr);

} // namespace khive::inline KHIVE_ABI::async

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/async/impl/sleep.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/policy/async_executor.hpp>

namespace khive::inline KHIVE_ABI {

KHIVE_DECL AsyncExecutor::AsyncExecutor(const AsyncExecutorOptions& options)
    : work_(detail::WorkState::make(detail::WorkState::Options{.max_concurrency = options.max_concurrency,
                                                                          .max_queue = options.max_queue,
                                                                          .rate = std::nullopt,
                                                                          .owner = "AsyncExecutor"}))
{
}

} // namespace khive::inline KHIVE_ABI

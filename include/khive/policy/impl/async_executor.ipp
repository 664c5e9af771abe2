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

KHIVE_DECL AsyncExecutor AsyncExecutor::own_share() const
{
    AsyncExecutor other = *this;
    other.share_ = detail::WorkShare::make(work_);
    return other;
}

} // namespace khive::inline KHIVE_ABI

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/policy/rate_limited_executor.hpp>

namespace khive::inline KHIVE_ABI {
namespace detail {

inline WorkState::Options work_options(const RateLimitedExecutorOptions& options) noexcept
{
    return {.max_concurrency = options.max_concurrency,
            .max_queue = options.max_queue,
            .rate = machine::TokenBucketSettings{.rate = options.rate,
                                                 .period = options.period,
                                                 .burst = options.burst,
                                                 .initial_tokens = options.initial_tokens},
            .owner = "RateLimitedExecutor"};
}

inline asio::awaitable<Result<WorkPermit>> charge_in(std::shared_ptr<WorkState> work, WorkPermit permit,
                                                     async::WaitRequest request)
{
    auto tokens = co_await async::wait_in<WorkPermit>(std::move(work), request);
    if (!tokens) co_return tokens.error();
    permit.charge(std::move(*tokens));
    co_return permit;
}

} // namespace detail

KHIVE_DECL RateLimitedExecutor::RateLimitedExecutor(const RateLimitedExecutorOptions& options)
    : work_(detail::WorkState::make(detail::work_options(options)))
{}

KHIVE_DECL asio::awaitable<Result<RateLimitedExecutor::Grant>>
RateLimitedExecutor::dispatch(async::WaitRequest request) const
{
    if (auto impossible = check_cost(request.cost)) return detail::refused<Grant>(std::move(*impossible));
    request.key = nullptr;
    return async::wait_in<Grant>(work_, request);
}

KHIVE_DECL asio::awaitable<Result<RateLimitedExecutor::Grant>> RateLimitedExecutor::charge(Grant grant,
                                                                                           async::WaitRequest request) const
{
    if (auto impossible = check_cost(request.cost)) return detail::refused<Grant>(std::move(*impossible));
    request.key = nullptr;
    request.has_slot = true;
    request.arrived = TimePoint::min(); // had its turn already
    return detail::charge_in(work_, std::move(grant), request);
}

} // namespace khive::inline KHIVE_ABI

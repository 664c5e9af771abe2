// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/result.hpp>
#include <khive/core/time.hpp>
#include <khive/policy/concepts.hpp>
#include <khive/policy/detail/check_cost.hpp>
#include <khive/policy/detail/map_state.hpp>
#include <khive/policy/detail/work_state.hpp>
#include <khive/policy/task.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// How much a `RateLimitedExecutor` starts per period and runs at once.
struct RateLimitedExecutorOptions {
    double rate = 0;                           ///< tokens per `period`. Above 0, finite. Required
    Duration period = std::chrono::seconds{1}; ///< above 0
    double burst = 0;                          ///< tokens that may be saved up. At least 1. 0 is the larger of `rate` and 1
    double initial_tokens = -1;                ///< tokens at the start. 0 to `burst`. -1 is `burst`
    std::size_t max_concurrency = 64;          ///< slots. Above 0
    std::size_t max_queue = 65'536;            ///< who may wait at once. 0 refuses instead of waiting
};
static_assert(std::is_trivially_destructible_v<RateLimitedExecutorOptions>);

/// Bounds how many start per period and how many run at once, as one thing with one queue.
///
/// Token and slot are taken together at the moment of dispatch, or neither: nobody holds a slot while waiting for a token, and a
/// stall of all slots does not save up a burst beyond the bucket's.
///
/// Everything else, `map`, tasks, `shutdown`, cancellation, errors and threads, is as in `AsyncExecutor`, and the estimated wait
/// for tokens is checked against the caller's deadline as in `TokenBucketRateLimiter`.
class RateLimitedExecutor {
public:
    using Grant = detail::WorkPermit;

    /// Throws `ConfigurationError` for options out of range.
    KHIVE_DECL explicit RateLimitedExecutor(const RateLimitedExecutorOptions& options);

    /// Awaits `fn()` in a slot, for `cost` tokens. They stay spent if it fails.
    template <class F>
        requires Awaitable<std::invoke_result_t<F&>>
    [[nodiscard]] auto execute(F fn, double cost = 1) const
    {
        return detail::execute_work(work_, cost, std::move(fn), work_->check_cost(cost));
    }

    /// Awaits `fn(item)` for each item; a token each. See `AsyncExecutor::map`.
    template <class R, class F>
        requires MapsOver<R, F>
    [[nodiscard]] auto map(R&& range, F fn, MapMode::FailFast = MapMode::fail_fast) const
    {
        return detail::map_failing_fast(detail::make_map(work_, std::forward<R>(range), std::move(fn), true));
    }
    template <class R, class F>
        requires MapsOver<R, F>
    [[nodiscard]] auto map(R&& range, F fn, MapMode::Collect) const
    {
        return detail::map_collecting(detail::make_map(work_, std::forward<R>(range), std::move(fn), false));
    }

    /// Starts `fn()` on `executor` as soon as there is a slot and are tokens.
    template <class F>
        requires Awaitable<std::invoke_result_t<F&>>
    auto submit(const asio::any_io_executor& executor, F fn, double cost = 1) const
    {
        return detail::launch(work_, executor, cost, std::move(fn), work_->check_cost(cost));
    }

    /// See `AsyncExecutor::shutdown`.
    [[nodiscard]] asio::awaitable<ShutdownReport> shutdown(Duration timeout) const
    {
        return detail::shut_down(work_, timeout);
    }
    [[nodiscard]] ExecutorStats stats() const { return work_->stats(); }

    /// \name DispatchPolicy
    /// @{
    [[nodiscard]] std::optional<Grant> try_dispatch(double cost, TimePoint now) const { return work_->try_enter(cost, now); }
    [[nodiscard]] KHIVE_DECL asio::awaitable<Result<Grant>> dispatch(async::WaitRequest request) const;
    [[nodiscard]] std::optional<Error> check_cost(double cost) const { return work_->check_cost(cost); }
    /// For a grant whose token was refunded.
    [[nodiscard]] bool try_charge(Grant& grant, double cost, TimePoint now) const
    {
        return work_->try_charge(grant, cost, now);
    }
    [[nodiscard]] KHIVE_DECL asio::awaitable<Result<Grant>> charge(Grant grant, async::WaitRequest request) const;
    /// @}

private:
    std::shared_ptr<detail::WorkState> work_;
};

static_assert(DispatchPolicy<RateLimitedExecutor> && ChargesGrants<RateLimitedExecutor>);

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/impl/rate_limited_executor.ipp>
#endif

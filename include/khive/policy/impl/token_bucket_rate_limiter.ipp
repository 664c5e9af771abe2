// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include <algorithm>

namespace khive::inline KHIVE_ABI {
namespace detail {

inline machine::TokenBucketSettings bucket_settings(const TokenBucketOptions& options) noexcept
{
    return {
        .rate = options.rate, .period = options.period, .burst = options.burst, .initial_tokens = options.initial_tokens};
}

inline async::WaitRequest wait_request(const AcquireOptions& options, TimePoint now) noexcept
{
    return {.cost = options.cost, .deadline = std::min(options.deadline, saturating_add(now, options.max_wait))};
}

KHIVE_DECL void BucketToken::give_back() noexcept
{
    TokenBucketState& bucket = *std::exchange(bucket_, nullptr);
    bucket.give_back(cost_, taken_);
    KHIVE_YIELD_POINT();
    bucket.let_go();
}

KHIVE_DECL std::shared_ptr<TokenBucketState> TokenBucketState::make(const TokenBucketOptions& options)
{
    return {new TokenBucketState(options), [](TokenBucketState* state) { state->without_handles(); }};
}

KHIVE_DECL void TokenBucketState::without_handles() noexcept
{
    std::int64_t issued = 0;
    {
        const std::lock_guard lock(mutex_);
        issued = issued_;
    }
    KHIVE_YIELD_POINT();
    if (let_go_.fetch_sub(issued, std::memory_order_acq_rel) == issued) delete this;
}

KHIVE_DECL TokenBucketState::TokenBucketState(const TokenBucketOptions& options)
    : WaitQueue(options.max_waiters), bucket_(bucket_settings(options), "TokenBucketRateLimiter"), burst_(bucket_.burst())
{}

KHIVE_DECL void TokenBucketState::give_back(double cost, BucketToken::Mark taken) noexcept
{
    std::unique_lock lock(mutex_);
    bucket_.give_back(cost, taken);
    pump(std::move(lock));
}

KHIVE_DECL void TokenBucketState::set_rate(double rate, std::optional<double> burst, TimePoint now)
{
    std::unique_lock lock(mutex_);
    bucket_.change(rate, burst.value_or(bucket_.burst()), now, "TokenBucketRateLimiter");
    burst_.store(bucket_.burst(), std::memory_order_relaxed);
    pump(std::move(lock), now);
}

KHIVE_DECL double TokenBucketState::tokens(TimePoint now) const
{
    const std::lock_guard lock(mutex_);
    return bucket_.tokens(now);
}

KHIVE_DECL Duration TokenBucketState::estimated_wait(double cost, TimePoint now) const
{
    const std::lock_guard lock(mutex_);
    return bucket_.time_until(waiting_cost() + cost, now);
}

KHIVE_DECL BucketToken TokenBucketState::make_grant(const async::WaitRequest& request) noexcept
{
    const std::lock_guard lock(mutex_);
    return {*this, request.cost, bucket_.mark()};
}

KHIVE_DECL bool TokenBucketState::try_grant(const async::WaitRequest& head, TimePoint now) noexcept
{
    if (!bucket_.try_take(head.cost, now)) return false;
    ++issued_;
    return true;
}

KHIVE_DECL TimePoint TokenBucketState::next_grant(const async::WaitRequest& head, TimePoint now) noexcept
{
    return bucket_.ready_at(head.cost, now);
}

KHIVE_DECL Error TokenBucketState::refuse(const async::WaitRequest& request, TimePoint now)
{
    const Duration wait = bucket_.time_until(cost_ahead_of(request) + request.cost, now);
    const bool too_late = saturating_add(now, wait) > request.deadline;
    if (!too_late && waiting_locked() < max_waiting()) return {};
    return Error{too_late ? ErrorKind::rate_limited : ErrorKind::queue_full}.with_retry_after(wait).with_retryable(true);
}

} // namespace detail

KHIVE_DECL TokenBucketRateLimiter::TokenBucketRateLimiter(const TokenBucketOptions& options)
    : state_(detail::TokenBucketState::make(options))
{}

KHIVE_DECL bool TokenBucketRateLimiter::try_acquire(double cost, TimePoint now) const
{
    if (const auto impossible = check_cost(cost)) impossible->raise();
    auto token = try_take(cost, now);
    if (token) token->spend();
    return token.has_value();
}

KHIVE_DECL asio::awaitable<void> TokenBucketRateLimiter::acquire(AcquireOptions options) const
{
    return acquire_or_throw(*this, options);
}

KHIVE_DECL asio::awaitable<Result<void>> TokenBucketRateLimiter::acquire_or_error(AcquireOptions options) const
{
    return acquire_in(*this, options);
}

KHIVE_DECL asio::awaitable<Result<TokenBucketRateLimiter::Token>>
TokenBucketRateLimiter::take(async::WaitRequest request) const
{
    if (auto impossible = check_cost(request.cost)) return detail::refused<Token>(std::move(*impossible));
    return async::wait_in<Token>(state_, request);
}

KHIVE_DECL void TokenBucketRateLimiter::set_rate(double rate, std::optional<double> burst, TimePoint now) const
{
    state_->set_rate(rate, burst, now);
}

KHIVE_DECL Duration TokenBucketRateLimiter::estimated_wait(double cost, TimePoint now) const
{
    if (const auto impossible = check_cost(cost)) impossible->raise();
    return state_->estimated_wait(cost, now);
}

KHIVE_DECL asio::awaitable<Result<TokenBucketRateLimiter::Token>>
TokenBucketRateLimiter::take_in(TokenBucketRateLimiter self, AcquireOptions options)
{
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    const TimePoint now = async::time_service(executor).now();
    if (auto token = self.try_take(options.cost, now)) co_return std::move(*token);
    co_return co_await self.take(detail::wait_request(options, now));
}

KHIVE_DECL asio::awaitable<Result<void>> TokenBucketRateLimiter::acquire_in(TokenBucketRateLimiter self,
                                                                            AcquireOptions options)
{
    auto token = co_await take_in(self, options);
    if (!token) co_return token.error();
    token->spend();
    co_return Result<void>{};
}

KHIVE_DECL asio::awaitable<void> TokenBucketRateLimiter::acquire_or_throw(TokenBucketRateLimiter self,
                                                                          AcquireOptions options)
{
    const auto acquired = co_await acquire_in(self, options);
    if (!acquired) acquired.error().raise();
}

} // namespace khive::inline KHIVE_ABI

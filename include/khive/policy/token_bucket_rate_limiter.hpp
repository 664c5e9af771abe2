// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/wait_queue.hpp>
#include <khive/core/result.hpp>
#include <khive/core/time.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/policy/concepts.hpp>
#include <khive/policy/detail/awaitable_value.hpp>
#include <khive/policy/detail/check_cost.hpp>
#include <khive/policy/machine/token_bucket.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// How many calls per period a `TokenBucketRateLimiter` lets through.
struct TokenBucketOptions {
    double rate = 0;                           ///< tokens per `period`. Above 0, finite. Required
    Duration period = std::chrono::seconds{1}; ///< above 0
    double burst = 0;                          ///< tokens that may be saved up. At least 1. 0 is the larger of `rate` and 1
    double initial_tokens = -1;                ///< tokens at the start. 0 to `burst`. -1 is `burst`
    std::size_t max_waiters = 65'536;          ///< callers who may wait at once. 0 refuses instead of waiting
};
static_assert(std::is_trivially_destructible_v<TokenBucketOptions>);

/// How much a caller wants, and how long it waits for that. The earlier of the two bounds counts.
struct AcquireOptions {
    double cost = 1;                  ///< tokens. Above 0, at most the burst
    Duration max_wait = unlimited;    ///< from the call on
    TimePoint deadline = no_deadline; ///< on the clock of the caller's context
};

namespace detail {

class TokenBucketState;

/// Tokens taken from a bucket. It keeps the bucket alive, as a handle does.
class BucketToken {
public:
    using Mark = machine::TokenBucket::Mark;

    BucketToken(TokenBucketState& bucket, double cost, Mark taken) noexcept : bucket_(&bucket), cost_(cost), taken_(taken) {}
    BucketToken(BucketToken&& other) noexcept
        : bucket_(std::exchange(other.bucket_, nullptr)), cost_(other.cost_), taken_(other.taken_)
    {}
    BucketToken& operator=(BucketToken&& other) noexcept
    {
        BucketToken old = std::move(*this);
        bucket_ = std::exchange(other.bucket_, nullptr);
        cost_ = other.cost_;
        taken_ = other.taken_;
        return *this;
    }
    ~BucketToken()
    {
        if (bucket_ != nullptr) give_back();
    }
    /// They stay taken.
    void spend() noexcept;

private:
    KHIVE_DECL void give_back() noexcept;

    TokenBucketState* bucket_; ///< null once spent
    double cost_;
    Mark taken_;
};

/// What the copies of a limiter share: a bucket behind a queue.
class TokenBucketState final : public async::WaitQueue {
public:
    /// It lives as long as a handle or a token of it.
    [[nodiscard]] KHIVE_DECL static std::shared_ptr<TokenBucketState> make(const TokenBucketOptions& options);

    /// A success must be followed by a `BucketToken`.
    bool try_take(double cost, TimePoint now, BucketToken::Mark& taken) noexcept;
    KHIVE_DECL void give_back(double cost, BucketToken::Mark taken) noexcept;
    /// A token is no more.
    void let_go() noexcept;
    KHIVE_DECL void set_rate(double rate, std::optional<double> burst, TimePoint now);
    [[nodiscard]] KHIVE_DECL double tokens(TimePoint now) const;
    [[nodiscard]] KHIVE_DECL Duration estimated_wait(double cost, TimePoint now) const;
    [[nodiscard]] double burst() const noexcept { return burst_.load(std::memory_order_relaxed); }
    [[nodiscard]] KHIVE_DECL BucketToken make_grant(const async::WaitRequest& request) noexcept;

private:
    KHIVE_DECL explicit TokenBucketState(const TokenBucketOptions& options);
    KHIVE_DECL bool try_grant(const async::WaitRequest& head, TimePoint now) noexcept override;
    KHIVE_DECL TimePoint next_grant(const async::WaitRequest& head, TimePoint now) noexcept override;
    KHIVE_DECL Error refuse(const async::WaitRequest& request, TimePoint now) override;
    KHIVE_DECL void without_handles() noexcept;

    /// Tokens keep the state alive without a count that both sides of the lock write: those issued are counted under `mutex_`,
    /// those let go atomically. When the last handle goes it subtracts the one from the other, and the last token finds -1.
    std::int64_t issued_ = 0;
    std::atomic<std::int64_t> let_go_{0};
    machine::TokenBucket bucket_; ///< under `mutex_`; what taking writes of it ends the cache line
    std::atomic<double> burst_;   ///< a copy for `check_cost`; what is granted is decided under `mutex_`
};

} // namespace detail

/// Lets calls through at a rate: at most `burst + rate * t` tokens in any interval of length `t`.
///
/// `co_await limiter.acquire();` or `co_await limiter.execute(fn);`
///
/// Who has to wait does so in strict order of arrival; a large request is not overtaken by small ones. Tokens are charged when
/// they are granted, and one timer serves the head of the queue.
///
/// - Time: the caller's time service; where no caller waits, the `now` that is passed in.
/// - Cancellation: at once, charges nothing, and those behind move up.
/// - Errors: `rate_limited` at once if the estimated wait is longer than the caller's bound, with that wait as `retry_after`;
///   `queue_full`; `timeout` (timer `queue`) if the rate was lowered meanwhile; `cancelled`; `invalid_argument` for a cost that
///   is not positive or above the burst.
/// - Thread safety: safe. Copies share the bucket.
/// - Complexity: O(1); no allocation and no suspension unless the caller has to wait.
class TokenBucketRateLimiter {
public:
    using Token = detail::BucketToken;

    /// Throws `ConfigurationError` for options out of range.
    KHIVE_DECL explicit TokenBucketRateLimiter(const TokenBucketOptions& options);

    /// Takes tokens if they are there and nobody waits for them. Throws `InvalidArgumentError` for an impossible cost.
    KHIVE_DECL bool try_acquire(double cost = 1, TimePoint now = Clock::now()) const;
    /// Waits for tokens and throws the error if there are none to come.
    [[nodiscard]] KHIVE_DECL asio::awaitable<void> acquire(AcquireOptions options) const;
    [[nodiscard]] asio::awaitable<void> acquire(double cost = 1) const { return acquire(AcquireOptions{.cost = cost}); }
    /// The twin of `acquire` that does not throw.
    [[nodiscard]] KHIVE_DECL asio::awaitable<Result<void>> acquire_or_error(AcquireOptions options = {}) const;

    /// Awaits `fn()` once tokens are granted. They stay spent if it fails.
    ///
    /// - Lifetime: `fn` is kept until its awaitable has ended.
    template <class F>
        requires Awaitable<std::invoke_result_t<F&>>
    [[nodiscard]] auto execute(F fn, AcquireOptions options = {}) const
    {
        return execute_in(*this, std::move(fn), options);
    }

    /// Changes the rate, and the burst if one is given. Who waits already is served at the new rate.
    KHIVE_DECL void set_rate(double rate, std::optional<double> burst = std::nullopt, TimePoint now = Clock::now()) const;
    [[nodiscard]] double tokens(TimePoint now = Clock::now()) const { return state_->tokens(now); }
    [[nodiscard]] std::size_t waiting() const { return state_->waiting(); }
    /// How long a caller who comes now would wait.
    [[nodiscard]] KHIVE_DECL Duration estimated_wait(double cost = 1, TimePoint now = Clock::now()) const;

    /// \name RateLimiterPolicy
    /// @{
    [[nodiscard]] std::optional<Token> try_take(double cost, TimePoint now) const
    {
        Token::Mark taken;
        if (!state_->try_take(cost, now, taken)) return std::nullopt;
        return std::optional<Token>(std::in_place, *state_, cost, taken);
    }
    [[nodiscard]] KHIVE_DECL asio::awaitable<Result<Token>> take(async::WaitRequest request) const;
    [[nodiscard]] std::optional<Error> check_cost(double cost) const;
    /// @}

private:
    KHIVE_DECL static asio::awaitable<Result<Token>> take_in(TokenBucketRateLimiter self, AcquireOptions options);
    KHIVE_DECL static asio::awaitable<Result<void>> acquire_in(TokenBucketRateLimiter self, AcquireOptions options);
    KHIVE_DECL static asio::awaitable<void> acquire_or_throw(TokenBucketRateLimiter self, AcquireOptions options);
    template <class F>
    static std::invoke_result_t<F&> execute_in(TokenBucketRateLimiter self, F fn, AcquireOptions options)
    {
        auto token = co_await take_in(self, options);
        // Cancelled between grant and resumption: `fn` does not begin, so the token goes back.
        const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
        if (token && detail::is_cancelled(cancellation)) Error{ErrorKind::cancelled}.raise();
        token.value().spend();
        co_return co_await fn();
    }

    std::shared_ptr<detail::TokenBucketState> state_;
};

inline bool detail::TokenBucketState::try_take(double cost, TimePoint now, BucketToken::Mark& taken) noexcept
{
    if (!(cost > 0)) return false;
    const std::lock_guard lock(mutex_);
    if (has_waiters() || cost > bucket_.burst() || !bucket_.try_take(cost, now)) return false;
    ++issued_;
    taken = bucket_.mark();
    return true;
}

inline void detail::TokenBucketState::let_go() noexcept
{
    KHIVE_YIELD_POINT();
    if (let_go_.fetch_add(1, std::memory_order_acq_rel) == -1) delete this;
}

inline void detail::BucketToken::spend() noexcept
{
    if (bucket_ != nullptr) std::exchange(bucket_, nullptr)->let_go();
}

inline std::optional<Error> TokenBucketRateLimiter::check_cost(double cost) const
{
    const double burst = state_->burst();
    if (cost > 0 && cost <= burst) return std::nullopt;
    return detail::check_cost(cost, burst);
}

static_assert(RateLimiterPolicy<TokenBucketRateLimiter>);

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/impl/token_bucket_rate_limiter.ipp>
#endif

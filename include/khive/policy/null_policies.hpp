// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/ledger.hpp>
#include <khive/policy/concepts.hpp>

#include <optional>
#include <type_traits>

namespace khive::inline KHIVE_ABI {

namespace detail {

/// A permit for nothing: move-only as every permit, and empty.
struct NullPermit {
    constexpr NullPermit() noexcept = default;
    constexpr NullPermit(NullPermit&&) noexcept = default;
    constexpr NullPermit& operator=(NullPermit&&) noexcept = default;
    constexpr void spend() noexcept {}
    constexpr void record(const Outcome&, TimePoint) noexcept {}
};

} // namespace detail

/// Limits nothing. Every verb is empty, so an optimiser leaves nothing of it.
struct NullRateLimiter {
    using Token = detail::NullPermit;
    static constexpr std::optional<Token> try_take(double, TimePoint) noexcept { return Token{}; }
    template <class Request = async::WaitRequest> // a template because GCC compiles every coroutine that it sees, used or not
    static asio::awaitable<Result<Token>> take(Request) { co_return Token{}; }
    static constexpr std::optional<Error> check_cost(double) noexcept { return std::nullopt; }
};

/// Does not limit concurrency.
struct NullExecutor {
    using Slot = detail::NullPermit;
    static constexpr std::optional<Slot> try_enter(TimePoint) noexcept { return Slot{}; }
    template <class Request = async::WaitRequest>
    static asio::awaitable<Result<Slot>> enter(Request) { co_return Slot{}; }
};

/// Never opens.
struct NullCircuitBreaker {
    using Ticket = detail::NullPermit;
    static constexpr std::optional<Error> refusal(TimePoint) noexcept { return std::nullopt; }
    static Result<Ticket> try_admit(TimePoint) noexcept { return Ticket{}; }
};

/// One attempt, no time limit.
struct NullRetry {
    struct Schedule {
        static constexpr RetryDecision next(const Outcome& outcome, unsigned, TimePoint, TimePoint) noexcept
        {
            if (outcome.retryable) return {.reason = StopReason::attempts};
            return {.reason = outcome.verdict == Verdict::success ? StopReason::done : StopReason::not_retryable};
        }
    };
    static constexpr Schedule begin() noexcept { return {}; }
    static constexpr Duration attempt_timeout() noexcept { return unlimited; }
    static constexpr Duration total_timeout() noexcept { return unlimited; }
};

static_assert(RateLimiterPolicy<NullRateLimiter> && std::is_empty_v<NullRateLimiter>);
static_assert(ExecutorPolicy<NullExecutor> && std::is_empty_v<NullExecutor>);
static_assert(CircuitBreakerPolicy<NullCircuitBreaker> && std::is_empty_v<NullCircuitBreaker>);
static_assert(RetryPolicy<NullRetry> && std::is_empty_v<NullRetry>);

} // namespace khive::inline KHIVE_ABI

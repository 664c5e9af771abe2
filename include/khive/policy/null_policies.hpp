// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/ledger.hpp>
#include <khive/policy/concepts.hpp>

#include <optional>

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

// Their verbs are templates because a client without policies calls none of them, and need not compile what they give.

/// Limits nothing. Every verb is empty, so an optimiser leaves nothing of it.
struct NullRateLimiter {
    using Token = detail::NullPermit;
    template <class Given = Token>
    static constexpr std::optional<Given> try_take(double, TimePoint) noexcept
    {
        return Given{};
    }
    template <class Request = async::WaitRequest>
    static asio::awaitable<Result<Token>> take(Request)
    {
        co_return Token{};
    }
    template <class Why = Error>
    static constexpr std::optional<Why> check_cost(double) noexcept
    {
        return std::nullopt;
    }
};

/// Does not limit concurrency.
struct NullExecutor {
    using Slot = detail::NullPermit;
    template <class Given = Slot>
    static constexpr std::optional<Given> try_enter(TimePoint) noexcept
    {
        return Given{};
    }
    template <class Request = async::WaitRequest>
    static asio::awaitable<Result<Slot>> enter(Request) { co_return Slot{}; }
};

/// Never opens.
struct NullCircuitBreaker {
    using Ticket = detail::NullPermit;
    template <class Why = Error>
    static constexpr std::optional<Why> refusal(TimePoint) noexcept
    {
        return std::nullopt;
    }
    template <class Given = Ticket>
    static Result<Given> try_admit(TimePoint) noexcept
    {
        return Given{};
    }
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

} // namespace khive::inline KHIVE_ABI

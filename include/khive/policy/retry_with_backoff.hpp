// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/random.hpp>
#include <khive/policy/concepts.hpp>
#include <khive/policy/detail/awaitable_value.hpp>
#include <khive/policy/failure.hpp>
#include <khive/policy/machine/backoff.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI {

namespace detail {

template <class Fn>
struct Retried : std::invoke_result<Fn&> {};
template <class Fn>
    requires std::is_invocable_v<Fn&, unsigned>
struct Retried<Fn> : std::invoke_result<Fn&, unsigned> {};

/// What `fn(attempt)` or `fn()` gives.
template <class Fn>
using RetriedAwaitable = typename Retried<Fn>::type;

} // namespace detail

template <class Predicate>
class RetryOnResult;

/// Tries again what may pass: exponential delays with jitter, bounded in attempts and time.
///
/// `co_await retry.execute(fn)` repeats any awaitable; a client uses the protocol below. Repeated are failures that may pass:
/// see `Failure::outcome()`. A refusal by an open circuit or a limiter, a cancellation, anything closed, a bug of the caller
/// and a 4xx except those that ask for it are not; nor is what the server may have done already, unless `retry_unsafe`.
/// What the other side asks for (`Retry-After`) is a floor for the delay; if it is more than `max_retry_after` or does not fit
/// in the total time, the call ends at once and says so.
///
/// - Time: delays are floors. Both timeouts cancel the attempt and wait for its end.
/// - Cancellation: ends the delay or the attempt at once.
/// - Errors: the last error, with the ledger of all attempts and why it stopped; `timeout` with the timer `attempt` or `total`.
/// - Thread safety: a handle; copies may be used from any thread.
class RetryWithBackoff {
public:
    class Schedule;
    using ErrorPredicate = std::function<bool(const Failure&)>;

    /// Throws `ConfigurationError` where the options contradict themselves.
    KHIVE_DECL explicit RetryWithBackoff(const RetryOptions& options = {});
    /// The same seed gives the same delays.
    KHIVE_DECL RetryWithBackoff(const RetryOptions& options, const Random& random);

    /// Runs `fn()` or `fn(attempt)` (1, 2, ...), an awaitable of a value or of a `Result`, until it succeeds or repeating it
    /// makes no sense. Errors come as `fn` gives them: thrown, or as a `Result`. Exceptions that are not khive's come out
    /// unchanged.
    ///
    /// - Lifetime: keeps its own copy of `fn`; for GCC 12 and 13 name one whose captures own memory on the line before the
    ///   `co_await`. Each attempt runs on the caller's executor, inside a strand of its own if it has a timeout.
    template <class Fn>
    [[nodiscard]] auto execute(Fn fn) const -> detail::RetriedAwaitable<Fn>;

    /// A handle that asks `predicate` whether a failure is repeated. Timeouts and repetition safety still hold, and what was
    /// cancelled or is closed is never repeated.
    [[nodiscard]] KHIVE_DECL RetryWithBackoff retry_if(ErrorPredicate predicate) const;
    /// The same, which also repeats values for which `predicate(value)` holds. After the last attempt the value is returned.
    template <class Predicate>
    [[nodiscard]] RetryOnResult<Predicate> retry_result_if(Predicate predicate) const;

    /// What a failure says to this policy.
    [[nodiscard]] KHIVE_DECL Outcome judge(const Failure& failure) const;
    [[nodiscard]] const RetryOptions& options() const noexcept { return backoff_.options(); }

    /// \name Protocol
    /// @{
    [[nodiscard]] Schedule begin() const&;
    Schedule begin() const&& = delete; // it would outlive the policy
    [[nodiscard]] Duration attempt_timeout() const noexcept { return options().attempt_timeout; }
    [[nodiscard]] Duration total_timeout() const noexcept { return options().total_timeout; }
    /// @}

private:
    machine::Backoff backoff_;
    std::shared_ptr<Random> random_;
    std::shared_ptr<const ErrorPredicate> retry_if_;
};

/// The state of one call: how it backs off. The policy that it is of outlives it.
///
/// A call that succeeds at once takes nothing from the policy, whose random numbers are one cache line for all threads.
class RetryWithBackoff::Schedule {
public:
    /// What to do after the `attempts_made`-th attempt ended with `outcome`.
    [[nodiscard]] KHIVE_DECL RetryDecision next(const Outcome& outcome, unsigned attempts_made, TimePoint now,
                                                TimePoint deadline) noexcept;

private:
    friend class RetryWithBackoff;
    explicit Schedule(const RetryWithBackoff& policy) noexcept : policy_(&policy), last_(policy.backoff_.last()) {}

    const RetryWithBackoff* policy_;
    Duration last_;
    std::uint64_t seed_ = 0; ///< of what chance adds; 0: none has been taken yet
};

static_assert(RetryPolicy<RetryWithBackoff>);

/// A `RetryWithBackoff` that also repeats values it does not like.
template <class Predicate>
class RetryOnResult {
public:
    RetryOnResult(RetryWithBackoff retry, Predicate predicate) : retry_(std::move(retry)), predicate_(std::move(predicate))
    {}

    /// As `RetryWithBackoff::execute`.
    template <class Fn>
    [[nodiscard]] auto execute(Fn fn) const -> detail::RetriedAwaitable<Fn>;
    /// As `RetryWithBackoff::retry_if`.
    [[nodiscard]] RetryOnResult retry_if(RetryWithBackoff::ErrorPredicate predicate) const
    {
        return {retry_.retry_if(std::move(predicate)), predicate_};
    }

private:
    RetryWithBackoff retry_;
    Predicate predicate_;
};

/// `RetryWithBackoff{options}.execute(fn)`.
template <class Fn>
[[nodiscard]] auto retry_with_backoff(Fn fn, const RetryOptions& options = {}) -> detail::RetriedAwaitable<Fn>;

inline RetryWithBackoff::Schedule RetryWithBackoff::begin() const&
{
    return Schedule(*this);
}

} // namespace khive::inline KHIVE_ABI

#include <khive/policy/detail/retry_call.hpp>

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/impl/retry_with_backoff.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/sleep.hpp>
#include <khive/policy/detail/awaitable_value.hpp>
#include <khive/policy/detail/settle.hpp>
#include <khive/policy/failure.hpp>
#include <khive/policy/retry_with_backoff.hpp>

#include <boost/asio/this_coro.hpp>

#include <optional>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI {
namespace detail {

/// What one call of `RetryWithBackoff::execute` knows between its attempts: deadlines, ledger, and why it stopped.
class RetryCall {
public:
    KHIVE_DECL RetryCall(RetryWithBackoff retry, TimePoint now);
    RetryCall(const RetryCall&) = delete; // the schedule is of its own copy of the policy
    RetryCall& operator=(const RetryCall&) = delete;

    /// Starts the next attempt, which is `attempts()`.
    KHIVE_DECL void begin_attempt(TimePoint now);
    [[nodiscard]] unsigned attempts() const noexcept { return attempts_; }
    /// When the attempt must end.
    [[nodiscard]] TimePoint attempt_deadline() const noexcept { return attempt_deadline_; }
    /// An attempt that was cancelled at its deadline failed by that, whatever it says itself.
    [[nodiscard]] KHIVE_DECL Failure timed_out(const Failure& failure) const;

    /// Records the failed attempt. Again after `delay()`?
    [[nodiscard]] KHIVE_DECL bool again(const Failure& failure, TimePoint now, bool cancelled);
    /// The same for a value that the caller does not like.
    [[nodiscard]] KHIVE_DECL bool again(TimePoint now, bool cancelled);
    [[nodiscard]] Duration delay() const noexcept { return delay_; }
    /// The caller has cancelled the delay.
    [[nodiscard]] KHIVE_DECL Failure cancelled();
    [[nodiscard]] Ledger take_ledger() noexcept { return std::move(ledger_); }

private:
    KHIVE_DECL void note(const Failure& failure, TimePoint now);
    [[nodiscard]] KHIVE_DECL bool decide(const Outcome& outcome, TimePoint now, bool cancelled);

    RetryWithBackoff retry_;
    RetryWithBackoff::Schedule schedule_;
    TimePoint deadline_;
    TimePoint attempt_deadline_ = no_deadline;
    Ledger ledger_;
    unsigned attempts_ = 0;
    Duration delay_{};
};

/// Values are good.
struct AnyValueWillDo {
    template <class Value>
    constexpr bool operator()(const Value&) const noexcept
    {
        return false;
    }
};

template <class Value>
asio::awaitable<Value> fail(std::exception_ptr exception)
{
    co_await asio::this_coro::executor;
    std::rethrow_exception(exception);
}

/// `fn` may throw before there is something to await.
template <class Fn>
RetriedAwaitable<Fn> start(Fn& fn, unsigned attempt)
{
    try {
        if constexpr (std::is_invocable_v<Fn&, unsigned>)
            return fn(attempt);
        else
            return fn();
    } catch (...) {
        return fail<AwaitedValue<RetriedAwaitable<Fn>>>(std::current_exception());
    }
}

template <class Value>
std::optional<Failure> failure_of(const Settlement<Value>& settled, const RetryCall& call)
{
    std::optional<Failure> failure;
    if (settled.exception) failure.emplace(settled.exception);
    if constexpr (is_result<Value>)
        if (settled.value && settled.value->has_error()) failure.emplace(settled.value->error());
    if (failure && settled.timed_out && failure->cancelled()) failure = call.timed_out(*failure);
    return failure;
}

/// The end of a call that failed: as the error of a `Result`, or thrown.
template <class Value>
Value give_up(const Failure& failure, Ledger ledger)
{
    if constexpr (is_result<Value>)
        if (!failure.exception())
            return Value(boost::system::in_place_error, Error{failure.error()}.with_ledger(std::move(ledger)));
    failure.raise_with(std::move(ledger));
}

/// Is the value to be had again? Not where the predicate fails.
template <class Dislikes, class Value>
bool is_disliked(const Dislikes& dislikes, const Value& value) noexcept
{
    try {
        return dislikes(value);
    } catch (...) { // NOLINT: the value is there
        return false;
    }
}

template <class Value, class Fn, class Dislikes>
asio::awaitable<Value> retry(RetryWithBackoff policy, Fn fn, Dislikes dislikes)
{
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    const async::TimeService& time = async::time_service(executor);
    RetryCall call(std::move(policy), time.now());
    for (;;) {
        call.begin_attempt(time.now());
        auto attempt = settle<Value>(start(fn, call.attempts()), call.attempt_deadline());
        Settlement<Value> settled = co_await std::move(attempt);
        const auto state = co_await asio::this_coro::cancellation_state;
        const bool cancelled = is_cancelled(state);

        const auto failure = failure_of(settled, call);
        const bool good = !failure && !is_disliked(dislikes, *settled.value);
        const bool again =
            !good && (failure ? call.again(*failure, time.now(), cancelled) : call.again(time.now(), cancelled));
        if (!again) {
            if (failure) co_return give_up<Value>(*failure, call.take_ledger());
            if constexpr (std::is_void_v<Value>)
                co_return;
            else
                co_return std::move(*settled.value);
        }

        auto delay = async::sleep_until(saturating_add(time.now(), call.delay()));
        const bool slept = co_await std::move(delay);
        if (slept) continue;
        const Failure stopped = call.cancelled();
        co_return give_up<Value>(stopped, call.take_ledger());
    }
}

} // namespace detail

template <class Fn>
auto RetryWithBackoff::execute(Fn fn) const -> detail::RetriedAwaitable<Fn>
{
    using Value = detail::AwaitedValue<detail::RetriedAwaitable<Fn>>;
    return detail::retry<Value>(*this, std::move(fn), detail::AnyValueWillDo{});
}

template <class Predicate>
RetryOnResult<Predicate> RetryWithBackoff::retry_result_if(Predicate predicate) const
{
    return {*this, std::move(predicate)};
}

template <class Predicate>
template <class Fn>
auto RetryOnResult<Predicate>::execute(Fn fn) const -> detail::RetriedAwaitable<Fn>
{
    using Value = detail::AwaitedValue<detail::RetriedAwaitable<Fn>>;
    return detail::retry<Value>(retry_, std::move(fn), predicate_);
}

template <class Fn>
auto retry_with_backoff(Fn fn, const RetryOptions& options) -> detail::RetriedAwaitable<Fn>
{
    return RetryWithBackoff(options).execute(std::move(fn));
}

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/impl/retry_call.ipp>
#endif

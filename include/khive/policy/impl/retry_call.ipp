// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/policy/detail/retry_call.hpp>
#include <khive/policy/impl/retry_with_backoff.ipp>

#include <algorithm>

namespace khive::inline KHIVE_ABI::detail {

/// A policy says why it does not repeat; the error may know better.
inline StopReason stop_reason(StopReason reason, const Failure& failure) noexcept
{
    if (reason != StopReason::not_retryable && reason != StopReason::done) return reason;
    if (failure.cancelled() || failure.error().kind() == ErrorKind::closed) return StopReason::cancelled;
    return refused_locally(failure.error().kind()) ? StopReason::refused : StopReason::not_retryable;
}

KHIVE_DECL RetryCall::RetryCall(RetryWithBackoff retry, TimePoint now)
    : retry_(std::move(retry)), schedule_(retry_.begin()), deadline_(saturating_add(now, retry_.total_timeout()))
{}

KHIVE_DECL void RetryCall::begin_attempt(TimePoint now)
{
    ++attempts_;
    ledger_.begin_attempt(now).backoff = delay_;
    attempt_deadline_ = std::min(saturating_add(now, retry_.attempt_timeout()), deadline_);
}

KHIVE_DECL Failure RetryCall::timed_out(const Failure& failure) const
{
    const bool total = attempt_deadline_ == deadline_;
    return Failure(
        Error{ErrorKind::timeout}
            .with_timer(total ? Timer::total : Timer::attempt, total ? retry_.total_timeout() : retry_.attempt_timeout())
            .with_retryable(!total)
            .with_maybe_processed(failure.error().maybe_processed()));
}

KHIVE_DECL void RetryCall::note(const Failure& failure, TimePoint now)
{
    const Error& error = failure.error();
    Attempt& attempt = ledger_.current();
    if (error.ledger().empty()) {
        attempt.elapsed = now - attempt.started;
        attempt.error = error.kind();
        attempt.status = static_cast<std::uint16_t>(error.status());
        attempt.timer = error.timer();
        attempt.verdict = failure.outcome().verdict;
        attempt.maybe_processed = error.maybe_processed();
        return;
    }
    // A client's call keeps a better record than can be seen from here.
    const Duration backoff = attempt.backoff;
    attempt = error.ledger()[0];
    attempt.backoff += backoff;
    for (std::size_t i = 1; i < error.ledger().size(); ++i) {
        const Attempt& inner = error.ledger()[i];
        ledger_.begin_attempt(inner.started) = inner;
    }
}

KHIVE_DECL bool RetryCall::again(const Failure& failure, TimePoint now, bool cancelled)
{
    note(failure, now);
    if (decide(retry_.judge(failure), now, cancelled)) return true;
    ledger_.stop(stop_reason(ledger_.stop_reason(), failure));
    return false;
}

KHIVE_DECL bool RetryCall::again(TimePoint now, bool cancelled)
{
    ledger_.current().elapsed = now - ledger_.current().started;
    ledger_.current().verdict = Verdict::success;
    return decide(Outcome{.verdict = Verdict::success, .retryable = true}, now, cancelled);
}

KHIVE_DECL bool RetryCall::decide(const Outcome& outcome, TimePoint now, bool cancelled)
{
    if (cancelled || now >= deadline_) {
        ledger_.stop(cancelled ? StopReason::cancelled : StopReason::deadline);
        return false;
    }
    const RetryDecision decision = schedule_.next(outcome, attempts_, now, deadline_);
    delay_ = decision.delay;
    if (!decision.retry) ledger_.stop(decision.reason);
    return decision.retry;
}

KHIVE_DECL Failure RetryCall::cancelled()
{
    ledger_.stop(StopReason::cancelled);
    return Failure(Error{ErrorKind::cancelled});
}

} // namespace khive::inline KHIVE_ABI::detail

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/policy/retry_with_backoff.hpp>

#include <utility>

namespace khive::inline KHIVE_ABI {

namespace detail {

/// Our own policies said no: the same call at once would hear the same.
inline bool refused_locally(ErrorKind kind) noexcept
{
    return kind == ErrorKind::circuit_open || kind == ErrorKind::rate_limited || kind == ErrorKind::queue_full;
}

} // namespace detail

KHIVE_DECL RetryWithBackoff::RetryWithBackoff(const RetryOptions& options) : RetryWithBackoff(options, Random{}) {}

KHIVE_DECL RetryWithBackoff::RetryWithBackoff(const RetryOptions& options, const Random& random)
    : backoff_(options), random_(std::make_shared<Random>(random))
{}

KHIVE_DECL RetryWithBackoff RetryWithBackoff::retry_if(ErrorPredicate predicate) const
{
    RetryWithBackoff copy = *this;
    copy.retry_if_ = std::make_shared<const ErrorPredicate>(std::move(predicate));
    return copy;
}

KHIVE_DECL Outcome RetryWithBackoff::judge(const Failure& failure) const
{
    Outcome outcome = failure.outcome();
    const ErrorKind kind = failure.error().kind();
    const bool final = kind == ErrorKind::closed || failure.cancelled();
    if (final || detail::refused_locally(kind)) outcome.retryable = false;
    if (final || !retry_if_ || !*retry_if_) return outcome;
    try {
        outcome.retryable = (*retry_if_)(failure);
    } catch (...) { // NOLINT: the failure is what the caller has to hear of
    }
    return outcome;
}

KHIVE_DECL RetryDecision RetryWithBackoff::Schedule::next(const Outcome& outcome, unsigned attempts_made, TimePoint now,
                                                          TimePoint deadline) noexcept
{
    if (seed_ == 0) seed_ = policy_->random_->next();
    Random random{seed_};
    machine::Backoff backoff = policy_->backoff_;
    backoff.go_on_after(last_);
    const RetryDecision decision = backoff.next(outcome, attempts_made, now, deadline, random.uniform());
    last_ = backoff.last();
    seed_ = random.next();
    return decision;
}

} // namespace khive::inline KHIVE_ABI

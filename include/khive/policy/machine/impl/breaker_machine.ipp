// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/policy/machine/breaker_machine.hpp>

#include <khive/policy/machine/detail/check_option.hpp>

#include <algorithm>
#include <cstdio>

namespace khive::inline KHIVE_ABI {

KHIVE_DECL std::string_view to_string(BreakerState state) noexcept
{
    switch (state) {
    case BreakerState::closed: return "closed";
    case BreakerState::open: return "open";
    case BreakerState::half_open: return "half_open";
    case BreakerState::isolated: return "isolated";
    }
    return "unknown";
}

KHIVE_DECL std::string_view to_string(BreakerCause cause) noexcept
{
    switch (cause) {
    case BreakerCause::consecutive_failures: return "consecutive_failures";
    case BreakerCause::failure_ratio: return "failure_ratio";
    case BreakerCause::time_passed: return "time_passed";
    case BreakerCause::probes_succeeded: return "probes_succeeded";
    case BreakerCause::probes_failed: return "probes_failed";
    case BreakerCause::isolated_by_hand: return "isolated_by_hand";
    case BreakerCause::reset_by_hand: return "reset_by_hand";
    }
    return "unknown";
}

KHIVE_DECL void BreakerHistory::add(BreakerTransition transition) noexcept
{
    transition.number = ++count_;
    ring_[count_ % room] = transition;
}

namespace machine {
namespace detail {

inline void check_window(const CircuitBreakerOptions& o)
{
    check_option(o.minimum_throughput >= 1, "CircuitBreaker: minimum_throughput", o.minimum_throughput, "at least 1");
    check_option(o.window > Duration::zero(), "CircuitBreaker: window", o.window, "more than 0");
    check_option(o.window_calls <= 100'000, "CircuitBreaker: window_calls", o.window_calls, "at most 100000");
    check_option(o.window_calls == 0 || o.failure_ratio == 0 || o.window_calls >= o.minimum_throughput,
                 "CircuitBreaker: window_calls", o.window_calls, "at least minimum_throughput, or it never opens");
}

inline void check_trip(const CircuitBreakerOptions& o)
{
    check_option(o.failure_ratio >= 0 && o.failure_ratio <= 1, "CircuitBreaker: failure_ratio", o.failure_ratio,
                 "in [0, 1]");
    check_option(o.consecutive_failures > 0 || o.failure_ratio > 0, "CircuitBreaker: consecutive_failures",
                 o.consecutive_failures, "at least 1 where failure_ratio is 0, or it never opens");
}

inline void check_recovery(const CircuitBreakerOptions& o)
{
    check_option(o.open_for > Duration::zero(), "CircuitBreaker: open_for", o.open_for, "more than 0");
    check_option(o.max_open_for == Duration::zero() || o.max_open_for >= o.open_for, "CircuitBreaker: max_open_for",
                 o.max_open_for, "0 or at least open_for");
    check_option(o.open_jitter >= 0 && o.open_jitter <= 1, "CircuitBreaker: open_jitter", o.open_jitter, "in [0, 1]");
    check_option(o.half_open_probes >= 1 && o.half_open_probes <= 1000, "CircuitBreaker: half_open_probes",
                 o.half_open_probes, "in [1, 1000]");
    check_option(o.close_after >= 1, "CircuitBreaker: close_after", o.close_after, "at least 1");
    check_option(o.max_probe > Duration::zero(), "CircuitBreaker: max_probe", o.max_probe, "more than 0");
}

/// `duration` times `factor`, which is at least 1, saturating.
inline Duration scaled(Duration duration, double factor) noexcept
{
    const double ticks = static_cast<double>(duration.count()) * factor;
    if (ticks >= static_cast<double>(Duration::max().count())) return unlimited;
    return Duration{static_cast<Duration::rep>(ticks)};
}

inline CircuitBreakerOptions checked(CircuitBreakerOptions options)
{
    check_trip(options);
    check_window(options);
    check_recovery(options);
    if (options.max_open_for == Duration::zero()) options.max_open_for = scaled(options.open_for, 8);
    return options;
}

inline Window window_of(const CircuitBreakerOptions& options)
{
    if (options.failure_ratio == 0) return Window::none();
    return options.window_calls > 0 ? Window::of_calls(options.window_calls) : Window::of_time(options.window);
}

} // namespace detail

KHIVE_DECL BreakerMachine::BreakerMachine(const CircuitBreakerOptions& options)
    : options_(detail::checked(options)), window_(detail::window_of(options)), probes_(options_.half_open_probes)
{}

/// Moves on what time alone moves on; gives the time that counts.
KHIVE_DECL TimePoint BreakerMachine::tick(TimePoint now) noexcept
{
    latest_ = std::max(latest_, now);
    if (stats_.state == BreakerState::open && latest_ >= open_until_)
        enter(BreakerState::half_open, BreakerCause::time_passed, latest_);
    return latest_;
}

KHIVE_DECL void BreakerMachine::enter(BreakerState to, BreakerCause cause, TimePoint now) noexcept
{
    if (to != stats_.state) stats_.history.add({.from = stats_.state, .to = to, .cause = cause, .at = now});
    stats_.state = to;
    stats_.consecutive_failures = 0;
    ++epoch_;
    window_.clear();
    std::fill(probes_.begin(), probes_.end(), Probe{});
    probes_succeeded_ = probes_failed_ = 0;
    closed_since_ = now;
}

KHIVE_DECL void BreakerMachine::open(BreakerCause cause, TimePoint now, Random& random) noexcept
{
    const bool was_quiet = stats_.state == BreakerState::closed && now - closed_since_ >= last_open_;
    opens_ = was_quiet ? 1 : opens_ + 1;
    last_open_ = open_time(random);
    open_until_ = saturating_add(now, last_open_);
    enter(BreakerState::open, cause, now);
}

KHIVE_DECL Duration BreakerMachine::open_time(Random& random) const noexcept
{
    Duration time = options_.open_for;
    for (unsigned i = 1; i < opens_ && time < options_.max_open_for; ++i) time = detail::scaled(time, 2);
    time = std::min(time, options_.max_open_for);
    return options_.open_jitter > 0 ? detail::scaled(time, 1 + options_.open_jitter * random.uniform()) : time;
}

KHIVE_DECL std::optional<Duration> BreakerMachine::refusal(TimePoint now) noexcept
{
    now = tick(now);
    switch (stats_.state) {
    case BreakerState::closed: return std::nullopt;
    case BreakerState::half_open:
        if (free_probe(now) != nullptr) return std::nullopt;
        ++stats_.refused;
        return until_probe_expires(now);
    case BreakerState::open: ++stats_.refused; return open_until_ - now;
    case BreakerState::isolated: break;
    }
    ++stats_.refused;
    return unlimited;
}

KHIVE_DECL auto BreakerMachine::try_admit(TimePoint now) noexcept -> Admission
{
    if (const auto wait = refusal(now)) return {std::nullopt, *wait};
    ++stats_.admitted;
    if (stats_.state == BreakerState::closed) return {Ticket{epoch_, 0}};
    Probe& probe = *free_probe(latest_);
    probe = {++last_probe_, latest_};
    return {Ticket{epoch_, probe.id}};
}

KHIVE_DECL BreakerMachine::Probe* BreakerMachine::free_probe(TimePoint now) noexcept
{
    const auto found = std::find_if(probes_.begin(), probes_.end(), [&](const Probe& probe) { return free_at(probe, now); });
    return found == probes_.end() ? nullptr : &*found;
}

KHIVE_DECL Duration BreakerMachine::until_probe_expires(TimePoint now) const noexcept
{
    const auto oldest =
        std::min_element(probes_.begin(), probes_.end(), [](const Probe& a, const Probe& b) { return a.since < b.since; });
    return options_.max_probe - (now - oldest->since);
}

/// Takes the ticket's slot back if it is a probe; false if the ticket's time is over.
KHIVE_DECL bool BreakerMachine::take_back(const Ticket& ticket) noexcept
{
    if (ticket.epoch != epoch_) return false;
    if (ticket.probe == 0) return true;
    const auto mine = std::find_if(probes_.begin(), probes_.end(), [&](const Probe& p) { return p.id == ticket.probe; });
    if (mine == probes_.end()) return false;
    const bool in_time = !free_at(*mine, latest_);
    *mine = {};
    return in_time;
}

KHIVE_DECL void BreakerMachine::record(const Ticket& ticket, Verdict verdict, TimePoint now, Random& random) noexcept
{
    now = tick(now);
    if (!take_back(ticket)) {
        ++stats_.late;
        return;
    }
    if (verdict == Verdict::neutral || verdict == Verdict::throttled) {
        ++stats_.neutral;
        return;
    }
    const bool failure = verdict == Verdict::failure;
    ++(failure ? stats_.failed : stats_.succeeded);
    ticket.probe == 0 ? record_closed(failure, now, random) : record_probe(failure, now, random);
}

KHIVE_DECL void BreakerMachine::add(const CalmCounts& counts) noexcept
{
    latest_ = std::max(latest_, counts.latest);
    stats_.admitted += counts.admitted;
    stats_.succeeded += counts.succeeded;
    stats_.neutral += counts.neutral;
}

KHIVE_DECL void BreakerMachine::record_closed(bool failure, TimePoint now, Random& random) noexcept
{
    stats_.consecutive_failures = failure ? stats_.consecutive_failures + 1 : 0;
    if (options_.consecutive_failures > 0 && stats_.consecutive_failures >= options_.consecutive_failures)
        return open(BreakerCause::consecutive_failures, now, random);
    if (options_.failure_ratio == 0) return;
    window_.record(failure, now);
    const auto [calls, failures] = window_.counts(now);
    // Divided, not multiplied: 3 of 10 is then exactly the 0.3 that was asked for.
    if (calls >= options_.minimum_throughput &&
        static_cast<double>(failures) / static_cast<double>(calls) >= options_.failure_ratio)
        open(BreakerCause::failure_ratio, now, random);
}

KHIVE_DECL void BreakerMachine::record_probe(bool failure, TimePoint now, Random& random) noexcept
{
    if (failure) {
        if (++probes_failed_ > options_.tolerated_failures) open(BreakerCause::probes_failed, now, random);
    } else if (++probes_succeeded_ >= options_.close_after) {
        enter(BreakerState::closed, BreakerCause::probes_succeeded, now);
    }
}

KHIVE_DECL void BreakerMachine::isolate(TimePoint now) noexcept
{
    enter(BreakerState::isolated, BreakerCause::isolated_by_hand, tick(now));
}

KHIVE_DECL void BreakerMachine::reset(TimePoint now) noexcept
{
    latest_ = std::max(latest_, now);
    opens_ = 0;
    last_open_ = Duration::zero();
    enter(BreakerState::closed, BreakerCause::reset_by_hand, latest_);
}

KHIVE_DECL BreakerState BreakerMachine::state(TimePoint now) noexcept
{
    tick(now);
    return stats_.state;
}

KHIVE_DECL std::string BreakerMachine::describe(TimePoint now)
{
    now = tick(now);
    char text[128];
    const std::string name{to_string(stats_.state)};
    const auto [calls, failures] = window_.counts(now);
    switch (stats_.state) {
    case BreakerState::closed:
        std::snprintf(text, sizeof text, " in a row %u/%u window %llu/%llu", stats_.consecutive_failures,
                      options_.consecutive_failures, static_cast<unsigned long long>(failures),
                      static_cast<unsigned long long>(calls));
        return name + text;
    case BreakerState::open: std::snprintf(text, sizeof text, " for %gs", to_seconds(open_until_ - now)); return name + text;
    case BreakerState::half_open:
        std::snprintf(text, sizeof text, " probes %td/%zu ok %u/%u failed %u",
                      std::count_if(probes_.begin(), probes_.end(), [&](const Probe& p) { return !free_at(p, now); }),
                      probes_.size(), probes_succeeded_, options_.close_after, probes_failed_);
        return name + text;
    case BreakerState::isolated: break;
    }
    return name;
}

} // namespace machine
} // namespace khive::inline KHIVE_ABI

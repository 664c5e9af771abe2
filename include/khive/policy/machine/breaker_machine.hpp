// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>
#include <khive/core/outcome.hpp>
#include <khive/core/random.hpp>
#include <khive/core/time.hpp>
#include <khive/policy/machine/window.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace khive::inline KHIVE_ABI {

/// When a circuit breaker opens, for how long, and what closes it again. Thresholds are inclusive.
///
/// It opens on a number of failures in a row, or on a share of failures among recent calls, or on whichever comes first.
struct CircuitBreakerOptions {
    unsigned consecutive_failures = 5;            ///< opens after so many failures in a row. 0: off.
    double failure_ratio = 0;                     ///< opens when this share of the window failed. [0, 1]. 0: off.
    unsigned minimum_throughput = 20;             ///< fewer calls in the window prove nothing. At least 1.
    Duration window = std::chrono::seconds{30};   ///< how far back the share looks. More than 0.
    unsigned window_calls = 0;                    ///< looks at so many last calls instead. At most 100'000. 0: at `window`.
    Duration open_for = std::chrono::seconds{30}; ///< refuses for so long, twice that the next time, and so on. More than 0.
    Duration max_open_for{};                      ///< doubles up to here. At least `open_for`. 0: eight times `open_for`.
    double open_jitter = 0.1;        ///< up to this share longer, so that a fleet does not probe at once. [0, 1].
    unsigned half_open_probes = 1;   ///< probes at a time. 1 to 1000.
    unsigned close_after = 1;        ///< closes after so many successful probes. At least 1.
    unsigned tolerated_failures = 0; ///< opens again after more failed probes than that.
    Duration max_probe = std::chrono::seconds{30}; ///< a probe older than that no longer holds up the next. More than 0.
};
static_assert(std::is_trivially_destructible_v<CircuitBreakerOptions>);

enum class BreakerState : std::uint8_t {
    closed,    ///< everything passes
    open,      ///< nothing passes until its time is up
    half_open, ///< a few probes pass
    isolated,  ///< nothing passes until `reset`
};

/// Why a breaker changed its state.
enum class BreakerCause : std::uint8_t {
    consecutive_failures,
    failure_ratio,
    time_passed,
    probes_succeeded,
    probes_failed,
    isolated_by_hand,
    reset_by_hand,
};

[[nodiscard]] KHIVE_DECL std::string_view to_string(BreakerState state) noexcept;
[[nodiscard]] KHIVE_DECL std::string_view to_string(BreakerCause cause) noexcept;

/// One change of state.
struct BreakerTransition {
    BreakerState from = BreakerState::closed;
    BreakerState to = BreakerState::closed;
    BreakerCause cause = BreakerCause::reset_by_hand;
    TimePoint at{};
    std::uint64_t number = 0; ///< 1 for the first

    friend bool operator==(const BreakerTransition&, const BreakerTransition&) = default;
};

/// The latest transitions, as many as fit.
class BreakerHistory {
public:
    static constexpr std::size_t room = 16;

    /// How many there ever were.
    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    /// The number of the oldest that is still here; `count() + 1` if there was none.
    [[nodiscard]] std::uint64_t oldest() const noexcept { return count_ < room ? 1 : count_ - room + 1; }
    /// By number, `oldest()` to `count()`.
    [[nodiscard]] const BreakerTransition& operator[](std::uint64_t number) const noexcept { return ring_[number % room]; }
    KHIVE_DECL void add(BreakerTransition transition) noexcept;

private:
    std::uint64_t count_ = 0; // beside the numbers of `BreakerStats`, which change all the time
    std::array<BreakerTransition, room> ring_{};
};

/// What a circuit breaker has seen, as a value.
struct BreakerStats {
    std::uint64_t admitted = 0;
    std::uint64_t refused = 0;
    std::uint64_t succeeded = 0; ///< recorded and counted
    std::uint64_t failed = 0;    ///< recorded and counted
    std::uint64_t neutral = 0;   ///< throttled, cancelled, refused elsewhere, or destroyed without a verdict
    std::uint64_t late = 0;      ///< admitted before a change of state or given up as a probe: counted for nothing
    BreakerState state = BreakerState::closed;
    unsigned consecutive_failures = 0;
    BreakerHistory history;
};

namespace machine {

/// What has been counted for a breaker that was calm.
struct CalmCounts {
    TimePoint latest = TimePoint::min();
    std::uint64_t admitted = 0;
    std::uint64_t succeeded = 0;
    std::uint64_t neutral = 0;
};

/// Decides who may pass: closed, open for a time, half open for a few probes, isolated.
///
/// Every admission is marked with the epoch in which it was given. A result counts only in its own epoch, so a call that
/// outlived a change of state can neither close, open, nor free a slot that is not its own.
///
/// - Time: only from `now`; a step back is ignored. Any verb that reads the state moves it on, also `state()`.
/// - Complexity: O(1), O(`half_open_probes`) while half open; no allocation after construction.
/// - Source: Nygard, Release It!; windows and probes as in resilience4j, with epochs.
class BreakerMachine {
public:
    /// The right to one attempt.
    struct Ticket {
        std::uint64_t epoch = 0;
        std::uint64_t probe = 0; ///< 0 while closed
    };

    /// A ticket, or how long until there may be one.
    struct Admission {
        std::optional<Ticket> ticket;
        Duration wait{};
    };

    /// Throws `ConfigurationError`.
    KHIVE_DECL explicit BreakerMachine(const CircuitBreakerOptions& options);

    /// How long until it may admit again, at the latest; nothing if it would now; `unlimited` while isolated.
    [[nodiscard]] KHIVE_DECL std::optional<Duration> refusal(TimePoint now) noexcept;
    /// A ticket unless `refusal(now)`.
    [[nodiscard]] KHIVE_DECL Admission try_admit(TimePoint now) noexcept;
    /// How the attempt ended. `Verdict::neutral` and `throttled` only give the probe's slot back.
    KHIVE_DECL void record(const Ticket& ticket, Verdict verdict, TimePoint now, Random& random) noexcept;
    /// Refuses everything until `reset`.
    KHIVE_DECL void isolate(TimePoint now) noexcept;
    /// Closed and without memory of failures; results of earlier admissions do not count.
    KHIVE_DECL void reset(TimePoint now) noexcept;

    [[nodiscard]] KHIVE_DECL BreakerState state(TimePoint now) noexcept;
    /// It admits whoever comes, and remembers no failure: successes and what says nothing are only counted, by whomever, with the
    /// ticket `{epoch(), 0}` and to be told with `add` before any other verb.
    [[nodiscard]] bool is_calm() const noexcept
    {
        return stats_.state == BreakerState::closed && stats_.consecutive_failures == 0 && options_.failure_ratio == 0;
    }
    [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
    KHIVE_DECL void add(const CalmCounts& counts) noexcept;
    /// The state as of the last verb.
    [[nodiscard]] BreakerState last_state() const noexcept { return stats_.state; }
    [[nodiscard]] const BreakerStats& stats() const noexcept { return stats_; }
    /// "open for 12.5s", "half_open probes 1/1 ok 0/1 failed 0", ...
    [[nodiscard]] KHIVE_DECL std::string describe(TimePoint now);

private:
    struct Probe {
        std::uint64_t id = 0; ///< 0 is free
        TimePoint since{};
    };

    KHIVE_DECL TimePoint tick(TimePoint now) noexcept;
    KHIVE_DECL void enter(BreakerState to, BreakerCause cause, TimePoint now) noexcept;
    KHIVE_DECL void open(BreakerCause cause, TimePoint now, Random& random) noexcept;
    [[nodiscard]] KHIVE_DECL Duration open_time(Random& random) const noexcept;
    KHIVE_DECL void record_closed(bool failure, TimePoint now, Random& random) noexcept;
    KHIVE_DECL void record_probe(bool failure, TimePoint now, Random& random) noexcept;
    [[nodiscard]] bool free_at(const Probe& probe, TimePoint now) const noexcept;
    [[nodiscard]] KHIVE_DECL Probe* free_probe(TimePoint now) noexcept;
    [[nodiscard]] KHIVE_DECL bool take_back(const Ticket& ticket) noexcept;
    [[nodiscard]] KHIVE_DECL Duration until_probe_expires(TimePoint now) const noexcept;

    // First what every call touches, so that it is in few cache lines.
    TimePoint latest_ = TimePoint::min(); ///< time does not go back
    std::uint64_t epoch_ = 1;
    BreakerStats stats_;
    CircuitBreakerOptions options_;
    Window window_;
    std::vector<Probe> probes_;
    std::uint64_t last_probe_ = 0;
    TimePoint open_until_{};
    TimePoint closed_since_{};
    Duration last_open_{};
    unsigned opens_ = 0; ///< in a row, without a quiet period between them
    unsigned probes_succeeded_ = 0;
    unsigned probes_failed_ = 0;
};

inline bool BreakerMachine::free_at(const Probe& probe, TimePoint now) const noexcept
{
    return probe.id == 0 || now - probe.since >= options_.max_probe;
}

} // namespace machine
} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/machine/impl/breaker_machine.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/time_service.hpp>
#include <khive/core/random.hpp>
#include <khive/core/result.hpp>
#include <khive/policy/concepts.hpp>
#include <khive/policy/detail/awaitable_value.hpp>
#include <khive/policy/failure.hpp>
#include <khive/policy/machine/breaker_machine.hpp>

#include <boost/asio/this_coro.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI {

namespace detail {
class BreakerShare;
}

/// Stops calls to something that does not work, lets a few through after a while, and closes again when those succeed.
///
/// `co_await breaker.execute(fn)` guards any awaitable; a client uses the protocol below. A call counts as failed when the
/// other side failed: refusals by other policies, cancellation by the caller, a 4xx, a 429 and a bug of the caller do not.
/// See `CircuitBreakerOptions` for what opens and closes it.
///
/// - Cancellation: says nothing about the other side; a probe that is cancelled or dropped frees its place.
/// - Errors: `circuit_open` with `retry_after`, the time until it lets a probe through; none while isolated.
/// - Thread safety: a handle; copies share the breaker and may be used from any thread.
/// - Complexity: one short lock to enter, one to record; no allocation, also where it refuses.
class CircuitBreaker {
public:
    class Ticket;

    /// Throws `ConfigurationError` where the options contradict themselves.
    KHIVE_DECL explicit CircuitBreaker(const CircuitBreakerOptions& options = {});
    /// The same seed gives the same jitter.
    KHIVE_DECL CircuitBreaker(const CircuitBreakerOptions& options, const Random& random);

    /// Runs `fn()`, an awaitable of a value or of a `Result`, unless the circuit is open. A refusal comes as an exception or,
    /// where `fn` gives a `Result`, as its error. Whatever `fn` throws comes out unchanged.
    ///
    /// - Lifetime: keeps its own copy of `fn`, and the breaker. For GCC 12 and 13 name an `fn` whose captures own memory on the
    ///   line before the `co_await`.
    template <class Fn>
    [[nodiscard]] auto execute(Fn fn) const -> std::invoke_result_t<Fn&>;

    /// \name Setup. Each changes the shared breaker and gives a handle to it.
    /// @{
    /// Names it in its errors.
    KHIVE_DECL CircuitBreaker named(std::string name) const;
    /// Decides instead of `Failure::outcome()` what a failure of `execute` says.
    KHIVE_DECL CircuitBreaker classify(std::function<Verdict(const Failure&)> classifier) const;
    /// Calls back on every change of state: outside the lock, in order, one at a time, from the thread that caused it or one
    /// that is calling already. It may use the breaker. What it throws is swallowed and counted.
    KHIVE_DECL CircuitBreaker on_state_change(std::function<void(const BreakerTransition&)> callback) const;
    /// @}

    /// \name By hand
    /// @{
    /// Refuses everything until `reset`.
    KHIVE_DECL void isolate(TimePoint now = Clock::now()) const;
    /// Closes it and forgets all failures; calls under way count no more.
    KHIVE_DECL void reset(TimePoint now = Clock::now()) const;
    [[nodiscard]] KHIVE_DECL BreakerState state(TimePoint now = Clock::now()) const;
    [[nodiscard]] KHIVE_DECL BreakerStats stats(TimePoint now = Clock::now()) const;
    /// One line for people.
    [[nodiscard]] KHIVE_DECL std::string describe(TimePoint now = Clock::now()) const;
    /// How many callbacks threw.
    [[nodiscard]] KHIVE_DECL std::uint64_t callback_errors() const noexcept;
    /// @}

    /// \name Protocol
    /// @{
    /// Would it refuse now? Takes nothing.
    [[nodiscard]] KHIVE_DECL std::optional<Error> refusal(TimePoint now) const;
    /// The right to one attempt.
    [[nodiscard]] KHIVE_DECL Result<Ticket> try_admit(TimePoint now) const;
    /// A handle to the same breaker whose admissions get in nobody's way as long as nothing fails. A client takes one, so that
    /// clients of several threads can share a breaker at no cost.
    [[nodiscard]] KHIVE_DECL CircuitBreaker own_share() const;
    /// @}

private:
    std::shared_ptr<detail::BreakerShare> share_;
};

/// The right to one attempt. Destroyed without a record it says nothing, and frees the probe's place.
class CircuitBreaker::Ticket {
public:
    Ticket(Ticket&& other) noexcept
        : share_(std::exchange(other.share_, nullptr)), ticket_(other.ticket_), admitted_(other.admitted_)
    {}
    KHIVE_DECL Ticket& operator=(Ticket&& other) noexcept;
    ~Ticket()
    {
        if (share_ != nullptr) drop();
    }

    /// How the attempt ended. Only the first call counts.
    KHIVE_DECL void record(const Outcome& outcome, TimePoint now) noexcept;
    /// The same for a failure, which the breaker's classifier judges.
    KHIVE_DECL void record(const Failure& failure, TimePoint now) noexcept;

private:
    friend class CircuitBreaker;
    Ticket(detail::BreakerShare& share, machine::BreakerMachine::Ticket ticket, TimePoint admitted) noexcept
        : share_(&share), ticket_(ticket), admitted_(admitted)
    {}
    KHIVE_DECL void drop() noexcept;

    detail::BreakerShare* share_; ///< which lives as long as it has tickets; null once recorded
    machine::BreakerMachine::Ticket ticket_;
    TimePoint admitted_;
};

static_assert(CircuitBreakerPolicy<CircuitBreaker>);

namespace detail {

/// Ends a ticket with what `fn` gave: a value is a success, the error of a `Result` is judged.
template <class Value>
void record_value(CircuitBreaker::Ticket& ticket, const Value& value, bool cancelled, TimePoint now)
{
    if constexpr (is_result<Value>) {
        if (value.has_error()) {
            if (!cancelled) ticket.record(Failure(value.error()), now);
            return;
        }
    }
    ticket.record(Outcome{}, now);
}

template <class Value, class Fn>
asio::awaitable<Value> guard(CircuitBreaker breaker, Fn fn)
{
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    const async::TimeService& time = async::time_service(executor);
    auto ticket = breaker.try_admit(time.now());
    if (!ticket) {
        if constexpr (is_result<Value>)
            co_return Value(boost::system::in_place_error, ticket.error());
        else
            ticket.error().raise();
    }
    std::exception_ptr thrown;
    try {
        if constexpr (std::is_void_v<Value>) {
            co_await fn();
            ticket->record(Outcome{}, time.now());
            co_return;
        } else {
            Value value = co_await fn();
            const auto state = co_await asio::this_coro::cancellation_state;
            record_value(*ticket, value, is_cancelled(state), time.now());
            co_return value;
        }
    } catch (...) {
        thrown = std::current_exception();
    }
    const auto state = co_await asio::this_coro::cancellation_state;
    if (!is_cancelled(state)) ticket->record(Failure(thrown), time.now());
    std::rethrow_exception(thrown);
}

} // namespace detail

template <class Fn>
auto CircuitBreaker::execute(Fn fn) const -> std::invoke_result_t<Fn&>
{
    static_assert(Awaitable<std::invoke_result_t<Fn&>>, "CircuitBreaker::execute: fn() must give an asio::awaitable");
    return detail::guard<detail::AwaitedValue<std::invoke_result_t<Fn&>>>(*this, std::move(fn));
}

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/impl/circuit_breaker.ipp>
#endif

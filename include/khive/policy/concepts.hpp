// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>
#include <khive/async/wait_queue.hpp>
#include <khive/core/outcome.hpp>
#include <khive/core/result.hpp>
#include <khive/core/time.hpp>
#include <khive/policy/machine/retry_decision.hpp>

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI {

// What a policy must be able to do, one requirement per concept, so that a compiler's "because" names the missing verb.
// A policy is a handle: copying it shares its state, and its verbs may be called from any thread.
//
// `try_x` never waits and takes `now`. Its awaitable twin waits in order, on the time service of the awaiting coroutine.
// What they hand out is a permit: a move-only value that gives back on destruction what it holds.

/// Owns something that must be given back once.
template <class T>
concept MoveOnly = std::movable<T> && !std::copy_constructible<T>;

/// `permit.spend()`: what was taken stays taken, also after the permit's destruction.
template <class T>
concept CanBeSpent = requires(T& permit) {
    { permit.spend() } noexcept;
};

namespace detail {

template <class T>
struct AwaitableTraits : std::false_type {};
template <class T, class Executor>
struct AwaitableTraits<asio::awaitable<T, Executor>> : std::true_type {
    using value_type = T;
};

} // namespace detail

/// An `asio::awaitable` of something.
template <class T>
concept Awaitable = detail::AwaitableTraits<std::remove_cvref_t<T>>::value;

/// \name Rate limiter
/// @{
template <class P>
concept HasTokens = MoveOnly<typename P::Token> && CanBeSpent<typename P::Token>;

/// `try_take(cost, now)`: a token if there is one and nobody waits for it.
template <class P>
concept TakesTokens = requires(P& p, double cost, TimePoint now) {
    { p.try_take(cost, now) } -> std::same_as<std::optional<typename P::Token>>;
};
/// `take(request)`: a token in the caller's turn.
template <class P>
concept WaitsForTokens = requires(P& p, const async::WaitRequest& request) {
    { p.take(request) } -> std::same_as<asio::awaitable<Result<typename P::Token>>>;
};
/// `check_cost(cost)`: why this cost can never be granted, if so.
template <class P>
concept ChecksCosts = requires(P& p, double cost) {
    { p.check_cost(cost) } -> std::same_as<std::optional<Error>>;
};
/// Hands out tokens in order, at a rate. A token that is destroyed unspent goes back.
template <class P>
concept RateLimiterPolicy = std::copyable<P> && HasTokens<P> && TakesTokens<P> && WaitsForTokens<P> && ChecksCosts<P>;
/// @}

/// \name Executor
/// @{
template <class P>
concept HasSlots = MoveOnly<typename P::Slot>;

/// `try_enter(now)`: a slot if one is free and nobody waits for it.
template <class P>
concept HandsOutSlots = requires(P& p, TimePoint now) {
    { p.try_enter(now) } -> std::same_as<std::optional<typename P::Slot>>;
};
/// `enter(request)`: a slot in the caller's turn.
template <class P>
concept WaitsForSlots = requires(P& p, const async::WaitRequest& request) {
    { p.enter(request) } -> std::same_as<asio::awaitable<Result<typename P::Slot>>>;
};
/// Bounds how many run at once.
template <class P>
concept ExecutorPolicy = std::copyable<P> && HasSlots<P> && HandsOutSlots<P> && WaitsForSlots<P>;
/// @}

/// \name Rate and concurrency as one
/// @{
template <class P>
concept HasGrants = MoveOnly<typename P::Grant> && CanBeSpent<typename P::Grant>;

/// `try_dispatch(cost, now)`: token and slot together, or neither.
template <class P>
concept Dispatches = requires(P& p, double cost, TimePoint now) {
    { p.try_dispatch(cost, now) } -> std::same_as<std::optional<typename P::Grant>>;
};
/// `dispatch(request)`: token and slot together in the caller's turn.
template <class P>
concept WaitsForDispatch = requires(P& p, const async::WaitRequest& request) {
    { p.dispatch(request) } -> std::same_as<asio::awaitable<Result<typename P::Grant>>>;
};
/// Bounds how many run at once and how many start per period, with one queue. A grant frees its slot on destruction, and gives
/// its token back unless it was spent.
template <class P>
concept DispatchPolicy = std::copyable<P> && HasGrants<P> && Dispatches<P> && WaitsForDispatch<P> && ChecksCosts<P>;

/// Not required. `grant.refund()` gives back the token and keeps the slot; `try_charge(grant, cost, now)` and `charge(grant,
/// request)` take a token for such a grant, before all callers that have none. A client refunds the grant of a call that has to
/// wait for a connection, and without these verbs destroys it.
template <class P>
concept ChargesGrants =
    requires(P& p, typename P::Grant& grant, const async::WaitRequest& request, double cost, TimePoint now) {
        { grant.refund() } noexcept;
        { p.try_charge(grant, cost, now) } -> std::same_as<bool>;
        { p.charge(std::move(grant), request) } -> std::same_as<asio::awaitable<Result<typename P::Grant>>>;
    };
/// @}

/// \name Circuit breaker
/// @{
/// `refusal(now)`: would it refuse now? Consumes nothing.
template <class P>
concept PeeksRefusals = requires(P& p, TimePoint now) {
    { p.refusal(now) } -> std::same_as<std::optional<Error>>;
};
/// `try_admit(now)`: a ticket for one attempt, or why there is none.
template <class P>
concept IssuesTickets = MoveOnly<typename P::Ticket> && requires(P& p, TimePoint now) {
    { p.try_admit(now) } -> std::same_as<Result<typename P::Ticket>>;
};
/// `ticket.record(outcome, now)`: how the attempt ended. A ticket that is destroyed without says nothing.
template <class P>
concept RecordsOutcomes = requires(typename P::Ticket& ticket, const Outcome& outcome, TimePoint now) {
    { ticket.record(outcome, now) } noexcept;
};
/// Stops attempts at something that does not work.
template <class P>
concept CircuitBreakerPolicy = std::copyable<P> && PeeksRefusals<P> && IssuesTickets<P> && RecordsOutcomes<P>;
/// @}

/// \name Retry
/// @{
/// `schedule.next(outcome, attempts_made, now, deadline)`: again, and after which delay? Or why not?
template <class S>
concept DecidesRetries =
    requires(S& schedule, const Outcome& outcome, unsigned attempts_made, TimePoint now, TimePoint deadline) {
        { schedule.next(outcome, attempts_made, now, deadline) } -> std::same_as<RetryDecision>;
    };
/// `begin()`: the schedule of one call, which the policy outlives.
template <class P>
concept BeginsSchedules =
    std::movable<typename P::Schedule> && DecidesRetries<typename P::Schedule> && requires(const P& p) {
        { p.begin() } -> std::same_as<typename P::Schedule>;
    };
/// `attempt_timeout()` and `total_timeout()`; `unlimited` is none.
template <class P>
concept BoundsTime = requires(const P& p) {
    { p.attempt_timeout() } -> std::same_as<Duration>;
    { p.total_timeout() } -> std::same_as<Duration>;
};
/// Decides whether and when a call is tried again.
template <class P>
concept RetryPolicy = std::copyable<P> && BeginsSchedules<P> && BoundsTime<P>;
/// @}

/// Not required, of any policy. `own_share()`: a handle to the same policy that shares with others as little memory as it can. A
/// client takes one.
template <class P>
concept GivesShares = requires(const P& p) {
    { p.own_share() } -> std::same_as<P>;
};

/// \name Client
/// @{
/// `call(request)`: awaitable answer to a `C::Request`.
template <class C>
concept CallsResources = requires(C& c, typename C::Request request) {
    { c.call(std::move(request)) } -> Awaitable;
};
/// `close(timeout)`: awaitable, refuses new calls, ends within its bound.
template <class C>
concept Closes = requires(C& c, Duration timeout) {
    { c.close(timeout) } -> Awaitable;
};
/// Makes calls to a resource and can be closed.
template <class C>
concept ResourceClient = CallsResources<C> && Closes<C>;
/// @}

} // namespace khive::inline KHIVE_ABI

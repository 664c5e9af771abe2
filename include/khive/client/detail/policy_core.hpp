// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/client_core.hpp>
#include <khive/client/detail/permits.hpp>
#include <khive/client/detail/roles.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include <cstdint>
#include <tuple>
#include <utility>

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmismatched-new-delete" // GCC 12 inlines only one half of how Asio allocates a frame
#endif

namespace khive::inline KHIVE_ABI::detail {

/// A client with its policies: the one loop that every call goes through.
template <class... Policies>
class PolicyCore final : public ClientCore {
    using Limiter = FindRole<IsRateLimiter, NullRateLimiter, Policies...>;
    using Executor = FindRole<IsExecutor, NullExecutor, Policies...>;
    using Breaker = FindRole<IsCircuitBreaker, NullCircuitBreaker, Policies...>;
    using Retry = FindRole<IsRetry, NullRetry, Policies...>;
    using Dispatch = FindRole<IsDispatch, void, Policies...>;
    static constexpr bool combined = count_of<IsDispatch, Policies...> != 0;
    using Gate = typename std::conditional_t<combined, std::type_identity<CombinedGate<Dispatch>>,
                                             std::type_identity<SeparateGate<Limiter, Executor>>>::type;

public:
    KHIVE_COLD_DECL PolicyCore(asio::any_io_executor executor, const ClientOptions& options,
                               const std::tuple<Policies...>& policies)
        : ClientCore(std::move(executor), options),
          gate_(make_gate(policies)),
          breaker_(pick<Breaker>(policies)),
          retry_(pick<Retry>(policies))
    {
        const Timeouts& timeouts = settings().timeouts;
        const Error bad = timeouts.check_retry(retry_.attempt_timeout(), retry_.total_timeout());
        if (bad.failed()) bad.raise();
    }

    // Thousands of calls may wait, each with its frame, and GCC gives every local of it a place of its own, also every
    // condition that awaits. So there are few, and what is awaited leaves what it found in `state`.
    asio::awaitable<Response> perform(CallState& call, CallPtr handed_over) override
    {
        if (!prepare(call)) co_return CallEnd(call, handed_over != nullptr);
        Run state(*this, call, handed_over != nullptr);
        if (!state.may_begin()) co_return state.end();
        try {
            for (;;) {
                if (!state.begin()) co_return state.end();

                // Token and slot, both at dispatch.
                auto permit = gate_.try_take(call.fields.cost, state.now);
                if constexpr (Gate::ever_waits) {
                    if (!permit) co_await wait_for_permit(&state, &permit);
                    if (!permit) co_return state.end();
                }
                RoomFor<Ticket> ticket;
                if (!state.admit(ticket)) co_return state.end();

                // A connection; then one exchange, or two where the first met one that had died while idle.
                auto lease = state.try_checkout();
                for (;;) {
                    if (!lease) {
                        if constexpr (Gate::ever_waits) {
                            if (pool().is_exhausted(*call.entry)) {
                                co_await wait_for_connection(&state, &permit, &ticket, &lease);
                                if (state.waited() == Waited::refused) co_return state.end();
                                if (state.waited() == Waited::failed) break;
                                continue;
                            }
                        }
                    } else {
                        // Cancelled? Then nothing is sent: the token goes back.
                        state.look_at(co_await asio::this_coro::cancellation_state);
                        if (state.stopped()) co_return state.interrupted();
                        permit->spend();
                    }
                    auto waiting = async::suspend(lease ? state.exchange(*lease) : state.checkout());
                    co_await std::move(waiting);
                    if (!lease) {
                        if (!state.opened(lease)) break;
                    } else if (state.met_stale(*lease)) {
                        state.replay(lease);
                    } else {
                        state.ended(*lease);
                        break;
                    }
                }
                lease.reset();

                // What it means for everyone.
                if (!state.conclude(ticket, permit)) co_return state.finish();
                if constexpr (!std::is_same_v<Retry, NullRetry>) {
                    if (state.delay() > Duration::zero()) {
                        co_await back_off(&state);
                        if (!state.slept()) co_return state.interrupted();
                    }
                }
            }
        } catch (...) {
            if (!cancellation_was_thrown()) throw;
        }
        co_return state.interrupted();
    }

private:
    class Run;
    using Permit = typename Gate::Permit;
    using Ticket = typename Breaker::Ticket;
    enum class Waited : std::uint8_t { connected, lost, failed, refused };

    // What hardly any call needs has coroutines of its own. They are awaited at once, and work on the locals of the frame that does.

    /// Without one the call has ended.
    asio::awaitable<void> wait_for_permit(Run* state, RoomFor<Permit>* permit)
    {
        auto taking = gate_.take(state->wait_request(), &time(), &state->attempt());
        auto taken = co_await std::move(taking);
        state->read_clock();
        if (taken)
            permit->emplace(std::move(*taken));
        else
            state->refuse(taken.error());
    }

    /// Who waits for a connection of a full pool keeps its slot only. Its token would be paid for now and used in a burst later.
    /// So everybody who waits for one thing while holding others holds them in this order: slot, connection, token.
    asio::awaitable<void> wait_for_connection(Run* state, RoomFor<Permit>* permit, RoomFor<Ticket>* ticket,
                                              net::Lease* lease)
    {
        state->waited(Waited::refused);
        ticket->reset();
        typename Gate::Slot slot = Gate::keep_slot(std::move(**permit));
        permit->reset();
        auto checkout = async::suspend(state->checkout());
        co_await std::move(checkout);
        net::Lease connection;
        const bool opened = state->opened(connection);
        if (opened) *permit = gate_.try_take_token(slot, state->cost(), state->now);
        if (opened && !*permit) {
            auto charging = gate_.take_token(std::move(slot), state->wait_request(), &time(), &state->attempt());
            auto charged = co_await std::move(charging);
            state->read_clock();
            if (!charged) {
                state->refuse(charged.error());
                co_return;
            }
            permit->emplace(std::move(*charged));
            if (!connection->wake(true)) connection.reset(); // nobody has watched it
        }
        if (!opened) {
            state->try_admit(*ticket);
            state->waited(Waited::failed);
            co_return;
        }
        if (!state->admit(*ticket)) co_return;
        state->waited(connection ? Waited::connected : Waited::lost);
        *lease = std::move(connection);
    }

    asio::awaitable<void> back_off(Run* state)
    {
        auto sleep = async::suspend(state->backoff());
        co_await std::move(sleep);
    }

    static Gate make_gate(const std::tuple<Policies...>& policies)
    {
        if constexpr (combined)
            return Gate(pick<Dispatch>(policies));
        else
            return Gate(pick<Limiter>(policies), pick<Executor>(policies));
    }

    Gate gate_;
    Breaker breaker_;
    Retry retry_;
};

} // namespace khive::inline KHIVE_ABI::detail

#include <khive/client/detail/policy_core_run.hpp>

#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 13
#pragma GCC diagnostic pop
#endif

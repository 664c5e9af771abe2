// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/client_core.hpp>
#include <khive/client/detail/permits.hpp>
#include <khive/client/detail/roles.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include <optional>
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
    PolicyCore(asio::any_io_executor executor, const ClientOptions& options, const std::tuple<Policies...>& policies)
        : ClientCore(std::move(executor), options),
          gate_(make_gate(policies)),
          breaker_(pick<Breaker>(policies)),
          retry_(pick<Retry>(policies))
    {
        const Timeouts& timeouts = settings().timeouts;
        if (const auto bad = timeouts.check_retry(retry_.attempt_timeout(), retry_.total_timeout())) bad->raise();
    }

    // The frame of every call is to be small enough for Asio to recycle, which is 1020 bytes, and GCC gives every local of it a
    // place of its own. So there are few, and no errors among them.
    asio::awaitable<Response> perform(CallState& call, CallPtr handed_over) override
    {
        if (!prepare(call)) co_return CallEnd(call, handed_over != nullptr);
        const InFlight in_flight(*this);
        Run state(*this, call, handed_over != nullptr);
        if (!state.may_begin(in_flight.open())) co_return state.end();
        try {
            for (;;) {
                if (!state.begin()) co_return state.end();

                // Token and slot, both at dispatch.
                auto permit = gate_.try_take(call.fields.cost, state.now);
                if constexpr (Gate::ever_waits) {
                    if (!permit) {
                        if (!co_await wait_for_permit(&state, &permit)) co_return state.end();
                    }
                }
                std::optional<Ticket> ticket;
                if (!state.admit(ticket)) co_return state.end();

                // A connection; then one exchange, or two where the first met one that had died while idle.
                auto lease = state.try_checkout();
                for (;;) {
                    const bool connected{lease};
                    if (!connected) {
                        if constexpr (Gate::ever_waits) {
                            if (pool().is_exhausted(*call.entry)) {
                                const Waited waited = co_await wait_for_connection(&state, &permit, &ticket, &lease);
                                if (waited == Waited::refused) co_return state.end();
                                if (waited == Waited::failed) break;
                                continue;
                            }
                        }
                    } else {
                        // Cancelled? Then nothing is sent: the token goes back.
                        if (state.stopped(co_await asio::this_coro::cancellation_state)) co_return state.interrupted();
                        permit->spend();
                    }
                    auto waiting = async::suspend(connected ? state.exchange(*lease) : state.checkout());
                    co_await std::move(waiting);
                    if (!connected) {
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
                        if (!co_await back_off(&state)) co_return state.interrupted();
                    }
                }
            }
        } catch (const boost::system::system_error& error) {
            if (error.code() != asio::error::operation_aborted) throw;
        }
        // Asio throws from `co_await` where a cancellation arrived while nothing was suspended.
        co_return state.interrupted();
    }

private:
    class Run;
    using Permit = typename Gate::Permit;
    using Ticket = typename Breaker::Ticket;
    enum class Waited { connected, lost, failed, refused };

    // What hardly any call needs has coroutines of its own. They are awaited at once, and work on the locals of the frame that does.

    /// False if there is none and the call has ended.
    asio::awaitable<bool> wait_for_permit(Run* state, std::optional<Permit>* permit)
    {
        auto taking = gate_.take(state->wait_request(), &time(), &state->attempt());
        auto taken = co_await std::move(taking);
        state->read_clock();
        if (taken)
            permit->emplace(std::move(*taken));
        else
            state->refuse(taken.error());
        co_return taken.has_value();
    }

    /// Who waits for a connection of a full pool keeps its slot only. Its token would be paid for now and used in a burst later.
    /// So everybody who waits for one thing while holding others holds them in this order: slot, connection, token.
    asio::awaitable<Waited> wait_for_connection(Run* state, std::optional<Permit>* permit, std::optional<Ticket>* ticket,
                                                net::Lease* lease)
    {
        ticket->reset();
        typename Gate::Slot slot = Gate::keep_slot(std::move(**permit));
        permit->reset();
        auto checkout = async::suspend(state->checkout());
        co_await std::move(checkout);
        auto opened = state->checked_out();
        state->opened(opened);
        if (opened) *permit = gate_.try_take_token(slot, state->cost(), state->now);
        if (opened && !*permit) {
            auto charging = gate_.take_token(std::move(slot), state->wait_request(), &time(), &state->attempt());
            auto charged = co_await std::move(charging);
            state->read_clock();
            if (!charged) {
                state->refuse(charged.error());
                co_return Waited::refused;
            }
            permit->emplace(std::move(*charged));
            if (!(**opened).wake(true)) opened->reset(); // nobody has watched it
        }
        if (!opened) {
            state->try_admit(*ticket);
            co_return Waited::failed;
        }
        if (!state->admit(*ticket)) co_return Waited::refused;
        if (!*opened) co_return Waited::lost;
        *lease = std::move(*opened);
        co_return Waited::connected;
    }

    /// False if the call has been cancelled.
    asio::awaitable<bool> back_off(Run* state)
    {
        auto sleep = async::suspend(state->backoff());
        co_await std::move(sleep);
        co_return state->slept();
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

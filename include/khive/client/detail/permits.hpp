// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/time_service.hpp>
#include <khive/async/wait_queue.hpp>
#include <khive/core/ledger.hpp>
#include <khive/policy/concepts.hpp>
#include <khive/policy/null_policies.hpp>

#include <optional>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::detail {

/// Room for a permit for nothing, as `std::optional` is for others: there always is one.
struct NullRoom {
    constexpr void emplace() noexcept {}
    constexpr void reset() noexcept {}
    [[nodiscard]] static constexpr bool has_value() noexcept { return true; }
    [[nodiscard]] explicit constexpr operator bool() const noexcept { return true; }
    [[nodiscard]] constexpr NullPermit& operator*() noexcept { return permit; }
    [[nodiscard]] constexpr NullPermit* operator->() noexcept { return &permit; }

    NullPermit permit;
};

/// Room for a permit, or a breaker's ticket.
template <class Permit>
using RoomFor = std::conditional_t<std::is_same_v<Permit, NullPermit>, NullRoom, std::optional<Permit>>;

/// Rate token and executor slot of one attempt.
template <class Token, class Slot>
struct Permits {
    Permits(Slot&& a_slot, Token&& a_token) noexcept : slot(std::move(a_slot)), token(std::move(a_token)) {}

    Slot slot;
    Token token;
    void spend() noexcept { token.spend(); }
};

/// Takes rate token and executor slot together, at dispatch: neither is held while waiting for the other, so a stall neither
/// builds up a burst of paid tokens nor blocks the slots of others.
///
/// A caller that waits for one and then misses the other goes to the other's queue, at the place of its arrival. One that has
/// once lost a token for want of a slot keeps the slot it then gets, or callers with what each other wants could swap it for
/// ever. One that has to wait for a connection keeps its slot and takes a token anew once it has one.
template <class Limiter, class Executor>
class SeparateGate {
public:
    using Slot = typename Executor::Slot;
    using Permit = Permits<typename Limiter::Token, Slot>;
    static constexpr bool ever_waits = !std::is_same_v<Limiter, NullRateLimiter> || !std::is_same_v<Executor, NullExecutor>;

    SeparateGate(Limiter limiter, Executor executor) : limiter_(std::move(limiter)), executor_(std::move(executor)) {}

    [[nodiscard]] std::optional<Error> check_cost(double cost) { return limiter_.check_cost(cost); }

    [[nodiscard]] std::optional<Permit> try_take(double cost, TimePoint now)
    {
        auto slot = executor_.try_enter(now);
        if (!slot) return std::nullopt;
        auto token = limiter_.try_take(cost, now);
        if (!token) return std::nullopt;
        return std::optional<Permit>(std::in_place, std::move(*slot), std::move(*token));
    }

    [[nodiscard]] asio::awaitable<Result<Permit>> take(async::WaitRequest request, async::TimeService* time,
                                                       Attempt* attempt)
    {
        for (bool lost_a_token = false;; lost_a_token = true) {
            TimePoint asked = time->now();
            auto slot = executor_.try_enter(asked);
            if (!slot) {
                auto waited = co_await executor_.enter(request);
                attempt->slot_wait += time->now() - asked;
                if (!waited) co_return waited.error();
                slot.emplace(std::move(*waited));
            }
            asked = time->now();
            if (auto token = limiter_.try_take(request.cost, asked)) co_return Permit{std::move(*slot), std::move(*token)};
            if (lost_a_token) co_return co_await take_token(std::move(*slot), request, time, attempt);
            slot.reset();
            auto waited = co_await limiter_.take(request);
            attempt->rate_wait += time->now() - asked;
            if (!waited) co_return waited.error();
            slot = executor_.try_enter(time->now());
            if (slot) co_return Permit{std::move(*slot), std::move(*waited)};
        }
    }

    /// What is left of the permit without its token, which goes back.
    [[nodiscard]] static Slot keep_slot(Permit permit) noexcept { return std::move(permit.slot); }
    /// The slot becomes a permit again if there is a token.
    [[nodiscard]] std::optional<Permit> try_take_token(Slot& slot, double cost, TimePoint now)
    {
        auto token = limiter_.try_take(cost, now);
        if (!token) return std::nullopt;
        return Permit{std::move(slot), std::move(*token)};
    }
    [[nodiscard]] asio::awaitable<Result<Permit>> take_token(Slot slot, async::WaitRequest request, async::TimeService* time,
                                                             Attempt* attempt)
    {
        const TimePoint asked = time->now();
        auto token = co_await limiter_.take(request);
        attempt->rate_wait += time->now() - asked;
        if (!token) co_return token.error();
        co_return Permit{std::move(slot), std::move(*token)};
    }

private:
    Limiter limiter_;
    Executor executor_;
};

/// Where there is neither there is nothing to take.
template <>
class SeparateGate<NullRateLimiter, NullExecutor> {
public:
    using Permit = NullPermit;
    static constexpr bool ever_waits = false;

    SeparateGate(NullRateLimiter, NullExecutor) noexcept {}

    [[nodiscard]] static NullRoom try_take(double, TimePoint) noexcept { return {}; }
};

/// The same from a policy that is both. Where it cannot charge a grant again, nothing is kept of it while waiting for a connection.
template <class Dispatch>
class CombinedGate {
    struct Nothing {};

public:
    using Permit = typename Dispatch::Grant;
    using Slot = std::conditional_t<ChargesGrants<Dispatch>, Permit, Nothing>;
    static constexpr bool ever_waits = true;

    explicit CombinedGate(Dispatch dispatch) : dispatch_(std::move(dispatch)) {}

    [[nodiscard]] std::optional<Error> check_cost(double cost) { return dispatch_.check_cost(cost); }
    [[nodiscard]] std::optional<Permit> try_take(double cost, TimePoint now) { return dispatch_.try_dispatch(cost, now); }

    [[nodiscard]] asio::awaitable<Result<Permit>> take(async::WaitRequest request, async::TimeService* time,
                                                       Attempt* attempt)
    {
        const TimePoint asked = time->now();
        auto granted = co_await dispatch_.dispatch(request);
        attempt->rate_wait += time->now() - asked;
        co_return granted;
    }

    [[nodiscard]] static Slot keep_slot(Permit permit) noexcept
    {
        if constexpr (ChargesGrants<Dispatch>) {
            permit.refund();
            return permit;
        } else {
            return {};
        }
    }
    [[nodiscard]] std::optional<Permit> try_take_token(Slot& slot, double cost, TimePoint now)
    {
        if constexpr (ChargesGrants<Dispatch>) {
            if (!dispatch_.try_charge(slot, cost, now)) return std::nullopt;
            return std::move(slot);
        } else {
            return dispatch_.try_dispatch(cost, now);
        }
    }
    [[nodiscard]] asio::awaitable<Result<Permit>> take_token(Slot slot, async::WaitRequest request, async::TimeService* time,
                                                             Attempt* attempt)
    {
        if constexpr (ChargesGrants<Dispatch>) {
            const TimePoint asked = time->now();
            auto charged = co_await dispatch_.charge(std::move(slot), request);
            attempt->rate_wait += time->now() - asked;
            co_return charged;
        } else {
            co_return co_await take(request, time, attempt);
        }
    }

private:
    Dispatch dispatch_;
};

} // namespace khive::inline KHIVE_ABI::detail

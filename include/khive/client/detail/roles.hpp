// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/policy/concepts.hpp>
#include <khive/policy/null_policies.hpp>

#include <cstddef>
#include <tuple>
#include <type_traits>

namespace khive::inline KHIVE_ABI::detail {

template <class P>
using IsRateLimiter = std::bool_constant<RateLimiterPolicy<P>>;
template <class P>
using IsExecutor = std::bool_constant<ExecutorPolicy<P>>;
template <class P>
using IsDispatch = std::bool_constant<DispatchPolicy<P>>;
template <class P>
using IsCircuitBreaker = std::bool_constant<CircuitBreakerPolicy<P>>;
template <class P>
using IsRetry = std::bool_constant<RetryPolicy<P>>;

/// How many of `Ps` play the role.
template <template <class> class Role, class... Ps>
inline constexpr std::size_t count_of = (std::size_t{0} + ... + (Role<Ps>::value ? 1u : 0u));

template <class P>
inline constexpr bool plays_a_role =
    RateLimiterPolicy<P> || ExecutorPolicy<P> || DispatchPolicy<P> || CircuitBreakerPolicy<P> || RetryPolicy<P>;

/// Says what is missing: a type that has the permit of a role is meant to play it, and its compiler names the verb.
template <class P>
consteval bool require_role()
{
    if constexpr (plays_a_role<P>)
        return true;
    else if constexpr (requires { typename P::Token; })
        static_assert(RateLimiterPolicy<P>, "this type has a Token and is no RateLimiterPolicy");
    else if constexpr (requires { typename P::Slot; })
        static_assert(ExecutorPolicy<P>, "this type has a Slot and is no ExecutorPolicy");
    else if constexpr (requires { typename P::Grant; })
        static_assert(DispatchPolicy<P>, "this type has a Grant and is no DispatchPolicy");
    else if constexpr (requires { typename P::Ticket; })
        static_assert(CircuitBreakerPolicy<P>, "this type has a Ticket and is no CircuitBreakerPolicy");
    else if constexpr (requires { typename P::Schedule; })
        static_assert(RetryPolicy<P>, "this type has a Schedule and is no RetryPolicy");
    else
        static_assert(plays_a_role<P>,
                      "this type is no policy: it must satisfy RateLimiterPolicy, ExecutorPolicy, DispatchPolicy, "
                      "CircuitBreakerPolicy or RetryPolicy, and has none of Token, Slot, Grant, Ticket and Schedule");
    return plays_a_role<P>;
}

/// The first of `Ps` that plays the role, or `Default`.
template <template <class> class Role, class Default, class... Ps>
struct Find {
    using type = Default;
};
template <template <class> class Role, class Default, class P, class... Ps>
struct Find<Role, Default, P, Ps...> {
    using type = typename std::conditional_t<Role<P>::value, std::type_identity<P>, Find<Role, Default, Ps...>>::type;
};

template <template <class> class Role, class Default, class... Ps>
using FindRole = typename Find<Role, Default, Ps...>::type;

/// The policy of a role out of a pack of policies, in a share of its own if it gives any, or a null policy.
template <class Wanted, class... Ps>
Wanted pick(const std::tuple<Ps...>& policies)
{
    if constexpr ((std::is_same_v<Wanted, Ps> || ...) && GivesShares<Wanted>)
        return std::get<Wanted>(policies).own_share();
    else if constexpr ((std::is_same_v<Wanted, Ps> || ...))
        return std::get<Wanted>(policies);
    else
        return Wanted{};
}

} // namespace khive::inline KHIVE_ABI::detail

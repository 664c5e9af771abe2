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

/// Says which verb is missing: each line fails to compile with the name of the concept that is not met.
template <class P>
struct RequireRole {
    static_assert(plays_a_role<P>,
                  "this type is no policy: it must satisfy RateLimiterPolicy, ExecutorPolicy, DispatchPolicy, "
                  "CircuitBreakerPolicy or RetryPolicy; static_assert(khive::RateLimiterPolicy<YourType>), say, tells which verb "
                  "is missing");
    static constexpr bool value = plays_a_role<P>;
};

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

/// The policy of a role out of a pack of policies, or a null policy.
template <class Wanted, class... Ps>
Wanted pick(const std::tuple<Ps...>& policies)
{
    if constexpr ((std::is_same_v<Wanted, Ps> || ...))
        return std::get<Wanted>(policies);
    else
        return Wanted{};
}

} // namespace khive::inline KHIVE_ABI::detail

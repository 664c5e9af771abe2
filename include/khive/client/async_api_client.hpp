// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/any_api_client.hpp>
#include <khive/client/client_options.hpp>
#include <khive/client/detail/policy_core.hpp>
#include <khive/core/shared.hpp>

#include <concepts>
#include <tuple>
#include <utility>

namespace khive::inline KHIVE_ABI {

namespace detail {
/// An execution context, such as an `io_context`.
template <class Context>
concept HasExecutor = std::convertible_to<decltype(std::declval<Context&>().get_executor()), asio::any_io_executor>;
} // namespace detail

/// A client for one HTTP API, with the policies that its calls go through.
///
/// The role of each policy is found by concept, in whatever order they are given; a role that is not given costs nothing. Every
/// attempt passes, in this order: circuit breaker (would it refuse?), rate token and executor slot together, circuit
/// breaker's ticket, connection, exchange; then the outcome is recorded and the retry policy decides.
///
/// `AsyncAPIClient api{io, "https://api.example.com", TokenBucketRateLimiter{{.rate = 20}}, RetryWithBackoff{}};`
///
/// - Errors: the constructor throws `InvalidURLError` and `ConfigurationError`.
/// - Thread safety: safe, also on an `io_context` run by several threads.
/// - Lifetime: a handle, see `AnyAPIClient`, to which it converts by slicing.
template <class... Policies>
class AsyncAPIClient : public AnyAPIClient {
    static_assert((detail::require_role<Policies>() && ...));
    static_assert(detail::count_of<detail::IsRateLimiter, Policies...> <= 1, "two policies are rate limiters");
    static_assert(detail::count_of<detail::IsExecutor, Policies...> <= 1, "two policies are executors");
    static_assert(detail::count_of<detail::IsDispatch, Policies...> <= 1, "two policies combine rate and concurrency");
    static_assert(detail::count_of<detail::IsCircuitBreaker, Policies...> <= 1, "two policies are circuit breakers");
    static_assert(detail::count_of<detail::IsRetry, Policies...> <= 1, "two policies are retry policies");
    static_assert(detail::count_of<detail::IsDispatch, Policies...> == 0 ||
                      detail::count_of<detail::IsRateLimiter, Policies...> + detail::count_of<detail::IsExecutor, Policies...> == 0,
                  "a policy that combines rate and concurrency leaves no room for a rate limiter or executor beside it");

public:
    /// `executor` runs the connections; calls resume on their own executors.
    KHIVE_COLD_DECL AsyncAPIClient(asio::any_io_executor executor, ClientOptions options, Policies... policies)
        : AnyAPIClient(make_once<detail::PolicyCore<Policies...>>(std::move(executor), options,
                                                                  std::tuple<Policies...>(policies...))),
          policies_(std::move(policies)...)
    {
    }
    /// The same on an execution context, such as an `io_context`.
    template <detail::HasExecutor Context>
    KHIVE_COLD_DECL AsyncAPIClient(Context& context, ClientOptions options, Policies... policies)
        : AsyncAPIClient(asio::any_io_executor(context.get_executor()), std::move(options), std::move(policies)...)
    {
    }

    /// A policy by its type: `api.policy<CircuitBreaker>().state()`.
    template <class Policy>
    [[nodiscard]] const Policy& policy() const noexcept
    {
        return std::get<Policy>(policies_);
    }

private:
    std::tuple<Policies...> policies_;
};

template <class... Policies>
AsyncAPIClient(asio::any_io_executor, ClientOptions, Policies...) -> AsyncAPIClient<Policies...>;
template <detail::HasExecutor Context, class... Policies>
AsyncAPIClient(Context&, ClientOptions, Policies...) -> AsyncAPIClient<Policies...>;

} // namespace khive::inline KHIVE_ABI

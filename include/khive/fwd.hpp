// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <cstdint>

/// Names without definitions, for headers that only pass khive's types on.
namespace khive::inline KHIVE_ABI {

class AnyAPIClient;
template <class... Policies>
class AsyncAPIClient;
class AsyncExecutor;
class CallObserver;
class CircuitBreaker;
class ClientOptions;
class Error;
enum class ErrorKind : std::uint8_t;
class Headers;
class Ledger;
class RateLimitedExecutor;
class Request;
class RequestBuilder;
class Response;
class RetryWithBackoff;
class Secret;
class TokenBucketRateLimiter;
class Url;

} // namespace khive::inline KHIVE_ABI

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error.hpp>

#include <exception>
#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// The root of everything that khive throws. It holds the `Error` of its value form.
///
/// `catch (const khive::APIStatusError& e) { e.error().status(); }`
class APIClientError : public std::exception {
public:
    KHIVE_COLD_DECL explicit APIClientError(Error error);
    APIClientError(const APIClientError&) = default;
    APIClientError& operator=(const APIClientError&) = default;
    KHIVE_COLD_DECL ~APIClientError() override;

    [[nodiscard]] const Error& error() const noexcept { return error_; }
    [[nodiscard]] const char* what() const noexcept override { return what_.c_str(); }

private:
    Error error_;
    std::string what_;
};

/// Could not connect, or the connection broke.
class APIConnectionError : public APIClientError {
public:
    using APIClientError::APIClientError;
};
/// The host name has no address.
class ResolveError : public APIConnectionError {
public:
    using APIConnectionError::APIConnectionError;
};
/// The TLS handshake failed, or the certificate does not prove the host.
class TlsError : public APIConnectionError {
public:
    using APIConnectionError::APIConnectionError;
};
/// Verification is on and there is no certificate authority to verify with.
class NoTrustAnchorsError : public TlsError {
public:
    using TlsError::TlsError;
};

/// A timer of ours ran out; `error().timer()` says which. A server's 408 is a `RequestTimeoutError`.
class APITimeoutError : public APIClientError {
public:
    using APIClientError::APIClientError;
};
/// No connection of the pool became free in time.
class PoolTimeoutError : public APITimeoutError {
public:
    using APITimeoutError::APITimeoutError;
};

/// The other side does not speak valid HTTP/1.1.
class ProtocolError : public APIClientError {
public:
    using APIClientError::APIClientError;
};
/// The connection ended before the body did.
class TruncatedBodyError : public ProtocolError {
public:
    using ProtocolError::ProtocolError;
};
/// The head of the answer is over the limit.
class HeaderTooLargeError : public ProtocolError {
public:
    using ProtocolError::ProtocolError;
};
/// The body of the answer is over the limit.
class BodyTooLargeError : public APIClientError {
public:
    using APIClientError::APIClientError;
};
/// The body is not what was asked for.
class DecodeError : public APIClientError {
public:
    using APIClientError::APIClientError;
};

/// An answer with status 400 or more.
class APIStatusError : public APIClientError {
public:
    using APIClientError::APIClientError;
};
/// 400
class BadRequestError : public APIStatusError {
public:
    using APIStatusError::APIStatusError;
};
/// 401
class AuthenticationError : public APIStatusError {
public:
    using APIStatusError::APIStatusError;
};
/// 403
class PermissionDeniedError : public APIStatusError {
public:
    using APIStatusError::APIStatusError;
};
/// 404
class ResourceNotFoundError : public APIStatusError {
public:
    using APIStatusError::APIStatusError;
};
/// 408, the server's. A timer of ours that ran out is an `APITimeoutError`.
class RequestTimeoutError : public APIStatusError {
public:
    using APIStatusError::APIStatusError;
};
/// 409
class ConflictError : public APIStatusError {
public:
    using APIStatusError::APIStatusError;
};
/// 422
class UnprocessableEntityError : public APIStatusError {
public:
    using APIStatusError::APIStatusError;
};
/// 429
class RateLimitError : public APIStatusError {
public:
    using APIStatusError::APIStatusError;
};
/// 500 and more
class ServerError : public APIStatusError {
public:
    using APIStatusError::APIStatusError;
};

/// Refused by an open circuit breaker; `error().retry_after()` is the time until it lets a probe through.
class CircuitBreakerOpenError : public APIClientError {
public:
    using APIClientError::APIClientError;
};
/// Refused by the local rate limiter; `error().retry_after()` is the time until it would have been granted.
class LocalRateLimitError : public APIClientError {
public:
    using APIClientError::APIClientError;
};
/// Too many callers wait already.
class QueueFullError : public APIClientError {
public:
    using APIClientError::APIClientError;
};
/// Cancelled by the caller.
class CancelledError : public APIClientError {
public:
    using APIClientError::APIClientError;
};
/// The client or executor is closed.
class ClosedError : public APIClientError {
public:
    using APIClientError::APIClientError;
};

/// A method, header, path, option or cost that cannot be used.
class InvalidArgumentError : public APIClientError {
public:
    using APIClientError::APIClientError;
};
/// Not a usable http or https URL.
class InvalidURLError : public InvalidArgumentError {
public:
    using InvalidArgumentError::InvalidArgumentError;
};
/// Contradictory or impossible settings.
class ConfigurationError : public APIClientError {
public:
    using APIClientError::APIClientError;
};

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/core/impl/error.ipp>
#endif

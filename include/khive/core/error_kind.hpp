// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <boost/system/error_category.hpp>
#include <boost/system/error_code.hpp>

#include <cstdint>
#include <string_view>
#include <type_traits>

namespace khive::inline KHIVE_ABI {

/// What went wrong. The names are stable: logs and dashboards may key on `to_string(kind)`.
enum class ErrorKind : std::uint8_t {
    invalid_argument = 1, ///< a method, header, path, option or cost that cannot be used
    invalid_url,          ///< no usable http or https URL
    configuration,        ///< contradictory or impossible settings, found at construction
    resolve,              ///< no address for the host name
    connect,              ///< no address of the host could be connected to
    connection_lost,      ///< the connection broke while a request was under way
    tls,                  ///< handshake or certificate verification failed
    no_trust_anchors,     ///< verification is on and no certificate authority is loaded
    timeout,              ///< one of the timers ran out; `Error::timer()` says which
    pool_timeout,         ///< no connection became free in time
    protocol,             ///< the answer is not valid HTTP/1.1
    truncated_body,       ///< the connection ended before the body did
    header_too_large,     ///< head or trailers of the answer are over a limit
    body_too_large,       ///< the body of the answer is over the limit
    decode,               ///< the body is not what was asked for (JSON, type)
    status,               ///< an answer with status 400 or more
    circuit_open,         ///< refused by an open circuit breaker, nothing was sent
    rate_limited,         ///< refused by the local rate limiter, nothing was sent
    queue_full,           ///< refused because too many callers wait already, nothing was sent
    cancelled,            ///< cancelled by the caller
    closed,               ///< the client or executor is closed
};

/// The stable name: `connection_lost`, `status`, ...
[[nodiscard]] KHIVE_DECL std::string_view to_string(ErrorKind kind) noexcept;

/// Which timer of a call ran out.
enum class Timer : std::uint8_t {
    none,
    queue,         ///< waiting for a rate token or an executor slot
    pool_wait,     ///< waiting for a connection
    resolve,       ///< looking up the host name
    connect,       ///< TCP connect
    tls_handshake, ///< TLS handshake
    write_stall,   ///< no byte of the request accepted for that long
    first_byte,    ///< request sent, no byte of the answer
    read_stall,    ///< a gap between two pieces of the answer
    attempt,       ///< one attempt
    total,         ///< the whole call
};

[[nodiscard]] KHIVE_DECL std::string_view to_string(Timer timer) noexcept;

/// The category of error codes made from `ErrorKind`, for code that carries `error_code`.
[[nodiscard]] KHIVE_DECL const boost::system::error_category& error_category() noexcept;
[[nodiscard]] KHIVE_DECL boost::system::error_code make_error_code(ErrorKind kind) noexcept;

} // namespace khive::inline KHIVE_ABI

template <>
struct boost::system::is_error_code_enum<khive::ErrorKind> : std::true_type {};

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/core/impl/error_kind.ipp>
#endif

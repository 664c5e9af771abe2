// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/result.hpp>
#include <khive/core/time.hpp>
#include <khive/net/exchange.hpp>

#include <type_traits>

namespace khive::inline KHIVE_ABI {

/// Every timer of a call. Each has an error of its own: `Error::timer()` says which ran out.
///
/// `unlimited` switches one off. No hidden ceiling: a timer that could never run out because another is shorter is a
/// contradiction and rejected, except that an `attempt` or `total` may be shorter than the sum of the stages.
struct Timeouts {
    Duration pool_wait = std::chrono::seconds{5};     ///< waiting for a connection, with none being made. > 0
    Duration resolve = std::chrono::seconds{5};       ///< host name lookup. > 0
    Duration connect = std::chrono::seconds{5};       ///< TCP connect, all addresses together. > 0
    Duration tls_handshake = std::chrono::seconds{5}; ///< TLS handshake. > 0
    Duration write_stall = std::chrono::seconds{30};  ///< no byte of the request accepted for that long. > 0
    Duration first_byte = unlimited;                  ///< request sent, no byte of the answer. > 0
    Duration read_stall = std::chrono::seconds{30};   ///< a gap within the answer. > 0
    Duration attempt = unlimited;                     ///< one attempt, from its sending; dialling has its own. > 0
    Duration total = std::chrono::seconds{60};        ///< the whole call: waits, attempts, backoff. > 0

    [[nodiscard]] net::CheckoutTimeouts checkout() const noexcept { return {pool_wait, {resolve, connect, tls_handshake}}; }
    [[nodiscard]] net::ExchangeTimeouts exchange() const noexcept { return {write_stall, first_byte, read_stall}; }
    /// What contradicts itself, or no error. The default of a stage contradicts nothing.
    [[nodiscard]] KHIVE_COLD_DECL Error check() const;
    /// The same for `attempt` and `total` alone, whatever the stages.
    [[nodiscard]] KHIVE_DECL Error check_limits() const;
    /// The limits of a retry policy that could never run out beside these.
    [[nodiscard]] KHIVE_COLD_DECL Error check_retry(Duration attempt_timeout, Duration total_timeout) const;
};
static_assert(std::is_trivially_destructible_v<Timeouts>);

namespace detail {

/// Those of a client or of a call, with those of an exchange as that refers to them.
struct TimeoutsInForce : Timeouts {
    TimeoutsInForce() = default;
    TimeoutsInForce(const Timeouts& timeouts) noexcept
        : Timeouts(timeouts), of_exchange(exchange()) {} // NOLINT: they are the same

    net::ExchangeTimeouts of_exchange;
};

} // namespace detail

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/client/impl/timeouts.ipp>
#endif

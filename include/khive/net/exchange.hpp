// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/dial_timeouts.hpp>
#include <khive/core/error.hpp>
#include <khive/core/ledger.hpp>
#include <khive/core/time.hpp>

#include <cstddef>
#include <string_view>

namespace khive::inline KHIVE_ABI::net {

/// A point in time by which something must have ended, and what to say if it has not.
struct Deadline {
    TimePoint at = no_deadline;
    Timer timer = Timer::total;
    Duration value = unlimited; ///< the setting it comes from, for the error's text

    /// The earlier of two.
    [[nodiscard]] friend Deadline earlier(const Deadline& a, const Deadline& b) noexcept { return b.at < a.at ? b : a; }
};

/// Limits on stages of getting a connection.
struct CheckoutTimeouts {
    Duration pool_wait = std::chrono::seconds{5}; ///< waiting with no dial under way. > 0
    DialTimeouts dial;                            ///< of a connection made for the caller
};

/// Limits on stages of an exchange; progress restarts the first and the last.
struct ExchangeTimeouts {
    Duration write_stall = std::chrono::seconds{30}; ///< no byte of the request accepted for that long. > 0
    Duration first_byte = unlimited;                 ///< request sent, no byte of the answer
    Duration read_stall = std::chrono::seconds{30};  ///< a gap within the answer. > 0
};

/// What goes out: views that the caller keeps alive until the exchange has ended.
struct Outgoing {
    std::string_view head;
    std::string_view body;
    bool head_method = false; ///< the method is HEAD: the answer has no body whatever it says
    bool closes = false;      ///< the head says `Connection: close`: nothing may follow on the connection (RFC 9112 9.6)
    bool idempotent = false;  ///< the method is: the exchange does not look first whether a reused connection has died

    [[nodiscard]] std::size_t size() const noexcept { return head.size() + body.size(); }
};

/// How an exchange ended; `error.kind()` is zero where a whole answer came.
struct ExchangeEnd {
    [[no_unique_address]] Error error; ///< what follows is in its last word
    bool reused = false;        ///< the connection had served before
    bool wrote = false;         ///< at least one byte of the request was accepted by the system
    bool any_answer = false;    ///< at least one byte of an answer came
    [[nodiscard]] bool ok() const noexcept { return error.kind() == ErrorKind{}; }
    /// The connection turned out to be dead: may it be done again on a fresh one? Always before a byte was written; after, where
    /// the connection had served and the request may be repeated (RFC 9110 9.2.2).
    [[nodiscard]] bool stale(bool replay_safe) const noexcept
    {
        return error.kind() == ErrorKind::connection_lost && !any_answer && (!wrote || (reused && replay_safe));
    }
};

} // namespace khive::inline KHIVE_ABI::net

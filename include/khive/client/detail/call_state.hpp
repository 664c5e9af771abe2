// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/detail/waiting.hpp>
#include <khive/client/request.hpp>
#include <khive/client/response.hpp>
#include <khive/client/timeouts.hpp>
#include <khive/core/error.hpp>
#include <khive/core/ledger.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/shared.hpp>
#include <khive/net/connection_pool.hpp>
#include <khive/net/exchange.hpp>

#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI::detail {

class ClientCore;

/// All that a call holds besides its permits. The client keeps those of finished calls, so that the next one finds its memory
/// ready, and coroutine frames stay small enough to be recycled.
struct CallState {
    Shared<ClientCore> core; ///< set while in use: a call keeps its client's core

    // What the caller wants.
    RequestFields fields;

    // How it is sent, the same for every attempt.
    net::ConnectionPool::OriginEntry* entry = nullptr;
    const TimeoutsInForce* timeouts = nullptr;

    /// What it waits for, or has waited for last; while the client keeps it, the next that it keeps. What follows is in its
    /// last word.
    [[no_unique_address]] Waiting waiting;
    bool is_new = true;     ///< it has not been prepared yet
    bool only_line = false; ///< all that was prepared is of method and path alone, and good for the next call of the same
    bool replay_safe = false;
    bool closes = false; ///< the head says `Connection: close`
    bool raise_for_status = true;

    // What has happened.
    Response response; ///< and the ledger, which is written in its place
    Error error;

    [[nodiscard]] Ledger& ledger() noexcept { return response.writable_ledger(); }
    [[nodiscard]] const Ledger& ledger() const noexcept { return response.ledger(); }
    /// Is all as it was for the call before?
    [[nodiscard]] bool is_prepared() const noexcept { return only_line && fields.only_line && fields.in_head; }
    [[nodiscard]] net::Outgoing outgoing() const noexcept
    {
        const RequestLine& line = fields.line();
        return {line.head, fields.body(), line.head_method, closes, line.idempotent};
    }
    /// The URL without userinfo and query values.
    [[nodiscard]] KHIVE_COLD_DECL std::string redacted_url() const;
    /// Ready for another call; memory stays.
    KHIVE_DECL void clear() noexcept;
};

/// Gives a call's state back to its client.
struct ReturnCallState {
    KHIVE_DECL void operator()(CallState* call) const noexcept;
};
using CallPtr = Owned<CallState, ReturnCallState>;

} // namespace khive::inline KHIVE_ABI::detail

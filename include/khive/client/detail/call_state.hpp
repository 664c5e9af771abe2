// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/request.hpp>
#include <khive/client/response.hpp>
#include <khive/client/timeouts.hpp>
#include <khive/core/error.hpp>
#include <khive/core/ledger.hpp>
#include <khive/net/connection_pool.hpp>
#include <khive/net/exchange.hpp>

#include <memory>
#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI::detail {

class ClientCore;

/// All that a call holds besides its permits. The client keeps those of finished calls, so that the next one finds its memory
/// ready, and coroutine frames stay small enough to be recycled.
struct CallState {
    std::shared_ptr<ClientCore> core; ///< set while in use: a call keeps its client's core

    // What the caller wants.
    RequestFields fields;

    // What is sent, the same for every attempt.
    std::string head;
    std::string target;
    net::ConnectionPool::OriginEntry* entry = nullptr;
    Timeouts timeouts;
    bool replay_safe = false;
    bool raise_for_status = true;

    // What has happened.
    Ledger ledger;
    Response response;
    Error error;

    [[nodiscard]] net::Outgoing outgoing() const noexcept { return {head, fields.body, fields.method == "HEAD"}; }
    /// The URL without userinfo and query values.
    [[nodiscard]] KHIVE_DECL std::string redacted_url() const;
    /// Ready for another call; memory stays.
    KHIVE_DECL void clear() noexcept;
};

/// Gives a call's state back to its client.
struct ReturnCallState {
    KHIVE_DECL void operator()(CallState* call) const noexcept;
};
using CallPtr = std::unique_ptr<CallState, ReturnCallState>;

} // namespace khive::inline KHIVE_ABI::detail

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/completion.hpp>
#include <khive/core/ledger.hpp>
#include <khive/net/exchange.hpp>

#include <exception>
#include <string_view>

namespace khive::inline KHIVE_ABI::net {

class Connection;

/// One exchange to be awaited; named on a line of its own, and alive until it has ended, as is its connection:
/// `auto wait = async::suspend(exchange); co_await std::move(wait);`, then `connection.result()` tells how it ended.
class Exchange final : public async::Suspension {
public:
    Exchange(Connection& connection, const Outgoing& outgoing, const ExchangeTimeouts& timeouts, const Deadline& deadline,
             Attempt& attempt, TimePoint now) noexcept
        : connection_(connection),
          attempt_(attempt),
          timeouts_(timeouts),
          head_(outgoing.head),
          body_(outgoing.body),
          now_(now),
          ends_(deadline.at),
          limit_(deadline.value),
          timer_(deadline.timer),
          head_method_(outgoing.head_method),
          closes_(outgoing.closes),
          idempotent_(outgoing.idempotent)
    {
    }

    /// \name For the connection
    /// @{
    [[nodiscard]] Outgoing outgoing() const noexcept { return {head_, body_, head_method_, closes_, idempotent_}; }
    [[nodiscard]] const ExchangeTimeouts& timeouts() const noexcept { return timeouts_; }
    [[nodiscard]] Deadline deadline() const noexcept { return {ends_, timer_, limit_}; }
    [[nodiscard]] Attempt& attempt() const noexcept { return attempt_; }
    [[nodiscard]] TimePoint began() const noexcept { return now_; }
    /// @}

private:
    KHIVE_DECL void start(async::Completion& rest, asio::cancellation_slot slot) override;
    KHIVE_DECL void failed(std::exception_ptr why) noexcept override;

    // In pieces, which take less room: thousands may wait for their end.
    Connection& connection_;
    Attempt& attempt_;
    const ExchangeTimeouts& timeouts_;
    std::string_view head_;
    std::string_view body_;
    TimePoint now_; ///< when it begins
    TimePoint ends_;
    Duration limit_;
    Timer timer_;
    bool head_method_;
    bool closes_;
    bool idempotent_;
};

} // namespace khive::inline KHIVE_ABI::net

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/net/impl/async_exchange.ipp>
#endif

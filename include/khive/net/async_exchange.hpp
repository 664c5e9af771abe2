// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/completion.hpp>
#include <khive/core/ledger.hpp>
#include <khive/net/exchange.hpp>

#include <exception>

namespace khive::inline KHIVE_ABI::net {

class Connection;

/// One exchange to be awaited; named on a line of its own, and alive until it has ended, as is its connection:
/// `auto wait = async::suspend(exchange); co_await std::move(wait);`, then `connection.result()` tells how it ended.
class Exchange final : public async::Suspension {
public:
    Exchange(Connection& connection, const Outgoing& outgoing, const ExchangeTimeouts& timeouts, const Deadline& deadline,
             Attempt& attempt, TimePoint now) noexcept
        : connection_(connection), outgoing_(outgoing), timeouts_(timeouts), deadline_(deadline), attempt_(attempt), now_(now)
    {
    }

    /// \name For the connection
    /// @{
    [[nodiscard]] const Outgoing& outgoing() const noexcept { return outgoing_; }
    [[nodiscard]] const ExchangeTimeouts& timeouts() const noexcept { return timeouts_; }
    [[nodiscard]] const Deadline& deadline() const noexcept { return deadline_; }
    [[nodiscard]] Attempt& attempt() const noexcept { return attempt_; }
    [[nodiscard]] TimePoint began() const noexcept { return now_; }
    /// @}

private:
    KHIVE_DECL void start(async::Completion& rest, asio::cancellation_slot slot) override;
    KHIVE_DECL void failed(std::exception_ptr why) noexcept override;

    Connection& connection_;
    Outgoing outgoing_;
    const ExchangeTimeouts& timeouts_;
    Deadline deadline_;
    Attempt& attempt_;
    TimePoint now_; ///< when it begins
};

} // namespace khive::inline KHIVE_ABI::net

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/net/impl/async_exchange.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error.hpp>
#include <khive/core/ledger.hpp>

#include <string_view>

namespace khive::inline KHIVE_ABI {

/// One finished call, as an observer sees it. Nothing in it is secret but what the server has put into headers and body of
/// `error`, which are as they came; the views last for the call of the observer.
struct CallRecord {
    std::string_view method;
    std::string_view url;          ///< redacted
    int status = 0;                ///< 0 where no answer came
    const Error* error = nullptr;  ///< null where it succeeded
    const Ledger* ledger = nullptr;
    Duration elapsed{};
};

/// Is told what a client does: for logs and metrics.
///
/// Called on the caller's executor, outside every lock. What it throws is swallowed. It must not block.
///
/// - Thread safety: must allow calls from every thread that uses the client.
class CallObserver {
public:
    virtual ~CallObserver() = default;
    /// A call has ended, one way or the other.
    virtual void on_call(const CallRecord& call) = 0;
    /// An attempt failed and another follows after `delay`.
    virtual void on_retry(const CallRecord& call, Duration delay) = 0;
    /// A policy refused an attempt before anything was sent.
    virtual void on_refusal(const CallRecord& call) = 0;
};

} // namespace khive::inline KHIVE_ABI

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/observer.hpp>
#include <khive/policy/circuit_breaker.hpp>

#include <spdlog/logger.h>

#include <memory>
#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// Writes what a client does to a spdlog logger: one record a finished call, with its ledger's summary, and one a retry or
/// refusal.
///
/// Successful calls at `info`, retries at `info`, refusals at `warn`, failed calls at `warn`. Methods, statuses, times and URLs
/// without userinfo and query values are written; headers and bodies never are.
///
/// `ClientOptions("https://api.example.com").observer(std::make_shared<khive::SpdlogObserver>(spdlog::default_logger()))`
///
/// - Thread safety: that of the logger; give it one of spdlog's `_mt` sinks.
class SpdlogObserver final : public CallObserver {
public:
    explicit SpdlogObserver(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {}

    void on_call(const CallRecord& call) override
    {
        if (call.ledger->stop_reason() == StopReason::refused) return; // has a record of its own
        const double ms = to_seconds(call.elapsed) * 1e3;
        if (call.error == nullptr)
            logger_->info("{} {} {} in {:.1f} ms, {}", call.method, call.url, call.status, ms, call.ledger->summary());
        else
            logger_->warn("{} {} failed in {:.1f} ms: {}, {}", call.method, call.url, ms, reason_of(*call.error),
                          call.ledger->summary());
    }

    void on_retry(const CallRecord& call, Duration delay) override
    {
        const std::string why = call.error != nullptr ? reason_of(*call.error) : "status " + std::to_string(call.status);
        logger_->info("{} {} attempt {} failed: {}; again in {:.1f} ms", call.method, call.url, call.ledger->size(), why,
                      to_seconds(delay) * 1e3);
    }

    void on_refusal(const CallRecord& call) override
    {
        logger_->warn("{} {} refused: {}, {}", call.method, call.url, reason_of(*call.error), call.ledger->summary());
    }

private:
    static std::string reason_of(const Error& error)
    {
        std::string text(error.reason());
        if (error.status() != 0) text += " " + std::to_string(error.status());
        if (error.timer() != Timer::none) text.append(" (").append(to_string(error.timer())).append(")");
        return text;
    }

    std::shared_ptr<spdlog::logger> logger_;
};

/// Writes one record for each change of state of a breaker, at `warn` where it opens and at `info` otherwise. Gives a handle to
/// the same breaker.
inline CircuitBreaker log_state_changes(const CircuitBreaker& breaker, std::shared_ptr<spdlog::logger> logger,
                                        std::string name = "circuit breaker")
{
    return breaker.on_state_change([logger = std::move(logger), name = std::move(name)](const BreakerTransition& change) {
        const auto level = change.to == BreakerState::open ? spdlog::level::warn : spdlog::level::info;
        logger->log(level, "{}: {} -> {} ({})", name, to_string(change.from), to_string(change.to), to_string(change.cause));
    });
}

} // namespace khive::inline KHIVE_ABI

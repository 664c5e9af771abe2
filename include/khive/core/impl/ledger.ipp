// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/detail/format.hpp>
#include <khive/core/ledger.hpp>

#include <cstdio>

namespace khive::inline KHIVE_ABI {
namespace detail {

inline std::string format_ip(const PeerAddress& peer)
{
    char text[48];
    if (peer.family == 4) {
        std::snprintf(text, sizeof text, "%u.%u.%u.%u", unsigned{peer.bytes[0]}, unsigned{peer.bytes[1]},
                      unsigned{peer.bytes[2]}, unsigned{peer.bytes[3]});
        return text;
    }
    std::string groups = "[";
    for (std::size_t i = 0; i < 16; i += 2) {
        std::snprintf(text, sizeof text, "%s%x", i == 0 ? "" : ":", unsigned{peer.bytes[i]} << 8 | peer.bytes[i + 1]);
        groups += text;
    }
    return groups + "]";
}

} // namespace detail

KHIVE_DECL std::string PeerAddress::to_string() const
{
    if (family == 0) return "-";
    return detail::format_ip(*this) + ":" + std::to_string(port);
}

KHIVE_DECL std::string_view to_string(StopReason reason) noexcept
{
    switch (reason) {
    case StopReason::done: return "done";
    case StopReason::not_retryable: return "not_retryable";
    case StopReason::not_replayable: return "not_replayable";
    case StopReason::attempts: return "attempts";
    case StopReason::deadline: return "deadline";
    case StopReason::retry_after: return "retry_after";
    case StopReason::refused: return "refused";
    case StopReason::cancelled: return "cancelled";
    }
    return "unknown";
}

KHIVE_DECL Attempt& Ledger::begin_attempt(TimePoint now)
{
    if (count_ == 0)
        first_ = Attempt{};
    else
        more_.emplace_back();
    ++count_;
    current().started = now;
    return current();
}

KHIVE_DECL std::string Ledger::summary() const
{
    std::string text = std::to_string(count_) + (count_ == 1 ? " attempt" : " attempts");
    for (std::size_t i = 0; i < count_; ++i) {
        const Attempt& attempt = (*this)[i];
        text += i == 0 ? ": " : ", ";
        if (attempt.backoff > Duration::zero()) text += "+" + detail::format_ms(attempt.backoff) + " ";
        text += attempt.status != 0 ? std::to_string(attempt.status) : std::string{khive::to_string(attempt.error)};
        text += " " + detail::format_ms(attempt.elapsed);
        if (attempt.reused) text += " reused";
        if (attempt.replayed) text += " replayed";
    }
    if (stop_ != StopReason::done) text.append("; stopped: ").append(khive::to_string(stop_));
    return text;
}

} // namespace khive::inline KHIVE_ABI

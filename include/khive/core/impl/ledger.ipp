// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/detail/format.hpp>
#include <khive/core/ledger.hpp>

#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI {
namespace detail {

/// RFC 5952: the longest run of two or more zero groups, the first of equals, is `::`.
inline std::string format_ip6(const std::array<std::uint8_t, 16>& bytes)
{
    const auto group = [&](std::size_t i) { return unsigned{bytes[2 * i]} << 8 | bytes[2 * i + 1]; };
    std::size_t gap = 8;
    std::size_t gap_size = 1;
    for (std::size_t i = 0, end = 0; i < 8; i = end + 1) {
        for (end = i; end < 8 && group(end) == 0;) ++end;
        if (end - i <= gap_size) continue;
        gap = i;
        gap_size = end - i;
    }
    std::string text;
    for (std::size_t i = 0; i < 8; i += i == gap ? gap_size : 1) {
        char digits[9];
        std::snprintf(digits, sizeof digits, "%x", group(i));
        if (i == gap)
            text += "::";
        else
            text.append(text.empty() || text.ends_with(':') ? "" : ":").append(digits);
    }
    return text;
}

KHIVE_COLD_DECL std::string format_ip(const PeerAddress& peer)
{
    if (peer.family == 4) {
        char text[48];
        std::snprintf(text, sizeof text, "%u.%u.%u.%u", unsigned{peer.bytes[0]}, unsigned{peer.bytes[1]},
                      unsigned{peer.bytes[2]}, unsigned{peer.bytes[3]});
        return text;
    }
    return "[" + format_ip6(peer.bytes) + "]";
}

/// ` (rate 1200.0ms, pool 3.0ms)`: what it waited for, if anything.
KHIVE_COLD_DECL std::string format_waits(const Attempt& attempt)
{
    std::string text;
    const auto add = [&text](const char* name, Duration wait) {
        if (wait > Duration::zero())
            text.append(text.empty() ? " (" : ", ").append(name).append(" ").append(format_ms(wait));
    };
    add("rate", attempt.rate_wait);
    add("slot", attempt.slot_wait);
    add("pool", attempt.pool_wait);
    return text.empty() ? text : text + ")";
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
    if (std::has_single_bit(count_)) more_.reset(copy_more(*this));
    Attempt& attempt = *std::construct_at(count_ == 0 ? &first_ : more_.get() + (count_ - 1));
    ++count_;
    attempt.started = now;
    return attempt;
}

KHIVE_DECL Attempt* Ledger::copy_more(const Ledger& other)
{
    auto* const attempts = new Attempt[std::bit_ceil(other.count_ + 1)];
    for (std::uint32_t i = 1; i < other.count_; ++i) attempts[i - 1] = other[i];
    return attempts;
}

KHIVE_DECL std::string Ledger::summary() const
{
    std::string text = std::to_string(count_) + (count_ == 1 ? " attempt" : " attempts");
    const char* before = ": ";
    for (const Attempt& attempt : *this) {
        text += std::exchange(before, ", ");
        if (attempt.backoff > Duration::zero()) text += "+" + detail::format_ms(attempt.backoff) + " ";
        const bool failed_otherwise = attempt.error != ErrorKind{} && attempt.error != ErrorKind::status;
        if (attempt.status != 0) text += std::to_string(attempt.status) + (failed_otherwise ? " " : "");
        if (attempt.status == 0 || failed_otherwise) text += khive::to_string(attempt.error);
        text += " " + detail::format_ms(attempt.elapsed) + detail::format_waits(attempt);
        if (attempt.reused) text += " reused";
        if (attempt.replayed) text += " replayed";
    }
    if (stop_ != StopReason::done) text.append("; stopped: ").append(khive::to_string(stop_));
    return text;
}

} // namespace khive::inline KHIVE_ABI

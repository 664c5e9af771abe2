// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error_kind.hpp>

#include <string>

namespace khive::inline KHIVE_ABI {
namespace detail {

class ErrorCategory final : public boost::system::error_category {
public:
    ErrorCategory() noexcept : boost::system::error_category(0x6b686976653031u) {}
    const char* name() const noexcept override { return "khive"; }
    std::string message(int value) const override { return std::string{to_string(static_cast<ErrorKind>(value))}; }
};

} // namespace detail

KHIVE_DECL std::string_view to_string(ErrorKind kind) noexcept
{
    switch (kind) {
    case ErrorKind::invalid_argument: return "invalid_argument";
    case ErrorKind::invalid_url: return "invalid_url";
    case ErrorKind::configuration: return "configuration";
    case ErrorKind::resolve: return "resolve";
    case ErrorKind::connect: return "connect";
    case ErrorKind::connection_lost: return "connection_lost";
    case ErrorKind::tls: return "tls";
    case ErrorKind::no_trust_anchors: return "no_trust_anchors";
    case ErrorKind::timeout: return "timeout";
    case ErrorKind::pool_timeout: return "pool_timeout";
    case ErrorKind::protocol: return "protocol";
    case ErrorKind::truncated_body: return "truncated_body";
    case ErrorKind::header_too_large: return "header_too_large";
    case ErrorKind::body_too_large: return "body_too_large";
    case ErrorKind::decode: return "decode";
    case ErrorKind::status: return "status";
    case ErrorKind::circuit_open: return "circuit_open";
    case ErrorKind::rate_limited: return "rate_limited";
    case ErrorKind::queue_full: return "queue_full";
    case ErrorKind::cancelled: return "cancelled";
    case ErrorKind::closed: return "closed";
    }
    return "unknown";
}

KHIVE_DECL std::string_view to_string(Timer timer) noexcept
{
    switch (timer) {
    case Timer::none: return "none";
    case Timer::queue: return "queue";
    case Timer::pool_wait: return "pool_wait";
    case Timer::resolve: return "resolve";
    case Timer::connect: return "connect";
    case Timer::tls_handshake: return "tls_handshake";
    case Timer::write_stall: return "write_stall";
    case Timer::first_byte: return "first_byte";
    case Timer::read_stall: return "read_stall";
    case Timer::attempt: return "attempt";
    case Timer::total: return "total";
    }
    return "unknown";
}

KHIVE_DECL const boost::system::error_category& error_category() noexcept
{
    static const detail::ErrorCategory category;
    return category;
}

KHIVE_DECL boost::system::error_code make_error_code(ErrorKind kind) noexcept
{
    return {static_cast<int>(kind), error_category()};
}

} // namespace khive::inline KHIVE_ABI

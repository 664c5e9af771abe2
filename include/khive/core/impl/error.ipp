// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/detail/format.hpp>
#include <khive/core/error.hpp>
#include <khive/core/exceptions.hpp>

#include <atomic>
#include <cstdint>
#include <cstdio>

namespace khive::inline KHIVE_ABI {
namespace detail {

/// How many errors share the same details. Their copy begins alone.
struct Sharers {
    Sharers() noexcept = default;
    Sharers(const Sharers&) noexcept {}
    Sharers& operator=(const Sharers&) = delete;
    mutable std::atomic<std::uint32_t> count{0};
};

struct ErrorDetails {
    Sharers sharers;
    std::string reason;
    std::string method;
    std::string url;
    Headers headers;
    std::string body;
    Ledger ledger;
    boost::system::error_code cause;
    Duration timer_value{};
    Duration elapsed{};
    int status = 0;
    Timer timer = Timer::none;
};

KHIVE_DECL void intrusive_ptr_add_ref(const ErrorDetails* details) noexcept
{
    details->sharers.count.fetch_add(1, std::memory_order_relaxed);
}

KHIVE_DECL void intrusive_ptr_release(const ErrorDetails* details) noexcept
{
    if (details->sharers.count.fetch_sub(1, std::memory_order_acq_rel) == 1) delete details;
}

inline const ErrorDetails& no_details() noexcept
{
    static const ErrorDetails none;
    return none;
}

inline const ErrorDetails& details_of(const boost::intrusive_ptr<ErrorDetails>& details) noexcept
{
    return details ? *details : no_details();
}

[[noreturn]] KHIVE_COLD_DECL void raise_status(const Error& error)
{
    switch (error.status()) {
    case 400: throw BadRequestError(error);
    case 401: throw AuthenticationError(error);
    case 403: throw PermissionDeniedError(error);
    case 404: throw ResourceNotFoundError(error);
    case 408: throw RequestTimeoutError(error);
    case 409: throw ConflictError(error);
    case 422: throw UnprocessableEntityError(error);
    case 429: throw RateLimitError(error);
    default: break;
    }
    if (error.status() >= 500) throw ServerError(error);
    throw APIStatusError(error);
}

KHIVE_DECL void raise_invalid_argument(std::string rule, std::string_view name)
{
    Error{ErrorKind::invalid_argument}.with_message(std::move(rule) + ": '" + escape_untrusted(name) + "'").raise();
}

} // namespace detail

KHIVE_DECL std::string escape_untrusted(std::string_view text, std::size_t limit)
{
    std::string out;
    for (const char c : text.substr(0, limit)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f && c != '\\' && c != '\'') {
            out += c;
            continue;
        }
        char hex[8];
        std::snprintf(hex, sizeof hex, "\\x%02x", unsigned{byte});
        out += hex;
    }
    if (text.size() > limit) out += "...";
    return out;
}

KHIVE_DECL detail::ErrorDetails& Error::details()
{
    // Acquires what another thread did with the copy that it has let go of: its reads come before the writes that follow here.
    if (!details_)
        details_ = new detail::ErrorDetails;
    else if (details_->sharers.count.load(std::memory_order_acquire) != 1)
        details_ = new detail::ErrorDetails(*details_);
    return *details_;
}

KHIVE_DECL std::string_view Error::reason() const noexcept
{
    const auto& reason = detail::details_of(details_).reason;
    if (!reason.empty()) return reason;
    switch (kind_) { // where a policy refuses without a word, which costs no memory
    case ErrorKind::rate_limited: return "rate_limited: our own limiter would let it through only after its time limit";
    case ErrorKind::queue_full: return "queue_full: as many wait for a token or slot as may";
    default: return to_string(kind_);
    }
}

KHIVE_DECL std::string Error::message() const
{
    const auto& known = detail::details_of(details_);
    std::string text;
    if (!known.method.empty()) text.append(known.method).append(" ").append(known.url).append(": ");
    text.append(reason());
    if (known.status != 0 && kind_ == ErrorKind::status) text.append(" ").append(std::to_string(known.status));
    if (known.status != 0 && kind_ != ErrorKind::status)
        text.append(" (status ").append(std::to_string(known.status)).append(")");
    if (known.timer != Timer::none)
        text.append(" (timer ")
            .append(to_string(known.timer))
            .append(", ")
            .append(detail::format_ms(known.timer_value))
            .append(")");
    if (known.cause) text.append(": ").append(known.cause.message());
    if (retry_after_ >= Duration::zero()) text.append("; retry after ").append(detail::format_ms(retry_after_));
    if (maybe_processed_) text.append("; the server may have processed it");
    if (known.ledger.size() > 1) text.append(" [").append(known.ledger.summary()).append("]");
    return text;
}

KHIVE_DECL std::string_view Error::method() const noexcept
{
    return detail::details_of(details_).method;
}

KHIVE_DECL std::string_view Error::url() const noexcept
{
    return detail::details_of(details_).url;
}

KHIVE_DECL int Error::status() const noexcept
{
    return detail::details_of(details_).status;
}

KHIVE_DECL const Headers& Error::headers() const noexcept
{
    return detail::details_of(details_).headers;
}

KHIVE_DECL std::string_view Error::body() const noexcept
{
    return detail::details_of(details_).body;
}

KHIVE_DECL boost::system::error_code Error::cause() const noexcept
{
    return detail::details_of(details_).cause;
}

KHIVE_DECL Timer Error::timer() const noexcept
{
    return detail::details_of(details_).timer;
}

KHIVE_DECL Duration Error::timer_value() const noexcept
{
    return detail::details_of(details_).timer_value;
}

KHIVE_DECL Duration Error::elapsed() const noexcept
{
    return detail::details_of(details_).elapsed;
}

KHIVE_DECL const Ledger& Error::ledger() const noexcept
{
    return detail::details_of(details_).ledger;
}

KHIVE_DECL Outcome Error::outcome() const noexcept
{
    Outcome outcome;
    outcome.retryable = retryable_;
    outcome.replay = maybe_processed_ ? ReplaySafety::unsafe : ReplaySafety::safe;
    outcome.retry_after = retry_after();
    switch (kind_) {
    case ErrorKind::resolve:
    case ErrorKind::connect:
    case ErrorKind::connection_lost:
    case ErrorKind::tls:
    case ErrorKind::protocol:
    case ErrorKind::truncated_body:
    case ErrorKind::timeout: outcome.verdict = Verdict::failure; break;
    case ErrorKind::status: outcome.verdict = detail::verdict_of_status(status()); break;
    case ErrorKind::decode:
    case ErrorKind::header_too_large:
    case ErrorKind::body_too_large: outcome.verdict = Verdict::success; break;
    default: outcome.verdict = Verdict::neutral; break;
    }
    // The caller's own deadline, run out while still queued, says nothing about the other side.
    if (kind_ == ErrorKind::timeout && timer() == Timer::queue) outcome.verdict = Verdict::neutral;
    return outcome;
}

KHIVE_DECL Error&& Error::with_message(std::string reason) &&
{
    details().reason = std::move(reason);
    return std::move(*this);
}

KHIVE_DECL Error&& Error::with_request(std::string_view method, std::string_view redacted_url) &&
{
    auto& known = details();
    known.method = method;
    known.url = redacted_url;
    return std::move(*this);
}

KHIVE_DECL Error&& Error::with_response(int status, Headers headers, std::string body) &&
{
    auto& known = details();
    known.status = status;
    known.headers = std::move(headers);
    known.body = std::move(body);
    return std::move(*this);
}

KHIVE_DECL Error&& Error::with_cause(boost::system::error_code cause) &&
{
    details().cause = cause;
    return std::move(*this);
}

KHIVE_DECL Error&& Error::with_timer(Timer timer, Duration value) &&
{
    auto& known = details();
    known.timer = timer;
    known.timer_value = value;
    return std::move(*this);
}

KHIVE_DECL Error&& Error::with_elapsed(Duration elapsed) &&
{
    details().elapsed = elapsed;
    return std::move(*this);
}

KHIVE_DECL Error&& Error::with_ledger(Ledger ledger) &&
{
    details().ledger = std::move(ledger);
    return std::move(*this);
}

KHIVE_DECL APIClientError::APIClientError(Error error) : error_(std::move(error)), what_(error_.message()) {}

KHIVE_DECL APIClientError::~APIClientError() = default;

KHIVE_DECL void Error::raise() const
{
    switch (kind_) {
    case ErrorKind::invalid_argument: throw InvalidArgumentError(*this);
    case ErrorKind::invalid_url: throw InvalidURLError(*this);
    case ErrorKind::configuration: throw ConfigurationError(*this);
    case ErrorKind::resolve: throw ResolveError(*this);
    case ErrorKind::connect:
    case ErrorKind::connection_lost: throw APIConnectionError(*this);
    case ErrorKind::tls: throw TlsError(*this);
    case ErrorKind::no_trust_anchors: throw NoTrustAnchorsError(*this);
    case ErrorKind::timeout: throw APITimeoutError(*this);
    case ErrorKind::pool_timeout: throw PoolTimeoutError(*this);
    case ErrorKind::protocol: throw ProtocolError(*this);
    case ErrorKind::truncated_body: throw TruncatedBodyError(*this);
    case ErrorKind::header_too_large: throw HeaderTooLargeError(*this);
    case ErrorKind::body_too_large: throw BodyTooLargeError(*this);
    case ErrorKind::decode: throw DecodeError(*this);
    case ErrorKind::status: detail::raise_status(*this);
    case ErrorKind::circuit_open: throw CircuitBreakerOpenError(*this);
    case ErrorKind::rate_limited: throw LocalRateLimitError(*this);
    case ErrorKind::queue_full: throw QueueFullError(*this);
    case ErrorKind::cancelled: throw CancelledError(*this);
    case ErrorKind::closed: throw ClosedError(*this);
    }
    throw APIClientError(*this);
}

} // namespace khive::inline KHIVE_ABI

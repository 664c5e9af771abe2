// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/client_core.hpp>
#include <khive/core/min_max.hpp>
#include <khive/core/shared.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/http/classify.hpp>
#include <khive/http/idempotency.hpp>
#include <khive/http/method.hpp>
#include <khive/http/request_head.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <array>
#include <charconv>
#include <initializer_list>
#include <iterator>
#include <utility>

namespace khive::inline KHIVE_ABI::detail {

/// Sets the fields of `over` on top of `under`.
[[gnu::cold]] inline Headers overlay(const Headers& under, const Headers& over)
{
    Headers all = under;
    for (const auto field : over) all.erase(field.name);
    for (const auto field : over) all.add(field.name, field.value);
    return all;
}

/// What observers do wrong is theirs.
template <class Tell>
void tell(const std::shared_ptr<CallObserver>& observer, Tell what) noexcept
{
    if (!observer) return;
    try {
        what(*observer);
    } catch (...) { // NOLINT
    }
}

/// May the byte stand in a target as it is, with no meaning for how a reference is joined to its base?
inline constexpr auto plain_target_bytes = [] {
    std::array<bool, 256> table{};
    for (const char c : std::string_view{"-_~!$&'()*+,;=:@ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"})
        table[static_cast<unsigned char>(c)] = true;
    return table;
}();

/// A path whose joining is nothing but appending: plain bytes, single slashes, no dots, no query.
inline bool is_plain_path(std::string_view path) noexcept
{
    if (path.empty() || path.front() != '/') return false;
    char before = 0;
    for (const char c : path) {
        if (c == '/' ? before == '/' : !plain_target_bytes[static_cast<unsigned char>(c)]) return false;
        before = c;
    }
    return true;
}

/// Appends with one look at the capacity.
inline void append_all(std::string& text, std::initializer_list<std::string_view> pieces)
{
    const std::size_t before = text.size();
    std::size_t size = before;
    for (const auto piece : pieces) size += piece.size();
    text.resize(size);
    char* at = text.data() + before;
    for (const auto piece : pieces) at = std::copy(piece.begin(), piece.end(), at);
}

/// Has the URL a user or password that is not its base's?
inline bool has_own_user(const Url& url, const Url& base)
{
    if (url.user().empty() && url.password().empty()) return false;
    return url.origin() != base.origin() || url.user().reveal() != base.user().reveal() ||
           url.password().reveal() != base.password().reveal();
}

/// Everything after the request line.
inline std::string without_request_line(const std::string& head)
{
    return head.substr(head.find("\r\n") + 2);
}

KHIVE_DECL std::string CallState::redacted_url() const
{
    return entry != nullptr ? redact_url(entry->origin, fields.line().target) : std::string{};
}

KHIVE_DECL void CallState::clear() noexcept
{
    core.reset();
    fields.clear();
    response.clear();
    response.release_body();
    waiting.clear();
    if (error.kind() != ErrorKind{}) error = Error{};
}

KHIVE_DECL void ReturnCallState::operator()(CallState* call) const noexcept
{
    const auto core = std::move(call->core);
    core->keep(call);
}

KHIVE_DECL CallEnd::operator Response() const
{
    if (!handed_over_) return {};
    if (call_.error.kind() != ErrorKind{}) call_.error.raise();
    call_.core->tell_answered(call_);
    return std::move(call_.response);
}

KHIVE_DECL ClientCore::ClientCore(asio::any_io_executor executor, const ClientOptions& options)
    : executor_(std::move(executor)),
      time_(async::time_service(executor_)),
      settings_(options.settings()),
      timeouts_(settings_.timeouts),
      base_headers_(overlay(settings_.headers, settings_.origin_headers)),
      pool_(make_once<net::ConnectionPool>(executor_, settings_.pool, settings_.limits, settings_.tls)),
      base_entry_(&pool_->entry(settings_.base.origin())),
      base_host_(settings_.base.origin().host_header()),
      base_path_(settings_.base.path()),
      drain_(make_once<CallDrain>(in_flight_)),
      closed_error_(Error{ErrorKind::closed}.with_message("the client is closed"))
{
    if (base_path_.ends_with('/')) base_path_.pop_back();
    std::string head;
    if (const Error bad = http::append_request_head(head, "GET", "/", base_host_, base_headers_, {}); bad.failed())
        bad.raise();
    head_fields_ = without_request_line(head);
    base_closes_ = http::says_close(base_headers_);
    base_has_key_ = http::is_replay_safe("POST", base_headers_);
    base_tells_of_body_ = base_headers_.contains("Content-Type") || base_headers_.contains("Content-Length");
}

KHIVE_DECL ClientCore::~ClientCore()
{
    delete last_spare_.load(std::memory_order_acquire);
    while (CallState* const call = take_spare()) delete call;
}

KHIVE_DECL CallPtr ClientCore::new_call(const Shared<ClientCore>& core)
{
    CallState* call = exchange<CallState*>(core->last_spare_, nullptr, std::memory_order_acq_rel);
    KHIVE_YIELD_POINT();
    if (call == nullptr) call = core->take_spare();
    if (call == nullptr) {
        call = new CallState;
        core->use_last_line(*call);
    }
    call->core = core;
    CallPtr owned(call);
    call->response.prepare();
    return owned;
}

KHIVE_DECL CallState* ClientCore::take_spare() noexcept
{
    const std::lock_guard lock(spare_mutex_);
    if (spare_ == nullptr) return nullptr;
    --spare_count_;
    return std::exchange(spare_, spare_->waiting.as<CallState*>());
}

KHIVE_DECL void ClientCore::use_last_line(CallState& call) noexcept
{
    const std::lock_guard lock(spare_mutex_);
    call.fields.share_line(last_new_line_);
}

KHIVE_DECL void ClientCore::remember_line(const CallState& call) noexcept
{
    const std::lock_guard lock(spare_mutex_);
    last_new_line_ = call.fields.shared_line();
}

KHIVE_DECL void ClientCore::keep(CallState* call) noexcept
{
    constexpr std::size_t enough = 128;
    constexpr std::size_t large = 16 * 1024;
    call->clear();
    if (call->fields.line().head.capacity() > large || call->fields.body_capacity() > large) return delete call;
    KHIVE_YIELD_POINT();
    if (replace<CallState*>(last_spare_, nullptr, call, std::memory_order_acq_rel)) return;
    const std::lock_guard lock(spare_mutex_);
    if (spare_count_ == enough) return delete call;
    ++spare_count_;
    call->waiting.emplace<CallState*>(std::exchange(spare_, call));
}

KHIVE_DECL Error ClientCore::set_timeouts(CallState& call) const
{
    const RequestExtras& extras = call.fields.extras();
    call.timeouts = &timeouts_;
    if (!extras.has_timeouts && !extras.total && !extras.attempt) return {};
    Timeouts timeouts = extras.has_timeouts ? extras.timeouts : settings_.timeouts;
    if (extras.has_timeouts)
        if (auto contradiction = timeouts.check(); contradiction.failed()) return contradiction;
    // A call's own limit beats the client's longer ones for what is inside of it; it does not contradict them.
    if (extras.total) timeouts.total = *extras.total;
    if (extras.attempt)
        timeouts.attempt = *extras.attempt;
    else if (timeouts.attempt != unlimited)
        timeouts.attempt = std::min(timeouts.attempt, timeouts.total);
    call.timeouts = &(call.fields.more().in_force = timeouts);
    return timeouts.check_limits();
}

KHIVE_DECL bool ClientCore::prepare_anew(CallState& call)
{
    const RequestFields& fields = call.fields;
    call.only_line = false;
    call.entry = nullptr;
    auto mistake = prepare_or_refuse(call);
    if (!mistake.failed()) {
        call.only_line = fields.only_line && fields.in_head;
        if (std::exchange(call.is_new, false) && call.only_line) remember_line(call);
        return true;
    }
    const std::string url = call.entry != nullptr ? call.redacted_url() : redacted_reference(fields.line().reference);
    call.error = std::move(mistake).with_request(escape_untrusted(fields.line().method), url);
    tell_failed(call.error);
    return false;
}

/// Of a request that was refused before it had a URL.
KHIVE_DECL std::string ClientCore::redacted_reference(std::string_view reference) const
{
    if (reference.find("//") != std::string_view::npos || reference.find('@') != std::string_view::npos) {
        Url url;
        return url.read(reference).failed() ? std::string{} : url.redacted();
    }
    const std::string_view path = reference.substr(0, reference.find_first_of("?#"));
    return settings_.base.origin().to_string() + base_path_ + escape_untrusted(path);
}

KHIVE_DECL Error ClientCore::prepare_or_refuse(CallState& call)
{
    const RequestExtras& extras = call.fields.extras();
    if (extras.mistake.failed()) return std::exchange(call.fields.more().mistake, Error{});
    if (auto contradiction = set_timeouts(call); contradiction.failed()) return contradiction;
    call.raise_for_status = yes(extras.raise_for_status, settings_.raise_for_status);
    if (prepare_plain(call)) return {};
    return prepare_any(call);
}

/// Does what is left of an earlier call say just what this one wants?
KHIVE_DECL bool ClientCore::is_same_as_before(const CallState& call) const
{
    const RequestExtras& extras = call.fields.extras();
    return call.fields.in_head && extras.headers.empty() && !extras.has_body && extras.query.empty();
}

/// The way of most requests: a plain path under the base, no headers of its own. Makes the same bytes as the other.
KHIVE_DECL bool ClientCore::prepare_plain(CallState& call) const
{
    if (!is_same_as_before(call) && !build_plain(call)) return false;
    call.entry = base_entry_;
    call.closes = base_closes_;
    call.replay_safe = yes(call.fields.extras().replay_safe, call.fields.line().plainly_replay_safe);
    return true;
}

KHIVE_DECL bool ClientCore::build_plain(CallState& call) const
{
    RequestFields& fields = call.fields;
    const RequestExtras& extras = fields.extras();
    fields.in_head = false;
    RequestLine& line = fields.own_line();
    const bool tells_length = extras.has_body || http::expects_body(line.method);
    if (!extras.headers.empty() || (tells_length && base_tells_of_body_) || !is_plain_path(line.reference) ||
        !settings_.base.query().empty() || !is_token(line.method))
        return false;
    line.head.clear();
    line.target.clear();
    append_all(line.target, {base_path_, line.reference, extras.query.empty() ? "" : "?", extras.query});
    if (tells_length)
        append_head_with_length(line, extras);
    else
        append_all(line.head, {line.method, " ", line.target, " HTTP/1.1\r\n", head_fields_});
    line.head_method = line.method == "HEAD";
    line.idempotent = http::is_idempotent(line.method);
    line.plainly_replay_safe = line.idempotent || base_has_key_;
    fields.in_head = extras.query.empty() && !extras.has_body;
    return true;
}

KHIVE_DECL void ClientCore::append_head_with_length(RequestLine& line, const RequestExtras& extras) const
{
    char digits[20];
    const char* const end = std::to_chars(std::begin(digits), std::end(digits), extras.body.size()).ptr;
    const std::string_view length(digits, static_cast<std::size_t>(end - digits));
    const std::string_view others = std::string_view(head_fields_).substr(0, head_fields_.size() - 2); // but the empty line
    const bool typed = !extras.content_type.empty();
    append_all(line.head, {line.method, " ", line.target, " HTTP/1.1\r\n", others, typed ? "Content-Type: " : "",
                           trim(extras.content_type), typed ? "\r\n" : "", "Content-Length: ", length, "\r\n\r\n"});
}

KHIVE_DECL Error ClientCore::prepare_any(CallState& call)
{
    RequestFields& fields = call.fields;
    RequestLine& line = fields.own_line();
    RequestExtras& extras = fields.more();
    insert_query(line.reference, extras.query);
    Url url = settings_.base;
    if (auto bad = url.follow(line.reference); bad.failed()) return bad;
    const bool same_origin = url.origin() == settings_.base.origin();
    if (!same_origin && settings_.only_base_origin)
        return Error{ErrorKind::invalid_url}.with_message("the URL is of another origin than the client's base: " +
                                                          url.redacted());
    if (!extras.headers.contains("Authorization") && has_own_user(url, settings_.base))
        extras.set_header("Authorization", detail::basic_credentials(url.user().reveal(), url.password()));
    if (!extras.content_type.empty() && !extras.headers.contains("Content-Type"))
        extras.set_header("Content-Type", extras.content_type);
    const Headers headers = overlay(same_origin ? base_headers_ : settings_.headers, extras.headers);
    const http::BodyLength length{extras.has_body, extras.body.size()};
    std::string head;
    auto bad = http::append_request_head(head, line.method, url.target(),
                                         same_origin ? base_host_ : url.origin().host_header(), headers, length);
    call.entry = base_entry_;
    if (!same_origin) {
        auto held = pool_->hold(url.origin());
        call.entry = held.get();
        void (*const let_go)(void*) = [](void* entry) { net::LetGoOfOrigin{}(static_cast<net::OriginEntry*>(entry)); };
        extras.other_origin = std::shared_ptr<void>(static_cast<void*>(held.release()), let_go);
    }
    line.target = url.target();
    if (bad.failed()) return bad;
    line.head = std::move(head);
    call.closes = http::says_close(headers);
    line.head_method = line.method == "HEAD";
    line.idempotent = http::is_idempotent(line.method);
    call.replay_safe = yes(extras.replay_safe, http::is_replay_safe(line.method, headers));
    return {};
}

KHIVE_DECL bool ClientCore::enter() noexcept
{
    fetch_add(in_flight_, std::size_t{1});
    KHIVE_YIELD_POINT();
    if (!closing_.load()) return true;
    leave();
    return false;
}

KHIVE_DECL void ClientCore::leave() noexcept
{
    if (fetch_add(in_flight_, ~std::size_t{0}) == 1 && (KHIVE_YIELD_POINT(), closing_.load())) drain_->check(now());
}

KHIVE_DECL bool ClientCore::cancellation_was_thrown()
{
    try {
        throw;
    } catch (const boost::system::system_error& error) {
        return error.code() == asio::error::operation_aborted;
    } catch (...) {
        return false;
    }
}

KHIVE_DECL TimePoint ClientCore::begin_closing(Duration timeout) noexcept
{
    closing_.store(true);
    return saturating_add(now(), timeout);
}

KHIVE_DECL void ClientCore::abort() noexcept
{
    closing_.store(true);
    KHIVE_YIELD_POINT();
    scope_->close(closed_error_);
    KHIVE_YIELD_POINT();
    pool_->shut_down();
}

KHIVE_DECL Error ClientCore::status_error(const CallState& call) const
{
    const Response& response = call.response;
    std::string excerpt(response.body().substr(0, settings_.max_error_body));
    return http::make_status_error(response.status(), response.headers(), std::move(excerpt), call.replay_safe, wall_now());
}

/// As the error tells it, which escapes what the caller handed in.
inline CallRecord record_of(const Error& error)
{
    return {error.method(), error.url(), error.status(), &error, &error.ledger(), error.elapsed()};
}

KHIVE_DECL void ClientCore::failed(CallState& call, TimePoint started)
{
    const bool refused = call.ledger().stop_reason() == StopReason::refused;
    call.error = std::move(call.error)
                     .with_request(call.fields.line().method, call.redacted_url())
                     .with_ledger(std::move(call.ledger()))
                     .with_elapsed(now() - started);
    tell(settings_.observer, [&](CallObserver& observer) {
        if (refused) observer.on_refusal(record_of(call.error));
        observer.on_call(record_of(call.error));
    });
}

KHIVE_DECL void ClientCore::tell_observer(const CallState& call) const noexcept
{
    tell(settings_.observer, [&](CallObserver& observer) {
        const std::string url = call.redacted_url();
        observer.on_call({call.fields.line().method, url, call.response.status(), nullptr, &call.response.ledger(), call.response.elapsed()});
    });
}

KHIVE_DECL void ClientCore::tell_failed(const Error& error) const noexcept
{
    tell(settings_.observer, [&](CallObserver& observer) { observer.on_call(record_of(error)); });
}

KHIVE_DECL void ClientCore::tell_retry(const CallState& call, Duration delay) noexcept
{
    tell(settings_.observer, [&](CallObserver& observer) {
        const std::string url = call.redacted_url();
        const Error* error = call.error.kind() == ErrorKind{} ? nullptr : &call.error;
        observer.on_retry({call.fields.line().method, url, call.ledger().back().status, error, &call.ledger(), {}}, delay);
    });
}

} // namespace khive::inline KHIVE_ABI::detail

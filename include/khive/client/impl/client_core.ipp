// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/client_core.hpp>
#include <khive/http/classify.hpp>
#include <khive/http/idempotency.hpp>
#include <khive/http/request_head.hpp>

#include <cmath>

namespace khive::inline KHIVE_ABI::detail {

/// Where `close` waits until no call is in flight.
class ClientCore::Drain final : public async::WaitQueue {
public:
    struct Empty {};
    explicit Drain(const std::atomic<std::size_t>& in_flight) : WaitQueue(static_cast<std::size_t>(-1)), in_flight_(in_flight) {}
    void check(TimePoint now) { pump(std::unique_lock(mutex_), now); }
    Empty make_grant(const async::WaitRequest&) noexcept { return {}; }

private:
    bool try_grant(const async::WaitRequest&, TimePoint) noexcept override { return in_flight_.load() == 0; }
    const std::atomic<std::size_t>& in_flight_;
};

/// Sets the fields of `over` on top of `under`.
inline Headers overlay(const Headers& under, const Headers& over)
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

KHIVE_DECL ClientCore::ClientCore(asio::any_io_executor executor, const ClientOptions& options)
    : executor_(std::move(executor)), time_(async::time_service(executor_)), settings_(options.settings()),
      base_headers_(overlay(settings_.headers, settings_.origin_headers)),
      pool_(std::make_shared<net::ConnectionPool>(executor_, settings_.pool, settings_.timeouts.dial(), settings_.limits,
                                                  settings_.tls)),
      base_entry_(&pool_->entry(settings_.base.origin())), base_host_(settings_.base.origin().host_header()),
      drain_(std::make_shared<Drain>(in_flight_))
{
}

KHIVE_DECL Error ClientCore::closed_error()
{
    return Error{ErrorKind::closed}.with_message("the client is closed");
}

KHIVE_DECL Result<Timeouts> ClientCore::timeouts_of(const RequestFields& fields) const
{
    if (!fields.timeouts && !fields.total && !fields.attempt) return settings_.timeouts;
    Timeouts timeouts = fields.timeouts.value_or(settings_.timeouts);
    if (fields.attempt) timeouts.attempt = *fields.attempt;
    if (fields.total) {
        timeouts.total = *fields.total;
        // A call's own total beats the client's longer stages; it does not contradict them.
        if (!fields.attempt && timeouts.attempt != unlimited) timeouts.attempt = std::min(timeouts.attempt, timeouts.total);
        if (timeouts.first_byte != unlimited) timeouts.first_byte = std::min(timeouts.first_byte, timeouts.total);
    }
    if (auto contradiction = timeouts.check()) return *std::move(contradiction);
    return timeouts;
}

KHIVE_DECL Headers ClientCore::headers_of(const RequestFields& fields, bool same_origin) const
{
    const Headers& defaults = same_origin ? base_headers_ : settings_.headers;
    return fields.headers.empty() ? defaults : overlay(defaults, fields.headers);
}

KHIVE_DECL Result<PreparedCall> ClientCore::prepare(RequestFields fields)
{
    if (fields.mistake) return *std::move(fields.mistake);
    auto timeouts = timeouts_of(fields);
    if (!timeouts) return timeouts.error();
    if (!fields.query.empty())
        fields.reference.append(fields.reference.find('?') == std::string::npos ? "?" : "&").append(fields.query);
    auto url = join(settings_.base, fields.reference);
    if (!url) return url.error();
    const bool same_origin = url->origin() == settings_.base.origin();
    if (!same_origin && settings_.only_base_origin)
        return Error{ErrorKind::invalid_url}.with_message("the URL is of another origin than the client's base: " + url->redacted());
    if (!fields.headers.contains("Authorization") && !same_origin && !url->user().empty())
        fields.set_header("Authorization", basic_credentials(url->user().reveal(), url->password()));
    const Headers headers = headers_of(fields, same_origin);
    const auto length = fields.has_body ? std::optional(fields.body.size()) : std::nullopt;
    auto head = http::write_request_head(fields.method, url->target(),
                                         same_origin ? base_host_ : url->origin().host_header(), headers, length);
    if (!head) return std::move(head.error()).with_request(escape_untrusted(fields.method), url->redacted());

    PreparedCall call;
    call.entry = same_origin ? base_entry_ : &pool_->entry(url->origin());
    call.replay_safe = fields.replay_safe.value_or(http::is_replay_safe(fields.method, headers));
    call.method = std::move(fields.method);
    call.url = std::move(*url);
    call.head = std::move(*head);
    call.body = std::move(fields.body);
    call.timeouts = *timeouts;
    call.cost = fields.cost;
    call.raise_for_status = fields.raise_for_status.value_or(settings_.raise_for_status);
    return call;
}

KHIVE_DECL bool ClientCore::enter() noexcept
{
    in_flight_.fetch_add(1);
    if (!closing_.load()) return true;
    leave();
    return false;
}

KHIVE_DECL void ClientCore::leave() noexcept
{
    if (in_flight_.fetch_sub(1) == 1 && closing_.load()) drain_->check(now());
}

KHIVE_DECL asio::awaitable<bool> ClientCore::close(Duration timeout)
{
    const auto self = shared_from_this();
    closing_.store(true);
    async::WaitRequest request;
    request.deadline = saturating_add(now(), timeout);
    auto drain = drain_;
    const auto drained = co_await async::wait_in<Drain::Empty>(std::move(drain), request);
    abort();
    co_return drained.has_value();
}

KHIVE_DECL void ClientCore::abort() noexcept
{
    closing_.store(true);
    scope_->close(closed_error());
    pool_->shut_down();
}

KHIVE_DECL Error ClientCore::status_error(const PreparedCall& call, Response& response) const
{
    std::string excerpt(response.body().substr(0, settings_.max_error_body));
    return http::make_status_error(response.status(), response.take_headers(), std::move(excerpt), call.replay_safe, wall_now());
}

KHIVE_DECL Error ClientCore::finish(const PreparedCall& call, Ledger ledger, Error error, TimePoint started)
{
    const bool refused = ledger.stop_reason() == StopReason::refused;
    const std::string url = call.url.redacted();
    Error whole = std::move(error).with_request(call.method, url).with_ledger(std::move(ledger));
    const CallRecord record{call.method, url, whole.status(), &whole, &whole.ledger(), now() - started};
    tell(settings_.observer, [&](CallObserver& observer) {
        if (refused) observer.on_refusal(record);
        observer.on_call(record);
    });
    return whole;
}

KHIVE_DECL void ClientCore::finish(const PreparedCall& call, Ledger ledger, Response& response, TimePoint started)
{
    const Duration elapsed = now() - started;
    response.finish(elapsed, std::move(ledger));
    tell(settings_.observer, [&](CallObserver& observer) {
        const std::string url = call.url.redacted();
        observer.on_call({call.method, url, response.status(), nullptr, &response.ledger(), elapsed});
    });
}

KHIVE_DECL void ClientCore::tell_retry(const PreparedCall& call, const Ledger& ledger, const Error* error,
                                       Duration delay) noexcept
{
    tell(settings_.observer, [&](CallObserver& observer) {
        const std::string url = call.url.redacted();
        observer.on_retry({call.method, url, ledger.back().status, error, &ledger, {}}, delay);
    });
}

} // namespace khive::inline KHIVE_ABI::detail

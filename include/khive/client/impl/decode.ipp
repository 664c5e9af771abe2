// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/decode.hpp>

namespace khive::inline KHIVE_ABI::detail {

inline asio::awaitable<Result<Response>> refused(Error error)
{
    co_return error;
}

inline Error sent_error()
{
    return Error{ErrorKind::invalid_argument}.with_message("this request has been sent already; make another");
}

KHIVE_DECL void raise_sent()
{
    sent_error().raise();
}

KHIVE_DECL asio::awaitable<Result<Response>> run(CallState* call)
{
    if (call == nullptr) return refused(sent_error());
    if (auto mistake = call->core->prepare(*call)) {
        const std::string url = call->redacted_url();
        return refused((*std::move(mistake)).with_request(escape_untrusted(call->fields.method), url));
    }
    return call->core->perform(*call);
}

KHIVE_DECL asio::awaitable<Result<Response>> try_send(CallPtr call)
{
    co_return co_await run(call.get());
}

KHIVE_DECL asio::awaitable<Response> send(CallPtr call)
{
    auto result = co_await run(call.get());
    if (!result) result.error().raise();
    co_return std::move(*result);
}

KHIVE_DECL Error decode_error(const CallState& call, Error error, Response response)
{
    std::string excerpt(response.body().substr(0, call.core->settings().max_error_body));
    const int status = response.status();
    Ledger ledger = response.ledger();
    return std::move(error)
        .with_request(call.fields.method, call.redacted_url())
        .with_response(status, response.take_headers(), std::move(excerpt))
        .with_ledger(std::move(ledger))
        .with_maybe_processed(true);
}

} // namespace khive::inline KHIVE_ABI::detail

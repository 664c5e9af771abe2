// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/decode.hpp>

namespace khive::inline KHIVE_ABI::detail {

KHIVE_DECL Error sent_error()
{
    return Error{ErrorKind::invalid_argument}.with_message("this request has been sent already; make another");
}

KHIVE_DECL Error decode_failed(const CallState& call, Error error, Response response)
{
    std::string excerpt(response.body().substr(0, call.core->settings().max_error_body));
    const int status = response.status();
    const Duration elapsed = response.elapsed();
    Ledger ledger = response.ledger();
    Error whole = std::move(error)
                      .with_request(call.fields.method, call.redacted_url())
                      .with_response(status, response.take_headers(), std::move(excerpt))
                      .with_ledger(std::move(ledger))
                      .with_elapsed(elapsed)
                      .with_maybe_processed(true);
    call.core->tell_failed(whole);
    return whole;
}

} // namespace khive::inline KHIVE_ABI::detail

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/decode.hpp>

namespace khive::inline KHIVE_ABI::detail {

KHIVE_DECL Error sent_error()
{
    return Error{ErrorKind::invalid_argument}.with_message("this request has been sent already; make another");
}

KHIVE_DECL Error decode_failed(const CallState& call, Error error)
{
    Error whole = call.response.with_answer(std::move(error), call.core->settings().max_error_body)
                      .with_request(call.fields.line().method, call.redacted_url());
    call.core->tell_failed(whole);
    return whole;
}

} // namespace khive::inline KHIVE_ABI::detail

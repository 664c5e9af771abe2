// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/response.hpp>

namespace khive::inline KHIVE_ABI {

KHIVE_DECL Error Response::with_answer(Error error, std::size_t max_body) const
{
    return std::move(error)
        .with_response(status_, headers_, std::string(body().substr(0, max_body)))
        .with_ledger(ledger_)
        .with_elapsed(elapsed_)
        .with_maybe_processed(true);
}

} // namespace khive::inline KHIVE_ABI

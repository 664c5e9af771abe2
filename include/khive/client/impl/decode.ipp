// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/decode.hpp>

namespace khive::inline KHIVE_ABI::detail {

inline asio::awaitable<Result<Response>> refused(Error error)
{
    co_return error;
}

KHIVE_DECL asio::awaitable<Result<Response>> try_send(std::shared_ptr<ClientCore> core, RequestFields fields)
{
    auto call = core->prepare(std::move(fields));
    return call ? core->perform(core, std::move(*call)) : refused(call.error());
}

KHIVE_DECL asio::awaitable<Response> send(std::shared_ptr<ClientCore> core, RequestFields fields)
{
    auto result = co_await try_send(std::move(core), std::move(fields));
    if (!result) result.error().raise();
    co_return std::move(*result);
}

KHIVE_DECL Error decode_error(const ClientCore& core, Error error, Response response, std::string_view method,
                              std::string_view url)
{
    std::string excerpt(response.body().substr(0, core.settings().max_error_body));
    const int status = response.status();
    Ledger ledger = response.ledger();
    return std::move(error)
        .with_request(method, url)
        .with_response(status, response.take_headers(), std::move(excerpt))
        .with_ledger(std::move(ledger));
}

} // namespace khive::inline KHIVE_ABI::detail

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/client_core.hpp>
#include <khive/client/request.hpp>
#include <khive/client/response.hpp>

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::detail {

/// The body as a `T`.
template <class T>
[[nodiscard]] Result<T> decode(const Response& response)
{
    if constexpr (std::is_same_v<T, std::string>) {
        return response.text();
    } else {
        static_assert(HasJsonCodec<T>, "as<T>() needs #include <khive/client/json.hpp>");
        return JsonCodec<T>::decode(response.body());
    }
}

[[nodiscard]] KHIVE_DECL asio::awaitable<Result<Response>> try_send(std::shared_ptr<ClientCore> core, RequestFields fields);
[[nodiscard]] KHIVE_DECL asio::awaitable<Response> send(std::shared_ptr<ClientCore> core, RequestFields fields);
/// A decoding error with what is known of the answer.
[[nodiscard]] KHIVE_DECL Error decode_error(const ClientCore& core, Error error, Response response, std::string_view method,
                                            std::string_view url);

template <class T>
[[nodiscard]] asio::awaitable<Result<T>> try_send_as(std::shared_ptr<ClientCore> core, RequestFields fields)
{
    auto call = core->prepare(std::move(fields));
    if (!call) co_return call.error();
    const std::string method = call->method;
    const std::string url = call->url.redacted();
    auto response = co_await core->perform(core, std::move(*call));
    if (!response) co_return response.error();
    auto value = decode<T>(*response);
    if (!value) co_return decode_error(*core, value.error(), std::move(*response), method, url);
    co_return value;
}

template <class T>
[[nodiscard]] asio::awaitable<T> send_as(std::shared_ptr<ClientCore> core, RequestFields fields)
{
    auto result = co_await try_send_as<T>(std::move(core), std::move(fields));
    if (!result) result.error().raise();
    co_return std::move(*result);
}

} // namespace khive::inline KHIVE_ABI::detail

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/client/impl/decode.ipp>
#endif

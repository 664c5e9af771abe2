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

/// Throws `invalid_argument`: this request has been sent before.
[[noreturn]] KHIVE_DECL void raise_sent();
/// Prepares and performs; `call` may be null, for a request that was sent before, and must live until the end.
[[nodiscard]] KHIVE_DECL asio::awaitable<Result<Response>> run(CallState* call);
[[nodiscard]] KHIVE_DECL asio::awaitable<Result<Response>> try_send(CallPtr call);
[[nodiscard]] KHIVE_DECL asio::awaitable<Response> send(CallPtr call);
/// A decoding error with what is known of the answer.
[[nodiscard]] KHIVE_DECL Error decode_error(const CallState& call, Error error, Response response);

template <class T>
[[nodiscard]] Result<T> decode_answer(const CallState& call, Result<Response> response)
{
    if (!response) return response.error();
    auto value = decode<T>(*response);
    if (!value) return decode_error(call, value.error(), std::move(*response));
    return value;
}

template <class T>
[[nodiscard]] asio::awaitable<Result<T>> try_send_as(CallPtr call)
{
    auto response = co_await run(call.get());
    co_return decode_answer<T>(*call, std::move(response));
}

template <class T>
[[nodiscard]] asio::awaitable<T> send_as(CallPtr call)
{
    auto response = co_await run(call.get());
    auto value = decode_answer<T>(*call, std::move(response));
    if (!value) value.error().raise();
    co_return std::move(*value);
}

} // namespace khive::inline KHIVE_ABI::detail

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/client/impl/decode.ipp>
#endif

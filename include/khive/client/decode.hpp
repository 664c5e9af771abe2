// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/client_core.hpp>
#include <khive/client/request.hpp>
#include <khive/client/response.hpp>

#include <string>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::detail {

/// This request has been sent before.
[[nodiscard]] KHIVE_DECL Error sent_error();
/// A decoding error with what is known of the answer; the client's observer has been told.
[[nodiscard]] KHIVE_DECL Error decode_failed(const CallState& call, Error error);

/// What the call has ended with.
template <class T>
[[nodiscard]] Result<T> take_answer(CallState& call)
{
    if (call.error.kind() != ErrorKind{}) return std::move(call.error);
    if constexpr (std::is_same_v<T, Response>) {
        call.core->tell_answered(call);
        return std::move(call.response);
    } else {
        auto value = decode_body<T>(call.response.body());
        if (!value) return decode_failed(call, value.error());
        call.core->tell_answered(call);
        return value;
    }
}

/// \name The two faces of a call
/// Templates, `Response` included, because GCC compiles every other coroutine that it sees, used or not.
/// @{
template <class T>
[[nodiscard]] asio::awaitable<Result<T>> try_send_as(CallPtr call, asio::awaitable<Response> performing)
{
    if (!call) co_return sent_error();
    co_await std::move(performing);
    co_return take_answer<T>(*call);
}

template <class T>
[[nodiscard]] asio::awaitable<T> send_as(CallPtr call, asio::awaitable<Response> performing)
{
    if (!call) sent_error().raise();
    co_await std::move(performing);
    auto value = take_answer<T>(*call);
    if (!value) value.error().raise();
    co_return std::move(*value);
}

[[nodiscard]] inline asio::awaitable<Response> performing(const CallPtr& call)
{
    return call ? call->core->perform(*call, nullptr) : asio::awaitable<Response>{};
}

template <class T>
[[nodiscard]] asio::awaitable<Result<T>> try_send_as(CallPtr&& call)
{
    // The frames in this order: so each finds the memory of its like in Asio's cache, which has two places.
    auto loop = performing(call);
    return try_send_as<T>(std::move(call), std::move(loop));
}

template <class T>
[[nodiscard]] asio::awaitable<T> send_as(CallPtr&& call)
{
    if constexpr (std::is_same_v<T, Response>) {
        if (!call) sent_error().raise(); // at once: a coroutine that did it when awaited would be every program's to compile
        CallState& state = *call;
        return state.core->perform(state, std::move(call));
    } else {
        auto loop = performing(call);
        return send_as<T>(std::move(call), std::move(loop));
    }
}

/// Leaves the answer in `response` and takes its memory for it.
template <class T>
[[nodiscard]] asio::awaitable<void> send_into(CallPtr call, T* response, asio::awaitable<Response> performing)
{
    if (!call) sent_error().raise();
    call->response.take_memory(*response);
    co_await std::move(performing);
    if (call->error.kind() != ErrorKind{}) call->error.raise();
    call->core->tell_answered(*call);
    *response = std::move(call->response);
}

template <class T>
[[nodiscard]] asio::awaitable<void> send_into(CallPtr&& call, T& response)
{
    auto loop = performing(call);
    return send_into<T>(std::move(call), &response, std::move(loop));
}
/// @}

} // namespace khive::inline KHIVE_ABI::detail

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/client/impl/decode.ipp>
#endif

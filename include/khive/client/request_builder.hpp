// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/client_core.hpp>
#include <khive/client/decode.hpp>
#include <khive/client/request.hpp>
#include <khive/client/response.hpp>

#include <concepts>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// A request that knows its client: `co_await api.get("/users/{}", 42).query("expand", "teams").as<User>()`.
///
/// `send` and `as` throw the typed error, `try_send` and `try_as` return it. A request is sent once: a second verb on the same
/// object ends with `invalid_argument`, and a setter then throws it.
///
/// - Cancellation: terminal, partial and total alike, at every point of the call; ends it with `cancelled`. A coroutine lets only
///   terminal through unless it asks for more with `asio::this_coro::reset_cancellation_state`.
/// - Errors: any kind of `ErrorKind`; each carries the ledger. `std::bad_alloc` comes as such, also out of `try_send` and `try_as`,
///   where the call itself lacks memory; where its connection does, it ends as one that broke, with the cause
///   `not_enough_memory`, and may be retried. Nothing is lost either way: the client goes on when there is memory.
/// - Lifetime: does not keep the client open; the awaitable may outlive the builder.
class RequestBuilder : public FluentRequest<RequestBuilder> {
public:
    explicit RequestBuilder(detail::CallPtr call) noexcept : call_(std::move(call)) {}

    /// Sends and gives the whole answer.
    template <class T = Response> // a template, as those below: only who calls it compiles it
    [[nodiscard]] asio::awaitable<T> send()
    {
        return detail::send_as<T>(std::move(call_));
    }
    template <class T = Response>
    [[nodiscard]] asio::awaitable<Result<T>> try_send()
    {
        return detail::try_send_as<T>(std::move(call_));
    }
    /// Sends and puts the answer into `response`, whose memory it uses again: for those who send much and count allocations.
    /// After an error `response` is empty. It must live until the end.
    template <class T>
        requires std::same_as<T, Response>
    [[nodiscard]] asio::awaitable<void> send_into(T& response)
    {
        return detail::send_into(std::move(call_), response);
    }
    /// Sends and decodes the body: `std::string` as it is; others as JSON, with `#include <khive/client/json.hpp>`.
    template <class T>
    [[nodiscard]] asio::awaitable<T> as()
    {
        return detail::send_as<T>(std::move(call_));
    }
    template <class T>
    [[nodiscard]] asio::awaitable<Result<T>> try_as()
    {
        return detail::try_send_as<T>(std::move(call_));
    }

private:
    friend FluentRequest<RequestBuilder>;
    detail::RequestFields& collected()
    {
        if (!call_) detail::sent_error().raise();
        return call_->fields;
    }

    detail::CallPtr call_;
};

} // namespace khive::inline KHIVE_ABI

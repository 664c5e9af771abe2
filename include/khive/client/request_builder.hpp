// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/client_core.hpp>
#include <khive/client/decode.hpp>
#include <khive/client/request.hpp>
#include <khive/client/response.hpp>

#include <memory>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// A request that knows its client: `co_await api.get("/users/{}", 42).query("expand", "teams").as<User>()`.
///
/// `send` and `as` throw the typed error, `try_send` and `try_as` return it. The verbs take what was collected; a second
/// verb on the same object sends an empty `GET /`.
///
/// - Cancellation: terminal, partial and total alike, at every point of the call; ends it with `cancelled`.
/// - Errors: any kind of `ErrorKind`; each carries the ledger.
/// - Lifetime: does not keep the client open; the awaitable may outlive the builder.
class RequestBuilder : public FluentRequest<RequestBuilder> {
public:
    RequestBuilder(std::shared_ptr<detail::ClientCore> core, Request request)
        : core_(std::move(core))
    {
        fields_ = std::move(request).take_fields();
    }

    /// Sends and gives the whole answer.
    [[nodiscard]] asio::awaitable<Response> send() { return detail::send(core_, std::exchange(fields_, {})); }
    [[nodiscard]] asio::awaitable<Result<Response>> try_send() { return detail::try_send(core_, std::exchange(fields_, {})); }
    /// Sends and decodes the body: `std::string` as it is; others as JSON, with `#include <khive/client/json.hpp>`.
    template <class T>
    [[nodiscard]] asio::awaitable<T> as()
    {
        return detail::send_as<T>(core_, std::exchange(fields_, {}));
    }
    template <class T>
    [[nodiscard]] asio::awaitable<Result<T>> try_as()
    {
        return detail::try_send_as<T>(core_, std::exchange(fields_, {}));
    }

private:
    std::shared_ptr<detail::ClientCore> core_;
};

} // namespace khive::inline KHIVE_ABI

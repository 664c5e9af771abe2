// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/request_builder.hpp>
#include <khive/core/shared.hpp>

#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// A handle to a client, whatever its policies: for function parameters and library boundaries.
///
/// Copies share the client. When the last handle goes, calls in flight are ended with the error `closed`.
///
/// - Thread safety: safe.
/// - Lifetime: the executor's context must outlive it.
class AnyAPIClient {
public:
    using Request = khive::Request;

    /// \name Verbs
    /// `{}` in the path is replaced by the arguments, encoded. The path is appended to the base URL.
    /// @{
    template <detail::UrlValue... Args>
    [[nodiscard]] RequestBuilder get(std::string_view path, const Args&... args) const
    {
        return request("GET", path, args...);
    }
    template <detail::UrlValue... Args>
    [[nodiscard]] RequestBuilder head(std::string_view path, const Args&... args) const
    {
        return request("HEAD", path, args...);
    }
    template <detail::UrlValue... Args>
    [[nodiscard]] RequestBuilder post(std::string_view path, const Args&... args) const
    {
        return request("POST", path, args...);
    }
    template <detail::UrlValue... Args>
    [[nodiscard]] RequestBuilder put(std::string_view path, const Args&... args) const
    {
        return request("PUT", path, args...);
    }
    template <detail::UrlValue... Args>
    [[nodiscard]] RequestBuilder patch(std::string_view path, const Args&... args) const
    {
        return request("PATCH", path, args...);
    }
    /// `DELETE`, which is a macro on some systems and a keyword in C++.
    template <detail::UrlValue... Args>
    [[nodiscard]] RequestBuilder delete_(std::string_view path, const Args&... args) const
    {
        return request("DELETE", path, args...);
    }
    template <detail::UrlValue... Args>
    [[nodiscard]] RequestBuilder options(std::string_view path, const Args&... args) const
    {
        return request("OPTIONS", path, args...);
    }
    /// Any method.
    template <detail::UrlValue... Args>
    [[nodiscard]] RequestBuilder request(std::string_view method, std::string_view path, const Args&... args) const
    {
        auto call = detail::ClientCore::new_call(core());
        detail::set_line(call->fields, method, path, args...);
        return RequestBuilder(std::move(call));
    }
    /// @}

    /// Sends a request that was made elsewhere.
    template <class T = Response>
    [[nodiscard]] asio::awaitable<T> call(Request request) const
    {
        return detail::send_as<T>(state_of(std::move(request)));
    }
    template <class T = Response>
    [[nodiscard]] asio::awaitable<Result<T>> try_call(Request request) const
    {
        return detail::try_send_as<T>(state_of(std::move(request)));
    }

    /// Refuses new calls at once, waits for those in flight, and ends what is left after `timeout` with the error `closed`.
    /// True if nothing had to be ended. May be called again, and from several places.
    ///
    /// - Cancellation: ends everything at once.
    template <class Rep = Duration::rep, class Period = Duration::period>
    [[nodiscard]] asio::awaitable<bool> close(std::chrono::duration<Rep, Period> timeout = std::chrono::seconds{30}) const
    {
        return detail::close(core(), Duration(timeout));
    }

    /// How many calls are under way.
    [[nodiscard]] std::size_t in_flight() const noexcept { return core()->in_flight(); }
    /// The state of its connections.
    [[nodiscard]] net::PoolCounts connections() const { return core()->pool().counts(); }
    [[nodiscard]] const asio::any_io_executor& get_executor() const noexcept { return core()->executor(); }

protected:
    explicit AnyAPIClient(Shared<detail::ClientCore> core) : owner_(make_once<Owner>(std::move(core))) {}

private:
    /// What handles share; calls in flight share only the core.
    struct Owner {
        explicit Owner(Shared<detail::ClientCore> owned) : core(std::move(owned)) {}
        Owner(const Owner&) = delete;
        Owner& operator=(const Owner&) = delete;
        ~Owner() { core->abort(); }
        Shared<detail::ClientCore> core;
    };

    [[nodiscard]] const Shared<detail::ClientCore>& core() const noexcept { return owner_->core; }
    [[nodiscard]] detail::CallPtr state_of(Request request) const
    {
        auto call = detail::ClientCore::new_call(core());
        call->fields.take(std::move(request).take_fields());
        return call;
    }

    Shared<Owner> owner_;
};

} // namespace khive::inline KHIVE_ABI

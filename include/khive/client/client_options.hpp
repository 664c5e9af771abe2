// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/observer.hpp>
#include <khive/client/timeouts.hpp>
#include <khive/core/headers.hpp>
#include <khive/core/secret.hpp>
#include <khive/core/url.hpp>
#include <khive/http/response_reader.hpp>
#include <khive/net/connection_pool.hpp>
#include <khive/net/tls_context.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI {

using net::PoolOptions;
using net::TlsContext;
using http::ReaderLimits;

/// How a client behaves, beside its policies.
///
/// `ClientOptions("https://api.example.com/v1").bearer(Secret(token)).timeouts({.total = 10s})`
///
/// - Errors: setters throw `InvalidArgumentError` for headers that cannot be sent and `ConfigurationError` for settings that
///   contradict each other; the constructor throws `InvalidURLError`.
class ClientOptions {
public:
    /// The base that request paths are appended to. User and password in it become basic authentication.
    KHIVE_COLD_DECL ClientOptions(std::string_view base_url); // NOLINT: a URL is all that most clients need
    ClientOptions(const char* base_url) : ClientOptions(std::string_view(base_url)) {}
    ClientOptions(const std::string& base_url) : ClientOptions(std::string_view(base_url)) {}

    /// A header for every request to the base's origin. Requests may replace it.
    KHIVE_COLD_DECL ClientOptions& header(std::string_view name, std::string_view value);
    /// `Authorization: Bearer`, to the base's origin only.
    KHIVE_COLD_DECL ClientOptions& bearer(const Secret& token);
    /// `Authorization: Basic`, to the base's origin only.
    KHIVE_COLD_DECL ClientOptions& basic_auth(std::string_view user, const Secret& password);
    /// A header whose value is secret, such as `X-Api-Key`, to the base's origin only.
    KHIVE_COLD_DECL ClientOptions& secret_header(std::string_view name, const Secret& value);
    /// `User-Agent`; `khive/<version>` by default.
    KHIVE_COLD_DECL ClientOptions& user_agent(std::string_view agent);
    /// Every timer of a call, see `Timeouts`; a request may override them. Throws `ConfigurationError` for contradictions.
    KHIVE_COLD_DECL ClientOptions& timeouts(const Timeouts& timeouts);
    /// Caps, idle and life times of connections, see `PoolOptions`; checked when the client is made.
    ClientOptions& pool(const PoolOptions& options);
    /// What one answer may cost, see `ReaderLimits`: by default a head of 64 KiB and a body of 64 MiB.
    ClientOptions& limits(const ReaderLimits& limits);
    /// Whom to trust, and as whom to connect. By default the system's certificate authorities and no client certificate.
    ClientOptions& tls(TlsContext context);
    /// Is a status of 400 or more an error? Yes by default; requests may say otherwise.
    ClientOptions& raise_for_status(bool raise);
    /// How much of an error's body is kept in the error. Default 4 KiB.
    ClientOptions& max_error_body(std::size_t bytes);
    /// Send again, once and on a fresh connection, what met a connection that had died while idle? Yes by default.
    ClientOptions& replay_stale(bool replay);
    /// Refuse absolute URLs of another origin? No by default: they are requested without the credentials set here.
    ClientOptions& only_base_origin(bool only);
    /// Who is told of calls, retries and refusals; see `client/logging.hpp`.
    ClientOptions& observer(std::shared_ptr<CallObserver> observer);

    /// \name For the client
    /// @{
    struct Settings {
        Url base;
        Headers headers;        ///< for every origin
        Headers origin_headers; ///< for the base's origin only
        Timeouts timeouts;
        PoolOptions pool;
        ReaderLimits limits;
        TlsContext tls;
        std::shared_ptr<CallObserver> observer;
        std::size_t max_error_body = 4096;
        bool raise_for_status = true;
        bool replay_stale = true;
        bool only_base_origin = false;
    };
    [[nodiscard]] const Settings& settings() const noexcept { return settings_; }
    /// @}

private:
    Settings settings_;
};

inline ClientOptions& ClientOptions::pool(const PoolOptions& options)
{
    settings_.pool = options;
    return *this;
}

inline ClientOptions& ClientOptions::limits(const ReaderLimits& limits)
{
    settings_.limits = limits;
    return *this;
}

inline ClientOptions& ClientOptions::tls(TlsContext context)
{
    settings_.tls = std::move(context);
    return *this;
}

inline ClientOptions& ClientOptions::raise_for_status(bool raise)
{
    settings_.raise_for_status = raise;
    return *this;
}

inline ClientOptions& ClientOptions::max_error_body(std::size_t bytes)
{
    settings_.max_error_body = bytes;
    return *this;
}

inline ClientOptions& ClientOptions::replay_stale(bool replay)
{
    settings_.replay_stale = replay;
    return *this;
}

inline ClientOptions& ClientOptions::only_base_origin(bool only)
{
    settings_.only_base_origin = only;
    return *this;
}

inline ClientOptions& ClientOptions::observer(std::shared_ptr<CallObserver> observer)
{
    settings_.observer = std::move(observer);
    return *this;
}

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/client/impl/client_options.ipp>
#endif

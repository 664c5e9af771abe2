// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>
#include <khive/core/result.hpp>
#include <khive/core/secret.hpp>
#include <khive/core/shared.hpp>

#include <boost/system/error_code.hpp>

#include <string>

using SSL_CTX = struct ssl_ctx_st;
using SSL = struct ssl_st;

namespace khive::inline KHIVE_ABI::net {

namespace detail {
struct TlsState;
}

/// How TLS connections are made: whom to trust, whom to be.
///
/// A handle: copies share the settings and the session cache. `dangerously_skip_verification()` on a copy counts for every client
/// that has one; for other trust make a new `TlsContext`.
///
/// By default the chain and the host name are verified against the system's certificate authorities, TLS 1.2 is the lowest
/// version, and sessions are resumed per origin.
///
/// - Errors: setters throw `ConfigurationError` naming the file or the reason.
/// - Thread safety: configure before the first connection, then safe.
/// - Source: RFC 8446, RFC 9110 section 4.3.4.
class TlsContext {
public:
    /// Trusts the system's authorities: `SSL_CERT_FILE` and `SSL_CERT_DIR` if set, OpenSSL's default places, then the bundles
    /// of common distributions, whichever has any.
    KHIVE_COLD_DECL TlsContext();

    /// Trusts these authorities too.
    KHIVE_COLD_DECL TlsContext& add_ca_file(const std::string& path);
    /// The same from memory.
    KHIVE_COLD_DECL TlsContext& add_ca_pem(const std::string& pem);
    /// Forgets the system's authorities and whatever was added.
    KHIVE_COLD_DECL TlsContext& trust_nothing();
    /// The certificate chain and private key to present where a server asks for one; PEM files.
    KHIVE_COLD_DECL TlsContext& client_certificate_file(const std::string& chain, const std::string& key);
    /// The same from memory.
    KHIVE_COLD_DECL TlsContext& client_certificate_pem(const std::string& chain, const Secret& key);
    /// Name to send and verify instead of the URL's host, for every origin; for servers reached under another name.
    KHIVE_COLD_DECL TlsContext& server_name(const std::string& name);
    /// Connects to anyone. For tests on one's own machine; never for data that matters.
    KHIVE_COLD_DECL TlsContext& dangerously_skip_verification();

    /// Is anybody trusted, or verification off?
    [[nodiscard]] KHIVE_DECL bool has_trust_anchors() const noexcept;

    /// \name For connections
    /// @{
    [[nodiscard]] KHIVE_DECL SSL_CTX* native() const noexcept;
    [[nodiscard]] KHIVE_DECL bool verifies() const noexcept;
    /// The name to verify for `host`.
    [[nodiscard]] KHIVE_DECL std::string name_for(const std::string& host) const;
    [[nodiscard]] const Shared<detail::TlsState>& state() const noexcept { return state_; }
    /// @}

private:
    Shared<detail::TlsState> state_;
};

} // namespace khive::inline KHIVE_ABI::net

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/net/impl/tls_context.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/min_max.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/shared.hpp>
#include <khive/core/url.hpp>
#include <khive/net/tls_context.hpp>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <atomic>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>
#include <utility>

#include <dirent.h>
#include <sys/stat.h>

namespace khive::inline KHIVE_ABI::net {
namespace detail {

struct SslDeleter {
    void operator()(SSL_CTX* p) const noexcept { SSL_CTX_free(p); }
    void operator()(SSL* p) const noexcept { SSL_free(p); }
    void operator()(SSL_SESSION* p) const noexcept { SSL_SESSION_free(p); }
    void operator()(X509* p) const noexcept { X509_free(p); }
    void operator()(EVP_PKEY* p) const noexcept { EVP_PKEY_free(p); }
    void operator()(BIO* p) const noexcept { BIO_free_all(p); }
};
template <class T>
using SslPtr = Owned<T, SslDeleter>;

/// Sessions to resume, the newest of each origin. Bounded: a full cache forgets everything, which costs a few full handshakes.
class SessionCache {
public:
    /// Takes the session, unless it throws.
    void store(const std::string& origin, SslPtr<SSL_SESSION>& session)
    {
        const std::lock_guard lock(mutex_);
        OfOrigin* known = find(origin);
        if (known == nullptr) {
            if (size_ == max_origins) clear();
            Owned<OfOrigin> added(new OfOrigin(origin));
            added->next = std::move(first_);
            first_ = std::move(added);
            ++size_;
            known = first_.get();
        }
        if (known->count == max_of_origin) known->drop_oldest();
        known->sessions[known->count++] = std::move(session);
    }

    /// The newest. A ticket of TLS 1.3 is for one use (RFC 8446 appendix C.4) and OpenSSL spoils it at the end of that, so it goes,
    /// unless it is the last: connections that are begun at once may all resume by that.
    SslPtr<SSL_SESSION> take(const std::string& origin)
    {
        const std::lock_guard lock(mutex_);
        OfOrigin* const known = find(origin);
        if (known == nullptr) return nullptr;
        while (known->count > 1 && SSL_SESSION_is_resumable(known->newest().get()) == 0) known->drop_newest();
        SSL_SESSION* const newest = known->newest().get();
        SSL_SESSION_up_ref(newest);
        SslPtr<SSL_SESSION> taken(newest);
        if (known->count > 1 && SSL_SESSION_get_protocol_version(newest) >= TLS1_3_VERSION) known->drop_newest();
        return taken;
    }

private:
    static constexpr std::size_t max_origins = 256;
    static constexpr std::size_t max_of_origin = 16;
    struct OfOrigin {
        explicit OfOrigin(const std::string& origin) : name(origin) {}

        std::string name;
        Owned<OfOrigin> next;
        SslPtr<SSL_SESSION> sessions[max_of_origin]; ///< oldest first
        std::size_t count = 0;                       ///< one at least, outside of `store`

        [[nodiscard]] const SslPtr<SSL_SESSION>& newest() const noexcept { return sessions[count - 1]; }
        void drop_newest() noexcept { sessions[--count].reset(); }
        void drop_oldest() noexcept
        {
            for (std::size_t i = 1; i < count; ++i) sessions[i - 1] = std::move(sessions[i]);
            --count;
        }
    };

    OfOrigin* find(const std::string& origin) noexcept
    {
        OfOrigin* known = first_.get();
        while (known != nullptr && known->name != origin) known = known->next.get();
        return known;
    }

    void clear() noexcept
    {
        first_.reset();
        size_ = 0;
    }

    std::mutex mutex_;
    Owned<OfOrigin> first_;
    std::size_t size_ = 0;
};

struct TlsState {
    SslPtr<SSL_CTX> context;
    SessionCache sessions;
    std::string server_name;
    std::mutex system_mutex;
    bool system_tried = false;
    /// The system's authorities are read when the first TLS connection is made: it takes milliseconds.
    bool use_system = true;
    bool verify = true;
    std::atomic<bool> anchors{false}; ///< set by configuration, or by a connection under `system_mutex`
};

inline std::string openssl_reason()
{
    char text[256] = "unknown reason";
    if (const auto code = ERR_get_error(); code != 0) ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return text;
}

[[noreturn]] inline void raise_tls_configuration(const std::string& what)
{
    Error{ErrorKind::configuration}.with_message("TlsContext: " + what + ": " + openssl_reason()).raise();
}

inline SslPtr<BIO> memory_bio(const std::string& text)
{
    return SslPtr<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

/// How many certificates of a PEM text went into the store.
inline int add_pem(X509_STORE* store, const std::string& pem)
{
    const auto bio = memory_bio(pem);
    int added = 0;
    while (const SslPtr<X509> certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)})
        added += X509_STORE_add_cert(store, certificate.get()) == 1 ? 1 : 0;
    ERR_clear_error();
    return added;
}

inline bool has_file(const char* path)
{
    struct ::stat found;
    return path != nullptr && ::stat(path, &found) == 0 && found.st_size > 0;
}

inline bool has_entries(const char* path)
{
    ::DIR* directory = path != nullptr ? ::opendir(path) : nullptr;
    if (directory == nullptr) return false;
    int entries = 0;
    while (entries < 3 && ::readdir(directory) != nullptr) ++entries; // two are the directory itself and its parent
    ::closedir(directory);
    return entries == 3;
}

/// Loads the first place that really has something: OpenSSL's own call reports success for places that do not exist.
inline bool load_system_anchors(SSL_CTX* context)
{
    const char* file = std::getenv("SSL_CERT_FILE");
    const char* directory = std::getenv("SSL_CERT_DIR");
    if (file != nullptr || directory != nullptr) {
        const bool file_loaded = has_file(file) && SSL_CTX_load_verify_file(context, file) == 1;
        const bool directory_loaded = has_entries(directory) && SSL_CTX_load_verify_dir(context, directory) == 1;
        return file_loaded || directory_loaded;
    }
    for (const char* bundle : {X509_get_default_cert_file(), "/etc/ssl/certs/ca-certificates.crt",
                               "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"})
        if (has_file(bundle) && SSL_CTX_load_verify_file(context, bundle) == 1) return true;
    const char* hashed = X509_get_default_cert_dir();
    return has_entries(hashed) && SSL_CTX_load_verify_dir(context, hashed) == 1;
}

/// For private keys that are encrypted: OpenSSL's own callback asks on the terminal.
inline int no_password(char*, int, int, void*)
{
    return -1;
}

/// An index of OpenSSL's: tried again the next time where there is no memory for it.
inline int made(int index)
{
    if (index < 0) throw std::bad_alloc();
    return index;
}

inline int context_index()
{
    static const int index = made(SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr));
    return index;
}

/// Where an `SSL` keeps the name of its origin for the session cache.
inline int origin_index()
{
    static const int index = made(SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr));
    return index;
}

inline int on_new_session(SSL* ssl, SSL_SESSION* session)
{
    auto* state = static_cast<TlsState*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), context_index()));
    const auto* origin = static_cast<const std::string*>(SSL_get_ex_data(ssl, origin_index()));
    if (state == nullptr || origin == nullptr) return 0;
    SslPtr<SSL_SESSION> kept(session);
    try {
        state->sessions.store(*origin, kept);
        return 1;   // keeps the reference
    } catch (...) { // called by C, which has the session still
        (void)kept.release();
        return 0;
    }
}

} // namespace detail

KHIVE_DECL TlsContext::TlsContext() : state_(make_once<detail::TlsState>())
{
    state_->context.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX* context = native();
    if (context == nullptr) detail::raise_tls_configuration("cannot create a context");
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    // 112 bits: no RSA or DH below 2048 bits and no SHA-1 in signatures, whatever OpenSSL was built or configured with.
    SSL_CTX_set_security_level(context, std::max(2, SSL_CTX_get_security_level(context)));
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_ex_data(context, detail::context_index(), state_.get());
    SSL_CTX_sess_set_new_cb(context, &detail::on_new_session);
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_max_send_fragment(context, 4 * 1024); // each connection holds a buffer for one
    static constexpr unsigned char http1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    SSL_CTX_set_alpn_protos(context, http1, sizeof http1);
    SSL_CTX_set_default_passwd_cb(context, &detail::no_password);
}

KHIVE_DECL TlsContext& TlsContext::add_ca_file(const std::string& path)
{
    if (SSL_CTX_load_verify_file(native(), path.c_str()) != 1)
        detail::raise_tls_configuration("cannot load certificate authorities from '" + path + "'");
    state_->anchors = true;
    return *this;
}

KHIVE_DECL TlsContext& TlsContext::add_ca_pem(const std::string& pem)
{
    if (detail::add_pem(SSL_CTX_get_cert_store(native()), pem) == 0)
        detail::raise_tls_configuration("the PEM text has no certificate");
    state_->anchors = true;
    return *this;
}

KHIVE_DECL TlsContext& TlsContext::trust_nothing()
{
    X509_STORE* const empty = X509_STORE_new();
    if (empty == nullptr) detail::raise_tls_configuration("cannot create a certificate store");
    SSL_CTX_set_cert_store(native(), empty);
    state_->anchors = state_->use_system = false;
    return *this;
}

KHIVE_DECL TlsContext& TlsContext::client_certificate_file(const std::string& chain, const std::string& key)
{
    if (SSL_CTX_use_certificate_chain_file(native(), chain.c_str()) != 1)
        detail::raise_tls_configuration("cannot load the client certificate '" + chain + "'");
    if (SSL_CTX_use_PrivateKey_file(native(), key.c_str(), SSL_FILETYPE_PEM) != 1)
        detail::raise_tls_configuration("cannot use the private key '" + key + "'");
    return *this;
}

KHIVE_DECL TlsContext& TlsContext::client_certificate_pem(const std::string& chain, const Secret& key)
{
    const auto bio = detail::memory_bio(chain);
    const detail::SslPtr<X509> leaf{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)};
    if (!leaf || SSL_CTX_use_certificate(native(), leaf.get()) != 1)
        detail::raise_tls_configuration("the PEM text has no usable client certificate");
    while (X509* issuer = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr))
        SSL_CTX_add_extra_chain_cert(native(), issuer); // owned by the context from here on
    ERR_clear_error();
    const auto key_bio = detail::memory_bio(key.reveal());
    const detail::SslPtr<EVP_PKEY> private_key{
        PEM_read_bio_PrivateKey(key_bio.get(), nullptr, &detail::no_password, nullptr)};
    if (!private_key || SSL_CTX_use_PrivateKey(native(), private_key.get()) != 1)
        detail::raise_tls_configuration("the private key cannot be used");
    return *this;
}

KHIVE_DECL TlsContext& TlsContext::server_name(const std::string& name)
{
    const bool v6 = name.find(':') != std::string::npos;
    Url url;
    const Error bad = url.read(v6 ? "https://[" + name + "]" : "https://" + name);
    if (bad.failed() || !iequals(url.origin().host, name))
        Error{ErrorKind::configuration}
            .with_message("TlsContext: the server name '" + escape_untrusted(name) + "' is not a host name")
            .raise();
    state_->server_name = url.origin().host;
    return *this;
}

KHIVE_DECL TlsContext& TlsContext::dangerously_skip_verification()
{
    state_->verify = false;
    return *this;
}

KHIVE_DECL bool TlsContext::has_trust_anchors() const noexcept
{
    if (!state_->verify) return true;
    const std::lock_guard lock(state_->system_mutex);
    // Once, or until there is one: there may have been no memory for them, or no files yet.
    if (state_->use_system && !(std::exchange(state_->system_tried, true) && state_->anchors)) {
        if (detail::load_system_anchors(native())) state_->anchors = true;
        ERR_clear_error();
    }
    return state_->anchors;
}

KHIVE_DECL SSL_CTX* TlsContext::native() const noexcept
{
    return state_->context.get();
}

KHIVE_DECL bool TlsContext::verifies() const noexcept
{
    return state_->verify;
}

KHIVE_DECL std::string TlsContext::name_for(const std::string& host) const
{
    return state_->server_name.empty() ? host : state_->server_name;
}

} // namespace khive::inline KHIVE_ABI::net

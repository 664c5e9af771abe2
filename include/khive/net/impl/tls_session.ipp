// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/min_max.hpp>
#include <khive/net/impl/tls_context.ipp>
#include <khive/net/tls_context.hpp>
#include <khive/net/tls_session.hpp>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI::net {

/// Bytes between the wire and OpenSSL. Input is one record's worth once a read has filled less, compacted when it runs out;
/// output grows as needed, in two buffers that take turns.
struct TlsSession::Buffers {
    static constexpr std::size_t small_input = 4 * 1024;
    static constexpr std::size_t large_input = 16 * 1024 + 512;
    struct DeleteBytes {
        void operator()(char* bytes) const noexcept { delete[] bytes; }
    };
    Owned<char, DeleteBytes> input;
    std::size_t input_size = 0;
    std::size_t wanted_size = small_input;
    std::size_t input_begin = 0;
    std::size_t input_end = 0;
    std::span<char> prepared; ///< where the read that is under way puts what comes
    std::string output;  ///< what OpenSSL wrote since `sending` was filled
    std::string sending; ///< what the wire sends from
    std::size_t sent = 0;
    bool no_memory = false; ///< for output
};

namespace detail {

/// What `SSL_get_error` would take for its own. Nearly always there is nothing, and to look is a tenth of clearing.
inline void forget_errors() noexcept
{
    if (ERR_peek_error() != 0) ERR_clear_error();
}

inline bool is_ip_literal(const std::string& host)
{
    ::in6_addr address;
    return ::inet_pton(AF_INET, host.c_str(), &address) == 1 || ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

inline std::string subject_of(X509* certificate)
{
    if (certificate == nullptr) return "no certificate";
    char text[256];
    X509_NAME_oneline(X509_get_subject_name(certificate), text, sizeof text);
    return escape_untrusted(text);
}

/// Remembers which certificate failed, for the error's text.
struct VerifyFailure {
    int depth = -1;
    std::string subject;
};

inline int verify_index()
{
    static const int index = made(SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr));
    return index;
}

/// The handshake under way knows where to write it.
class VerifyFailureScope {
public:
    VerifyFailureScope(SSL* ssl, VerifyFailure& failure) : ssl_(ssl) { SSL_set_ex_data(ssl_, verify_index(), &failure); }
    VerifyFailureScope(const VerifyFailureScope&) = delete;
    VerifyFailureScope& operator=(const VerifyFailureScope&) = delete;
    ~VerifyFailureScope() { SSL_set_ex_data(ssl_, verify_index(), nullptr); }

private:
    SSL* ssl_;
};

inline int on_verify(int ok, X509_STORE_CTX* store)
{
    if (ok == 1) return 1;
    auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    if (auto* failure = static_cast<VerifyFailure*>(SSL_get_ex_data(ssl, verify_index()))) {
        failure->depth = X509_STORE_CTX_get_error_depth(store);
        try {
            failure->subject = subject_of(X509_STORE_CTX_get_current_cert(store));
        } catch (...) { // NOLINT: called by C; the subject is a help only
        }
    }
    return 0;
}

/// What is wanted of `<openssl/x509v3.h>`, which takes 9,000 tokens; part of OpenSSL's binary interface.
inline constexpr unsigned no_partial_wildcards = 0x4; ///< `X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS`
inline constexpr unsigned never_check_subject = 0x20; ///< `X509_CHECK_FLAG_NEVER_CHECK_SUBJECT`

inline void expect_peer(SSL* ssl, const std::string& name)
{
    SSL_set_hostflags(ssl, no_partial_wildcards | never_check_subject);
    // Unset, nothing would be compared: it fails for want of memory only.
    const int set = is_ip_literal(name) ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str())
                                        : SSL_set1_host(ssl, name.c_str());
    if (set != 1) throw std::bad_alloc();
}

} // namespace detail

inline int TlsSession::bio_read(BIO* bio, char* into, int size)
{
    auto& buffers = *static_cast<Buffers*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    const std::size_t there = buffers.input_end - buffers.input_begin;
    if (there == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    const std::size_t taken = std::min(there, static_cast<std::size_t>(size));
    std::memcpy(into, buffers.input.get() + buffers.input_begin, taken);
    buffers.input_begin += taken;
    return static_cast<int>(taken);
}

inline int TlsSession::bio_write(BIO* bio, const char* from, int size)
{
    auto& buffers = *static_cast<Buffers*>(BIO_get_data(bio));
    BIO_clear_retry_flags(bio);
    try {
        buffers.output.append(from, static_cast<std::size_t>(size));
    } catch (...) { // called by C
        buffers.no_memory = true;
        return -1;
    }
    return size;
}

inline long TlsSession::bio_control(BIO*, int command, long, void*)
{
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

inline const BIO_METHOD* TlsSession::bio_method()
{
    static BIO_METHOD* const method = [] {
        BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "khive");
        if (made == nullptr) throw std::bad_alloc();
        BIO_meth_set_read(made, &TlsSession::bio_read);
        BIO_meth_set_write(made, &TlsSession::bio_write);
        BIO_meth_set_ctrl(made, &TlsSession::bio_control);
        return made;
    }();
    return method;
}

KHIVE_DECL TlsSession::TlsSession(TlsContext context, const std::string& host, std::string origin)
    : context_(std::move(context)), origin_(std::move(origin)), buffers_(new Buffers)
{
    detail::SslPtr<SSL> made(SSL_new(context_.native()));
    SSL* const ssl = made.get();
    if (ssl == nullptr) throw std::bad_alloc();
    BIO* const bio = BIO_new(bio_method());
    if (bio == nullptr) throw std::bad_alloc();
    BIO_set_data(bio, buffers_.get());
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_connect_state(ssl);
    if (SSL_set_ex_data(ssl, detail::origin_index(), &origin_) != 1) throw std::bad_alloc();
    const std::string name = context_.name_for(host);
    if (!detail::is_ip_literal(name) && SSL_set_tlsext_host_name(ssl, name.c_str()) != 1) throw std::bad_alloc();
    if (context_.verifies()) {
        detail::expect_peer(ssl, name);
        SSL_set_verify(ssl, SSL_VERIFY_PEER, &detail::on_verify);
    }
    if (const auto session = context_.state()->sessions.take(origin_)) SSL_set_session(ssl, session.get());
    ssl_ = made.release();
}

KHIVE_DECL TlsSession::~TlsSession()
{
    // OpenSSL marks the session of a connection that was not shut down as not resumable.
    SSL_set_shutdown(ssl_, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_set_ex_data(ssl_, detail::origin_index(), nullptr);
    SSL_free(ssl_);
}

KHIVE_DECL TlsStep TlsSession::step_of(int result)
{
    switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_NONE: return TlsStep::done;
    case SSL_ERROR_WANT_READ: return TlsStep::read;
    case SSL_ERROR_ZERO_RETURN: return TlsStep::closed;
    default: fail(); return TlsStep::failed;
    }
}

KHIVE_DECL void TlsSession::fail()
{
    const long verdict = SSL_get_verify_result(ssl_);
    const auto* failure = static_cast<const detail::VerifyFailure*>(SSL_get_ex_data(ssl_, detail::verify_index()));
    if (buffers_->no_memory) throw std::bad_alloc();
    std::string reason = "TLS failed: " + detail::openssl_reason();
    if (context_.verifies() && verdict != X509_V_OK) {
        reason = std::string{"certificate verification failed: "} + X509_verify_cert_error_string(verdict);
        if (failure != nullptr && failure->depth >= 0)
            reason += " (depth " + std::to_string(failure->depth) + ", subject '" + failure->subject + "')";
    }
    error_ = Error{ErrorKind::tls}.with_message(std::move(reason));
}

KHIVE_DECL TlsStep TlsSession::handshake()
{
    detail::forget_errors();
    detail::VerifyFailure failure;
    const detail::VerifyFailureScope scope(ssl_, failure);
    return step_of(SSL_do_handshake(ssl_));
}

KHIVE_DECL bool TlsSession::has_shaken_hands() const noexcept
{
    return SSL_is_init_finished(ssl_) != 0;
}

KHIVE_DECL TlsStep TlsSession::read(std::span<char> into, std::size_t& bytes)
{
    detail::forget_errors();
    bytes = 0;
    const int result = SSL_read_ex(ssl_, into.data(), into.size(), &bytes);
    return result == 1 ? TlsStep::done : step_of(result);
}

KHIVE_DECL TlsStep TlsSession::peek()
{
    detail::forget_errors();
    char first = 0;
    std::size_t bytes = 0;
    const int result = SSL_peek_ex(ssl_, &first, 1, &bytes);
    return result == 1 ? TlsStep::done : step_of(result);
}

KHIVE_DECL TlsStep TlsSession::write(std::span<const char> from, std::size_t& bytes)
{
    detail::forget_errors();
    bytes = 0;
    const int result = SSL_write_ex(ssl_, from.data(), from.size(), &bytes);
    return result == 1 ? TlsStep::done : step_of(result);
}

KHIVE_DECL void TlsSession::shut_down() noexcept
{
    detail::forget_errors();
    if (SSL_is_init_finished(ssl_) == 1) (void)SSL_shutdown(ssl_);
    detail::forget_errors();
}

KHIVE_DECL std::span<char> TlsSession::prepare_input()
{
    auto& b = *buffers_;
    if (b.input_begin == b.input_end) {
        b.input_begin = b.input_end = 0;
        if (b.input_size < b.wanted_size) {
            b.input.reset(new char[b.wanted_size]);
            b.input_size = b.wanted_size;
        }
    } else if (b.input_end == b.input_size) {
        std::memmove(b.input.get(), b.input.get() + b.input_begin, b.input_end - b.input_begin);
        b.input_end -= b.input_begin;
        b.input_begin = 0;
    }
    return b.prepared = {b.input.get() + b.input_end, b.input_size - b.input_end};
}

KHIVE_DECL std::span<char> TlsSession::prepared_input() const noexcept
{
    return buffers_->prepared;
}

KHIVE_DECL void TlsSession::commit_input(std::size_t bytes) noexcept
{
    auto& b = *buffers_;
    b.input_end += bytes;
    if (b.input_end == b.input_size) b.wanted_size = Buffers::large_input;
}

KHIVE_DECL void TlsSession::release_buffers() noexcept
{
    if (!at_rest()) return;
    const Buffers released = std::move(*buffers_); // strings that are assigned empty ones would keep their memory
    *buffers_ = Buffers{};
    (void)SSL_free_buffers(ssl_); // it makes new ones when it needs them
}

KHIVE_DECL std::span<const char> TlsSession::output() noexcept
{
    auto& b = *buffers_;
    if (b.sent == b.sending.size()) {
        b.sending.clear();
        b.sent = 0;
        std::swap(b.sending, b.output);
    }
    return std::span<const char>(b.sending).subspan(b.sent);
}

KHIVE_DECL std::size_t TlsSession::output_size() const noexcept
{
    const auto& b = *buffers_;
    return b.sending.size() - b.sent + b.output.size();
}

KHIVE_DECL void TlsSession::consume_output(std::size_t bytes) noexcept
{
    buffers_->sent += bytes;
}

KHIVE_DECL bool TlsSession::has_input() const noexcept
{
    return buffers_->input_begin != buffers_->input_end;
}

KHIVE_DECL bool TlsSession::is_quiet() const noexcept
{
    const bool inside_record = std::string_view(SSL_rstate_string(ssl_)) == "RB"; // its header has been read
    const bool inside_message = SSL_in_init(ssl_) != 0;                           // a session ticket in two records, say
    return !has_input() && SSL_has_pending(ssl_) == 0 && !inside_record && !inside_message;
}

KHIVE_DECL bool TlsSession::resumed() const noexcept
{
    return SSL_session_reused(ssl_) == 1;
}

} // namespace khive::inline KHIVE_ABI::net

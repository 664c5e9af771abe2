// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/byte_buffer.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/result.hpp>
#include <khive/net/tls_context.hpp>

#include <memory>
#include <span>
#include <string>

using BIO = struct bio_st;
using BIO_METHOD = struct bio_method_st;

namespace khive::inline KHIVE_ABI::net {

/// What a TLS session wants next.
enum class TlsStep : std::uint8_t {
    done,   ///< it went
    read,   ///< feed it bytes from the wire first
    closed, ///< the peer ended the session with close_notify
    failed, ///< see `error()`
};

/// One TLS session as a machine: records from the wire go in, plain text comes out, and the other way round. No I/O.
///
/// Its BIO reads from and writes to buffers of its own, so OpenSSL's work is the only copy. What it has to say while the wire
/// still sends (the answer to a key update, say) waits in a second buffer: the bytes being sent stay where they are.
///
/// - Lifetime: freed as "shut down" in OpenSSL's eyes, or its session could not be resumed.
/// - Thread safety: one call at a time.
class TlsSession {
public:
    /// For `host`; `origin` names the session in the cache.
    KHIVE_COLD_DECL TlsSession(TlsContext context, const std::string& host, std::string origin);
    KHIVE_DECL ~TlsSession();
    TlsSession(const TlsSession&) = delete;
    TlsSession& operator=(const TlsSession&) = delete;

    [[nodiscard]] KHIVE_DECL TlsStep handshake();
    /// Has the handshake ended, but for output that is still to be sent?
    [[nodiscard]] KHIVE_DECL bool has_shaken_hands() const noexcept;
    /// Decrypts into `into`; `bytes` says how much.
    [[nodiscard]] KHIVE_DECL TlsStep read(std::span<char> into, std::size_t& bytes);
    /// Has plain text come already? `done` if so, and `read` still gives it; session tickets before it are taken.
    [[nodiscard]] KHIVE_DECL TlsStep peek();
    /// Encrypts a part of `from`; `bytes` says how much.
    [[nodiscard]] KHIVE_DECL TlsStep write(std::span<const char> from, std::size_t& bytes);
    /// Puts a close_notify into the output.
    KHIVE_DECL void shut_down() noexcept;

    /// Where the wire puts what it reads, then says how much.
    [[nodiscard]] KHIVE_DECL std::span<char> prepare_input();
    /// What that gave last.
    [[nodiscard]] KHIVE_DECL std::span<char> prepared_input() const noexcept;
    KHIVE_DECL void commit_input(std::size_t bytes) noexcept;
    /// What the wire has to send, then says how much it sent.
    [[nodiscard]] KHIVE_DECL std::span<const char> output() noexcept;
    /// All that waits to be sent; `output` may give a part of it.
    [[nodiscard]] KHIVE_DECL std::size_t output_size() const noexcept;
    KHIVE_DECL void consume_output(std::size_t bytes) noexcept;
    /// Are there bytes from the wire that the session has not looked at?
    [[nodiscard]] KHIVE_DECL bool has_input() const noexcept;
    /// Gives memory back while nothing goes on; the next record takes some again.
    KHIVE_DECL void release_buffers() noexcept;
    /// Has nothing come that it has not told of, not even a part of a record or message?
    [[nodiscard]] KHIVE_DECL bool is_quiet() const noexcept;
    /// And has it nothing to say?
    [[nodiscard]] bool at_rest() const noexcept { return is_quiet() && output_size() == 0; }

    [[nodiscard]] KHIVE_DECL bool resumed() const noexcept;
    /// Why it failed: verification with its reason, subject and depth, or OpenSSL's reason.
    [[nodiscard]] const Error& error() const noexcept { return error_; }

private:
    struct Buffers;
    [[nodiscard]] KHIVE_DECL TlsStep step_of(int result);
    KHIVE_COLD_DECL void fail();
    static int bio_read(BIO* bio, char* into, int size);
    static int bio_write(BIO* bio, const char* from, int size);
    static long bio_control(BIO* bio, int command, long number, void* pointer);
    static const BIO_METHOD* bio_method();

    TlsContext context_;
    std::string origin_;
    Owned<Buffers> buffers_;
    SSL* ssl_ = nullptr;
    Error error_;
};

} // namespace khive::inline KHIVE_ABI::net

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/net/impl/tls_session.ipp>
#endif

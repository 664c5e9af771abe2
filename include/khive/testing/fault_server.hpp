// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/config.hpp>
#include <khive/testing/received_request.hpp>
#include <khive/testing/reply.hpp>
#include <khive/testing/script.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace khive::inline KHIVE_ABI::testing {

/// The identity of a TLS server, and what it asks of its clients. All in PEM.
///
/// - Thread safety: as a value.
class FaultServerTls {
public:
    /// The server's certificate, followed by its intermediates, and its key.
    FaultServerTls(std::string certificate_chain, std::string key)
        : certificate_chain_(std::move(certificate_chain)), key_(std::move(key))
    {}

    /// Lets in only clients with a certificate that this authority signed.
    FaultServerTls& require_client_certificate(std::string authority)
    {
        return client_authority_ = std::move(authority), *this;
    }
    /// Speaks nothing newer than TLS 1.2.
    FaultServerTls& only_tls_1_2() { return only_tls_1_2_ = true, *this; }
    /// Speaks TLS 1.1 and nothing else, which no client should.
    FaultServerTls& only_tls_1_1() { return only_tls_1_1_ = true, *this; }
    /// Closes without close_notify, as a broken or an attacked server does.
    FaultServerTls& without_close_notify() { return close_notify_ = false, *this; }

    [[nodiscard]] const std::string& certificate_chain() const noexcept { return certificate_chain_; }
    [[nodiscard]] const std::string& key() const noexcept { return key_; }
    [[nodiscard]] const std::string& client_authority() const noexcept { return client_authority_; }
    [[nodiscard]] bool tls_1_2_only() const noexcept { return only_tls_1_2_; }
    [[nodiscard]] bool tls_1_1_only() const noexcept { return only_tls_1_1_; }
    [[nodiscard]] bool sends_close_notify() const noexcept { return close_notify_; }

private:
    std::string certificate_chain_;
    std::string key_;
    std::string client_authority_;
    bool only_tls_1_2_ = false;
    bool only_tls_1_1_ = false;
    bool close_notify_ = true;
};

/// A real HTTP/1.1 server on a free port of 127.0.0.1, with or without TLS, that answers as told and misbehaves as told.
///
/// It has a thread of its own. For what virtual time cannot show: sockets, TLS, real kernels. Prefer `ScriptedServer` and
/// `SimulatedNetwork` for everything else.
/// ```cpp
/// FaultServer server;
/// server.reply(too_many_requests(1s)).reply(reset_after(20, ok("body"))).reply(ok("there"));
/// server.on_accept(close_without_answer());
/// ```
///
/// - Time: the pauses of replies are real.
/// - Errors: the constructor throws `boost::system::system_error` when it cannot listen, or for a certificate that OpenSSL
///   refuses. What a handler throws, or a script that has run out, becomes a 500 and is kept in `errors()`.
/// - Thread safety: safe; a handler runs on the server's thread and may call what says what the server has seen.
/// - Lifetime: the destructor breaks every connection and joins the thread.
class FaultServer {
public:
    /// Answers `ok()` until told otherwise.
    KHIVE_TESTING_DECL FaultServer();
    KHIVE_TESTING_DECL explicit FaultServer(Script::Handler handler);
    KHIVE_TESTING_DECL explicit FaultServer(FaultServerTls tls, Script::Handler handler = {});
    KHIVE_TESTING_DECL ~FaultServer();
    FaultServer(const FaultServer&) = delete;
    FaultServer& operator=(const FaultServer&) = delete;

    [[nodiscard]] KHIVE_TESTING_DECL std::uint16_t port() const noexcept;
    /// "http://127.0.0.1:1234", or https.
    [[nodiscard]] KHIVE_TESTING_DECL std::string url(const std::string& host = "127.0.0.1") const;

    /// \name What it answers
    /// @{
    /// Appends a reply for one request.
    KHIVE_TESTING_DECL FaultServer& reply(Reply reply);
    /// Answers what the script does not.
    KHIVE_TESTING_DECL FaultServer& otherwise(Script::Handler handler);
    /// @}

    /// \name What it does to connections
    /// @{
    /// The next `times` connections get this on the bare socket, before TLS, and are not served: `no_answer()` stalls the
    /// handshake, `reset()` breaks it, `raw("SSH-2.0-x\r\n")` speaks something else.
    KHIVE_TESTING_DECL FaultServer& on_accept(Reply fault, std::size_t times = 1);
    /// The same once the client has sent something: its ClientHello or its request.
    KHIVE_TESTING_DECL FaultServer& on_first_bytes(Reply fault, std::size_t times = 1);
    /// The same within TLS, once something of a request has come. Of the request no more is read until it has been done.
    KHIVE_TESTING_DECL FaultServer& on_request_bytes(Reply fault, std::size_t times = 1);
    /// Does this first on every connection, before any request has come, within TLS; then the connection is served.
    KHIVE_TESTING_DECL FaultServer& greet_with(Reply greeting);
    /// Does something to every connection on which no request is under way. Returns when it has been done.
    KHIVE_TESTING_DECL void do_to_idle(const Reply& what);
    /// Breaks every connection.
    KHIVE_TESTING_DECL void reset_connections();
    /// Refuses new connections; the port stays its own.
    KHIVE_TESTING_DECL void stop_listening();
    KHIVE_TESTING_DECL void listen_again();
    /// @}

    /// \name What it has seen
    /// @{
    [[nodiscard]] KHIVE_TESTING_DECL std::vector<ReceivedRequest> requests() const;
    [[nodiscard]] KHIVE_TESTING_DECL std::size_t request_count() const;
    /// How many connections have been accepted, and how many of them are there.
    [[nodiscard]] KHIVE_TESTING_DECL std::size_t connections() const;
    [[nodiscard]] KHIVE_TESTING_DECL std::size_t open_connections() const;
    /// How many TLS handshakes have succeeded, and how many of them resumed a session.
    [[nodiscard]] KHIVE_TESTING_DECL std::size_t handshakes() const;
    [[nodiscard]] KHIVE_TESTING_DECL std::size_t resumed_handshakes() const;
    /// The server names (SNI) of the handshakes that succeeded; "" where there was none.
    [[nodiscard]] KHIVE_TESTING_DECL std::vector<std::string> server_names() const;
    [[nodiscard]] KHIVE_TESTING_DECL std::vector<std::string> errors() const;
    /// Do not keep requests, only count them: for long runs.
    KHIVE_TESTING_DECL FaultServer& forget_requests();
    /// @}

    /// \name Waiting
    /// Each blocks until it is so, and throws `std::runtime_error` after half a minute.
    /// @{
    KHIVE_TESTING_DECL void wait_for_requests(std::size_t count) const;
    KHIVE_TESTING_DECL void wait_for_connections(std::size_t count) const;
    KHIVE_TESTING_DECL void wait_for_open_connections(std::size_t exactly) const;
    /// @}

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/fault_server.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/certificates.hpp"

#include <khive/testing/simulated_server.hpp>
#include <khive/testing/received_request.hpp>
#include <khive/testing/script.hpp>

#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace khive_tests {

/// An HTTPS server of a simulated network: OpenSSL over memory, so that TLS too runs in one thread and in virtual time.
///
/// Every request is answered by its handler; the pauses and faults of a reply are not followed, its bytes are.
class TlsFront final : public khive::testing::SimulatedServer {
public:
    using Handler = khive::testing::Script::Handler;

    TlsFront(const Certificate& certificate, Handler handler)
        : context_(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free), handler_(std::move(handler))
    {
        SSL_CTX_use_certificate(context_.get(), certificate.x509());
        SSL_CTX_use_PrivateKey(context_.get(), certificate.key());
        static constexpr unsigned char name[] = {'k', 'h', 'i', 'v', 'e'};
        SSL_CTX_set_session_id_context(context_.get(), name, sizeof name);
    }

    TlsFront& only(int version)
    {
        SSL_CTX_set_min_proto_version(context_.get(), version);
        SSL_CTX_set_max_proto_version(context_.get(), version);
        return *this;
    }

    [[nodiscard]] std::size_t requests() const noexcept { return requests_; }
    /// In how many pieces its clients have sent what they had to say.
    [[nodiscard]] std::size_t pieces() const noexcept { return pieces_; }
    /// Of the connections that are open.
    [[nodiscard]] std::size_t finished_handshakes() const noexcept
    {
        std::size_t count = 0;
        for (const auto& [id, session] : sessions_) count += SSL_is_init_finished(session.ssl.get()) == 1 ? 1 : 0;
        return count;
    }

    void on_connection(khive::testing::SimulatedPeer peer) override { sessions_[peer.id()].open(context_.get()); }
    void on_end(khive::testing::SimulatedPeer peer) override { sessions_.erase(peer.id()); }
    void on_bytes(khive::testing::SimulatedPeer peer, std::string_view bytes) override
    {
        ++pieces_;
        Session& session = sessions_[peer.id()];
        session.reader.feed(session.decrypt(bytes));
        for (khive::testing::ReceivedRequest request; session.reader.next(request);) {
            ++requests_;
            const std::string answer = handler_(request).bytes(request.method);
            SSL_write(session.ssl.get(), answer.data(), static_cast<int>(answer.size()));
        }
        if (std::string out = session.output(); !out.empty()) peer.send(std::move(out));
    }

private:
    struct Session {
        std::shared_ptr<SSL> ssl;
        BIO* in = nullptr;
        BIO* out = nullptr;
        khive::testing::RequestReader reader;

        void open(SSL_CTX* context)
        {
            ssl.reset(SSL_new(context), &SSL_free);
            in = BIO_new(BIO_s_mem());
            out = BIO_new(BIO_s_mem());
            SSL_set_bio(ssl.get(), in, out);
            SSL_set_accept_state(ssl.get());
        }
        /// The handshake goes on meanwhile.
        [[nodiscard]] std::string decrypt(std::string_view bytes)
        {
            BIO_write(in, bytes.data(), static_cast<int>(bytes.size()));
            std::string text;
            char piece[4096];
            for (int got = 0; (got = SSL_read(ssl.get(), piece, sizeof piece)) > 0;)
                text.append(piece, static_cast<std::size_t>(got));
            return text;
        }
        [[nodiscard]] std::string output()
        {
            std::string bytes(BIO_ctrl_pending(out), '\0');
            if (!bytes.empty()) BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
            return bytes;
        }
    };

    std::shared_ptr<SSL_CTX> context_;
    Handler handler_;
    std::map<std::uint64_t, Session> sessions_;
    std::size_t requests_ = 0;
    std::size_t pieces_ = 0;
};

} // namespace khive_tests

// SPDX-License-Identifier: BSL-1.0
// Answers that come with the end of the TLS handshake: they are read from the wire before there is a request.
#include "hostile/hostile.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <openssl/bio.h>
#include <openssl/ssl.h>

#include <thread>

namespace khive_tests::tls_early_test {

namespace {

const std::string forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";

/// What follows the words that came too early.
enum class Then : std::uint8_t { silence, end, close_notify, true_answer };

/// TLS over one accepted socket. What it says waits until it is sent, so that several things go as one segment.
class Speaker {
public:
    Speaker(asio::ip::tcp::socket& socket, SSL_CTX* context) : socket_(socket), ssl_(SSL_new(context), &SSL_free)
    {
        in_ = BIO_new(BIO_s_mem());
        out_ = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl_.get(), in_, out_);
        SSL_set_accept_state(ssl_.get());
    }
    [[nodiscard]] SSL* ssl() const noexcept { return ssl_.get(); }

    void send()
    {
        std::string bytes(BIO_ctrl_pending(out_), '\0');
        if (!bytes.empty()) BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
        asio::write(socket_, asio::buffer(bytes), error_);
    }
    /// False once the client has gone.
    bool receive()
    {
        char bytes[4096];
        const std::size_t got = socket_.read_some(asio::buffer(bytes), error_);
        BIO_write(in_, bytes, static_cast<int>(got));
        return !error_;
    }
    /// Up to the server's last message of the handshake, which is not sent yet.
    void shake_hands_of_1_2()
    {
        while (SSL_do_handshake(ssl()) != 1) {
            send();
            if (!receive()) return;
        }
    }
    /// In TLS 1.3 the server may speak before it has heard the end of the client's handshake.
    void speak_in_handshake_of_1_3(const std::string& text)
    {
        char nothing = 0;
        std::size_t bytes = 0;
        while (SSL_read_early_data(ssl(), &nothing, 1, &bytes) == SSL_READ_EARLY_DATA_ERROR)
            if (!receive()) return;
        SSL_write_early_data(ssl(), text.data(), text.size(), &bytes);
    }
    /// Waits for a request, whose body is an `x` here, and drops it.
    bool hears_request()
    {
        for (std::string request; !request.ends_with("\r\n\r\nx");) {
            char bytes[4096];
            const int got = SSL_read(ssl(), bytes, sizeof bytes);
            if (got > 0) {
                request.append(bytes, static_cast<std::size_t>(got));
                continue;
            }
            send(); // session tickets, if it was the end of the handshake
            if (!receive()) return false;
        }
        return true;
    }
    void write(const std::string& text) { SSL_write(ssl(), text.data(), static_cast<int>(text.size())); }
    void wait_until_gone()
    {
        while (receive()) {}
    }

private:
    asio::ip::tcp::socket& socket_;
    std::shared_ptr<SSL> ssl_;
    BIO* in_ = nullptr;
    BIO* out_ = nullptr;
    boost::system::error_code error_;
};

/// Says `words` in the segment that ends the handshake of its first connection, and answers on a second as it should.
class EarlyServer {
public:
    EarlyServer(int version, std::string words, Then then)
        : acceptor_(of_server_, {asio::ip::address_v4::loopback(), 0}),
          context_(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free),
          version_(version),
          words_(std::move(words)),
          then_(then)
    {
        SSL_CTX_use_certificate(context_.get(), test_identity().server.x509());
        SSL_CTX_use_PrivateKey(context_.get(), test_identity().server.key());
        SSL_CTX_set_min_proto_version(context_.get(), version_);
        SSL_CTX_set_max_proto_version(context_.get(), version_);
        thread_ = std::thread([this] {
            speak_early();
            answer();
        });
    }
    ~EarlyServer()
    {
        boost::system::error_code error;
        asio::ip::tcp::socket last(of_server_);
        last.connect(acceptor_.local_endpoint(), error); // in case it still waits for one
        last.close();
        thread_.join();
    }
    EarlyServer(const EarlyServer&) = delete;
    EarlyServer& operator=(const EarlyServer&) = delete;
    [[nodiscard]] std::string url() const
    {
        return "https://localhost:" + std::to_string(acceptor_.local_endpoint().port());
    }

private:
    void speak_early()
    {
        asio::ip::tcp::socket socket = acceptor_.accept();
        Speaker speaker(socket, context_.get());
        if (version_ == TLS1_2_VERSION) {
            speaker.shake_hands_of_1_2();
            speaker.write(words_);
        } else {
            speaker.speak_in_handshake_of_1_3(words_);
        }
        if (then_ == Then::close_notify) SSL_shutdown(speaker.ssl());
        speaker.send();
        if (then_ == Then::end) socket.shutdown(asio::ip::tcp::socket::shutdown_send);
        if (then_ == Then::true_answer && speaker.hears_request()) {
            speaker.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue");
            speaker.send();
        }
        speaker.wait_until_gone();
    }
    void answer()
    {
        asio::ip::tcp::socket socket = acceptor_.accept();
        Speaker speaker(socket, context_.get());
        while (speaker.hears_request()) {
            speaker.write("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(own_body.size()) + "\r\n\r\n" + own_body);
            speaker.send();
        }
    }

    asio::io_context of_server_;
    asio::ip::tcp::acceptor acceptor_;
    std::shared_ptr<SSL_CTX> context_;
    int version_;
    std::string words_;
    Then then_;
    std::thread thread_;
};

} // namespace

TEST_CASE("Hostile: an answer that comes with the end of the TLS handshake is read at once, and costs the connection",
          "[hostile][tls]")
{
    const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    const auto [name, words, then, expected] = GENERATE(table<std::string, std::string, Then, Fate>({
        {"an answer", forged, Then::silence, accepted_once("forged")},
        {"an answer, and the true one later", forged, Then::true_answer, accepted_once("forged")},
        {"an answer and the end", forged, Then::end, accepted_once("forged")},
        {"an answer, long", "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + std::string(9000, 'x'), Then::silence,
         accepted_once(std::string(9000, 'x'))},
        {"half an answer, and the true one", "HTTP/1.1 200 OK\r\nX: ", Then::true_answer, accepted_once("true")},
        {"a banner", "SSH-2.0-x\r\n", Then::silence, refused(ErrorKind::protocol)},
        {"close_notify", "", Then::close_notify, accepted(own_body)}, // of another connection
    }));
    INFO("row: " << name << (version == TLS1_2_VERSION ? ", TLS 1.2" : ", TLS 1.3"));
    EarlyServer server(version, words, then);
    asio::io_context io;
    const AsyncAPIClient api{io, ClientOptions(server.url()).tls(trusting(test_identity().root)).timeouts({.total = 20s})};

    const auto result = run(io, api.post("/").body("x").try_send());

    CHECK(fate_of(result, api) == expected);
    check_still_sound(io, api);
}

} // namespace khive_tests::tls_early_test

// SPDX-License-Identifier: BSL-1.0
#include <khive/net/tls_session.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"

#include <openssl/ssl.h>

#include <algorithm>
#include <memory>
#include <string>

namespace khive_tests::tls_session_test {

using namespace khive;
using net::TlsContext;
using net::TlsSession;
using net::TlsStep;

namespace {

/// The far side: OpenSSL itself as a server, over memory.
class Server {
public:
    explicit Server(const Certificate& certificate) : context_(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free)
    {
        SSL_CTX_use_certificate(context_.get(), certificate.x509());
        SSL_CTX_use_PrivateKey(context_.get(), certificate.key());
        SSL_CTX_set_session_id_context(context_.get(), reinterpret_cast<const unsigned char*>("khive"), 5);
    }
    Server& only(int version)
    {
        SSL_CTX_set_min_proto_version(context_.get(), version);
        SSL_CTX_set_max_proto_version(context_.get(), version);
        return *this;
    }
    /// Session tickets of several records.
    void with_large_tickets()
    {
        SSL_CTX_set_max_send_fragment(context_.get(), 512);
        const auto fill = [](SSL* ssl, void*) {
            const std::string filling(2000, 'x');
            return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), filling.data(), filling.size());
        };
        SSL_CTX_set_session_ticket_cb(context_.get(), fill, nullptr, nullptr);
    }
    /// Ready for the next connection.
    void start()
    {
        ssl_.reset(SSL_new(context_.get()), &SSL_free);
        in_ = BIO_new(BIO_s_mem());
        out_ = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl_.get(), in_, out_);
        SSL_set_accept_state(ssl_.get());
    }
    [[nodiscard]] SSL* ssl() const noexcept { return ssl_.get(); }

    void feed(std::span<const char> bytes) { BIO_write(in_, bytes.data(), static_cast<int>(bytes.size())); }
    [[nodiscard]] std::string take(std::size_t at_most)
    {
        std::string bytes(at_most, '\0');
        const int got = BIO_read(out_, bytes.data(), static_cast<int>(at_most));
        bytes.resize(static_cast<std::size_t>(std::max(got, 0)));
        return bytes;
    }
    /// All plain text that has arrived.
    [[nodiscard]] std::string read()
    {
        std::string text;
        char piece[4096];
        for (int got = 0; (got = SSL_read(ssl_.get(), piece, sizeof piece)) > 0;) text.append(piece, static_cast<std::size_t>(got));
        return text;
    }
    void write(const std::string& text) { SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())); }

private:
    std::shared_ptr<SSL_CTX> context_;
    std::shared_ptr<SSL> ssl_;
    BIO* in_ = nullptr;
    BIO* out_ = nullptr;
};

/// A session and its server, and the wire between them, which carries at most `piece` bytes at a time.
struct Pair {
    TestIdentity identity;
    TlsContext context = TlsContext{}.trust_nothing().add_ca_pem(identity.root.pem());
    Server server{identity.server};
    std::size_t piece = 100'000;
    std::unique_ptr<TlsSession> session;

    void carry_out()
    {
        for (auto out = session->output(); !out.empty(); out = session->output()) {
            const std::size_t taken = std::min(out.size(), piece);
            server.feed(out.first(taken));
            session->consume_output(taken);
        }
    }
    bool carry_in()
    {
        const auto room = session->prepare_input();
        const std::string bytes = server.take(std::min(room.size(), piece));
        std::copy(bytes.begin(), bytes.end(), room.begin());
        session->commit_input(bytes.size());
        return !bytes.empty();
    }
    TlsStep shake_hands(const std::string& host = "localhost")
    {
        server.start();
        session = std::make_unique<TlsSession>(context, host, "https://" + host);
        for (;;) {
            const TlsStep step = session->handshake();
            carry_out();
            (void)SSL_do_handshake(server.ssl());
            if (step != TlsStep::read || !carry_in()) return step;
        }
    }
    /// What the session reads until it wants more.
    std::pair<std::string, TlsStep> read()
    {
        std::string text;
        for (;;) {
            char piece_of_text[1000];
            std::size_t bytes = 0;
            const TlsStep step = session->read(piece_of_text, bytes);
            text.append(piece_of_text, bytes);
            if (step == TlsStep::done) continue;
            if (step != TlsStep::read || !carry_in()) return {text, step};
        }
    }
    void write(std::string_view text)
    {
        while (!text.empty()) {
            std::size_t taken = 0;
            REQUIRE(session->write({text.data(), text.size()}, taken) == TlsStep::done);
            text.remove_prefix(taken);
        }
    }
};

} // namespace

TEST_CASE("TlsSession: shakes hands and carries text both ways, in pieces of any size", "[net][tls]")
{
    Pair pair;
    pair.piece = GENERATE(1u, 7u, 100u, 100'000u);
    pair.server.only(GENERATE(TLS1_2_VERSION, TLS1_3_VERSION));
    const std::string text(50'000, 'x');

    REQUIRE(pair.shake_hands() == TlsStep::done);
    pair.write(text);
    pair.carry_out();
    CHECK(pair.server.read() == text);

    pair.server.write(text);
    const auto [received, step] = pair.read();
    CHECK(received == text);
    CHECK(step == TlsStep::read);
}

TEST_CASE("TlsSession: verifies chain and name, and says what is wrong with which certificate", "[net][tls]")
{
    Pair pair;
    std::string host = "localhost";
    std::string expected;
    const int which = GENERATE(0, 1, 2, 3, 4);
    const CertificateBuilder local = CertificateBuilder("localhost").dns("localhost");
    switch (which) {
    case 0: host = "other.test"; expected = "hostname mismatch"; break;
    case 1: pair.server = Server(local.self_signed()); expected = "self-signed certificate"; break;
    case 2: pair.server = Server(CertificateBuilder(local).expired().signed_by(pair.identity.root)); expected = "expired"; break;
    case 3: host = "127.0.0.2"; expected = "IP address mismatch"; break;
    case 4: pair.server = Server(CertificateBuilder("localhost").signed_by(pair.identity.root)); expected = "hostname mismatch"; break;
    default: break;
    }

    REQUIRE(pair.shake_hands(host) == TlsStep::failed);

    const Error error = pair.session->error();
    CHECK(error.kind() == ErrorKind::tls);
    CHECK_FALSE(error.retryable());
    CHECK_THAT(error.message(), contains("certificate verification failed") && contains(expected) && contains("depth 0"));
}

TEST_CASE("TlsSession: an address is verified against addresses", "[net][tls]")
{
    Pair pair;

    CHECK(pair.shake_hands(GENERATE(as<std::string>{}, "127.0.0.1", "::1")) == TlsStep::done);
    CHECK(SSL_get_servername(pair.server.ssl(), TLSEXT_NAMETYPE_host_name) == nullptr);
}

TEST_CASE("TlsSession: sends the name of the server, or the one that stands for it", "[net][tls]")
{
    Pair pair;
    pair.context.server_name("localhost");

    REQUIRE(pair.shake_hands("somewhere.else") == TlsStep::done);

    CHECK(std::string(SSL_get_servername(pair.server.ssl(), TLSEXT_NAMETYPE_host_name)) == "localhost");
}

TEST_CASE("TlsSession: connects to anyone only where told so", "[net][tls]")
{
    Pair pair;
    pair.server = Server(CertificateBuilder("x").self_signed());
    pair.context.dangerously_skip_verification();

    CHECK(pair.shake_hands() == TlsStep::done);
}

TEST_CASE("TlsSession: refuses TLS 1.1", "[net][tls]")
{
    Pair pair;
    pair.server.only(TLS1_1_VERSION);

    CHECK(pair.shake_hands() != TlsStep::done);
}

TEST_CASE("TlsSession: the second connection to an origin resumes the session of the first", "[net][tls]")
{
    Pair pair;
    pair.server.only(GENERATE(TLS1_2_VERSION, TLS1_3_VERSION));
    REQUIRE(pair.shake_hands() == TlsStep::done);
    CHECK_FALSE(pair.session->resumed());
    pair.server.write("x"); // tickets come along
    CHECK(pair.read().first == "x");

    REQUIRE(pair.shake_hands() == TlsStep::done);
    CHECK(pair.session->resumed());

    REQUIRE(pair.shake_hands("127.0.0.1") == TlsStep::done);
    CHECK_FALSE(pair.session->resumed()); // another origin
}

TEST_CASE("TlsSession: each ticket of TLS 1.3 resumes one connection", "[net][tls]")
{
    Pair pair;
    REQUIRE(pair.shake_hands() == TlsStep::done);
    while (pair.carry_in()) CHECK(pair.session->peek() == TlsStep::read); // two of them

    for (int i = 0; i < 2; ++i) {
        REQUIRE(pair.shake_hands() == TlsStep::done); // whose own tickets are not read
        CHECK(pair.session->resumed());
    }
}

TEST_CASE("TlsSession: close_notify is told from the end of the wire", "[net][tls]")
{
    Pair pair;
    REQUIRE(pair.shake_hands() == TlsStep::done);
    pair.server.write("last");
    SSL_shutdown(pair.server.ssl());

    const auto [text, step] = pair.read();

    CHECK(text == "last");
    CHECK(step == TlsStep::closed);
}

TEST_CASE("TlsSession: tells of text that has come already, past session tickets, and leaves it there", "[net][tls]")
{
    Pair pair;
    REQUIRE(pair.shake_hands() == TlsStep::done);
    while (pair.carry_in()) {} // the tickets
    CHECK(pair.session->peek() == TlsStep::read);
    CHECK(pair.session->at_rest());

    pair.server.write("unasked");
    REQUIRE(pair.carry_in());
    CHECK(pair.session->peek() == TlsStep::done);
    CHECK(pair.session->peek() == TlsStep::done);
    CHECK(pair.read().first == "unasked");

    SSL_shutdown(pair.server.ssl());
    REQUIRE(pair.carry_in());
    CHECK(pair.session->peek() == TlsStep::closed);
}

TEST_CASE("TlsSession: is not at rest inside a record, nor between the records of a session ticket", "[net][tls]")
{
    Pair pair;
    pair.server.with_large_tickets();
    REQUIRE(pair.shake_hands() == TlsStep::done);
    std::size_t steps = 0;
    std::size_t at_rest = 0;
    pair.piece = 100;
    while (pair.carry_in()) {
        CHECK(pair.session->peek() == TlsStep::read);
        ++steps;
        at_rest += pair.session->at_rest() ? 1 : 0;
    }

    CHECK(steps > 10);
    CHECK(at_rest <= 2); // after each of two tickets, if a piece ends there
    CHECK(pair.session->at_rest());
}

TEST_CASE("TlsSession: says goodbye with close_notify", "[net][tls]")
{
    Pair pair;
    REQUIRE(pair.shake_hands() == TlsStep::done);
    pair.carry_out();

    pair.session->shut_down();
    pair.carry_out();

    CHECK(pair.server.read().empty());
    CHECK((SSL_get_shutdown(pair.server.ssl()) & SSL_RECEIVED_SHUTDOWN) != 0);
}

TEST_CASE("TlsSession: bytes that are no TLS are an error", "[net][tls]")
{
    Pair pair;
    pair.server.start();
    pair.session = std::make_unique<TlsSession>(pair.context, "localhost", "https://localhost");
    (void)pair.session->handshake();
    const std::string garbage = "HTTP/1.1 400 Bad Request\r\n\r\n";
    const auto room = pair.session->prepare_input();
    std::copy(garbage.begin(), garbage.end(), room.begin());
    pair.session->commit_input(garbage.size());

    CHECK(pair.session->handshake() == TlsStep::failed);
    CHECK(pair.session->error().kind() == ErrorKind::tls);
}

TEST_CASE("TlsSession: a corrupt record is an error", "[net][tls]")
{
    Pair pair;
    REQUIRE(pair.shake_hands() == TlsStep::done);
    (void)pair.read();
    pair.server.write("secret");
    std::string record = pair.server.take(1000);
    record.back() = static_cast<char>(record.back() ^ 1);
    const auto room = pair.session->prepare_input();
    std::copy(record.begin(), record.end(), room.begin());
    pair.session->commit_input(record.size());

    CHECK(pair.read().second == TlsStep::failed);
}

TEST_CASE("TlsSession: what is being sent stays where it is while the session has more to say", "[net][tls]")
{
    Pair pair;
    pair.server.only(TLS1_3_VERSION);
    REQUIRE(pair.shake_hands() == TlsStep::done);
    (void)pair.read();
    pair.carry_out();
    pair.write("a request");
    const auto sending = pair.session->output(); // the wire sends from here
    const std::string before(sending.begin(), sending.end());

    for (int i = 0; i < 10; ++i) {
        SSL_key_update(pair.server.ssl(), SSL_KEY_UPDATE_REQUESTED);
        pair.server.write("x");
        CHECK(pair.read().first == "x");
    }

    CHECK(std::string(sending.begin(), sending.end()) == before);
    CHECK(pair.session->output().data() == sending.data());
    CHECK(pair.session->output_size() > sending.size()); // the answers to the key updates wait behind
    pair.carry_out();
    CHECK(pair.server.read() == "a request");
}

TEST_CASE("TlsSession: sent bytes give their memory back though the wire never empties", "[net][tls]")
{
    Pair pair;
    REQUIRE(pair.shake_hands() == TlsStep::done);
    pair.carry_out();
    const std::string text(10'000, 'x');

    std::size_t most = 0;
    for (int i = 0; i < 1000; ++i) {
        while (pair.session->output_size() < 50'000) pair.write(text);
        const auto out = pair.session->output();
        pair.session->consume_output(std::min<std::size_t>(out.size(), 9'000));
        most = std::max(most, pair.session->output_size());
    }

    CHECK(most < 70'000);
}

} // namespace khive_tests::tls_session_test

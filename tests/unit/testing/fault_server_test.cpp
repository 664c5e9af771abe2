// SPDX-License-Identifier: BSL-1.0
#include <khive/async/asio.hpp>
#include <khive/testing/fault_server.hpp>
#include <khive/testing/faulty_api.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace khive_tests::fault_server_test {

using namespace khive;
using namespace khive::testing;
using namespace std::chrono_literals;
namespace ssl = boost::asio::ssl;

namespace {

using Socket = asio::ip::tcp::socket;

/// What a stream brought, and how it ended.
struct Got {
    std::string bytes;
    boost::system::error_code end;
};

Socket connect(asio::io_context& io, const FaultServer& server)
{
    Socket socket(io);
    socket.connect({asio::ip::address_v4::loopback(), server.port()});
    return socket;
}

template <class Stream>
void send(Stream& stream, const std::string& bytes)
{
    boost::system::error_code ignored;
    asio::write(stream, asio::buffer(bytes), ignored);
}

template <class Stream>
Got read_all(Stream& stream)
{
    Got got;
    asio::read(stream, asio::dynamic_buffer(got.bytes), got.end);
    return got;
}

template <class Stream>
std::string read_exactly(Stream& stream, std::size_t size)
{
    std::string bytes(size, '\0');
    asio::read(stream, asio::buffer(bytes));
    return bytes;
}

Got talk(const FaultServer& server, const std::string& bytes)
{
    asio::io_context io;
    Socket socket = connect(io, server);
    if (!bytes.empty()) send(socket, bytes);
    return read_all(socket);
}

const std::string get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
const std::string get_and_close = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const std::string empty_ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A client that trusts the test's authority and speaks TLS with the server.
class TlsClient {
public:
    explicit TlsClient(const khive_tests::TestIdentity& identity)
    {
        context_.add_certificate_authority(asio::buffer(identity.root.pem()));
    }

    TlsClient& certificate(const khive_tests::Certificate& own)
    {
        context_.use_certificate_chain(asio::buffer(own.chain_pem()));
        context_.use_private_key(asio::buffer(own.key_pem()), ssl::context::pem);
        return *this;
    }
    boost::system::error_code handshake(const FaultServer& server)
    {
        boost::system::error_code error;
        stream.emplace(connect(io_, server), context_);
        stream->set_verify_mode(ssl::verify_peer);
        stream->set_verify_callback(ssl::host_name_verification("localhost"));
        SSL_set_tlsext_host_name(stream->native_handle(), "localhost");
        stream->handshake(ssl::stream_base::client, error);
        return error;
    }

private:
    asio::io_context io_;
    ssl::context context_{ssl::context::tls_client};

public:
    std::optional<ssl::stream<Socket>> stream;
};

FaultServerTls tls_of(const khive_tests::Certificate& certificate)
{
    return {certificate.chain_pem(), certificate.key_pem()};
}

} // namespace

TEST_CASE("FaultServer: answers requests on one connection and remembers them", "[testing]")
{
    FaultServer server;
    server.reply(ok("one")).reply(status(404));
    asio::io_context io;
    Socket socket = connect(io, server);

    send(socket, "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
    CHECK(read_exactly(socket, ok("one").bytes().size()) == ok("one").bytes());
    send(socket, get_and_close);
    CHECK(read_all(socket).bytes == status(404).bytes());

    REQUIRE(server.request_count() == 2);
    CHECK(server.requests()[0].body == "hi");
    CHECK(server.requests()[1].connection == 1);
    CHECK(server.requests()[1].number == 2);
    CHECK(server.connections() == 1);
    CHECK(server.url() == "http://127.0.0.1:" + std::to_string(server.port()));
}

TEST_CASE("FaultServer: spoils answers as told", "[testing]")
{
    using Row = std::tuple<const char*, Reply, std::string, boost::system::error_code>;
    const auto [name, reply, bytes, end] = GENERATE_COPY(values<Row>({
        {"reset", reset(), "", asio::error::connection_reset},
        {"reset after", reset_after(8, ok()), "HTTP/1.1", asio::error::connection_reset},
        {"close", close_without_answer(), "", asio::error::eof},
        {"pieces", trickle(raw("abcdef"), 1, 1ms).then_close(), "abcdef", asio::error::eof},
        {"delay", delay(5ms, ok()).then_close(), empty_ok, asio::error::eof},
        {"half-close", ok().then_end(), empty_ok, asio::error::eof},
    }));
    CAPTURE(name);
    FaultServer server;
    server.reply(reply);

    const Got got = talk(server, get);

    CHECK(got.bytes == bytes);
    CHECK(got.end == end);
}

TEST_CASE("FaultServer: spoils connections before and after the first bytes", "[testing]")
{
    FaultServer server;
    SECTION("a banner of another protocol")
    {
        server.on_accept(raw("SSH-2.0-x\r\n").then_close());
        CHECK(talk(server, "").bytes == "SSH-2.0-x\r\n");
    }
    SECTION("reset when accepted")
    {
        server.on_accept(reset());
        asio::io_context io;
        Socket socket(io);
        boost::system::error_code end; // the reset may come before the connection is told of
        socket.connect({asio::ip::address_v4::loopback(), server.port()}, end);
        if (!end) end = read_all(socket).end;
        CHECK(end == asio::error::connection_reset);
    }
    SECTION("reset once the client has spoken")
    {
        server.on_first_bytes(reset());
        CHECK(talk(server, get).end == asio::error::connection_reset);
    }
    SECTION("silence, until the client goes")
    {
        server.on_accept(no_answer());
        asio::io_context io;
        Socket socket = connect(io, server);
        send(socket, get);
        server.wait_for_connections(1);
        CHECK(server.open_connections() == 1);
        socket.close();
        server.wait_for_open_connections(0);
    }
    SECTION("an answer to the first bytes of a request")
    {
        server.on_request_bytes(raw("early").then_close());
        CHECK(talk(server, "G").bytes == "early");
    }
    CHECK(server.request_count() == 0);
    CHECK(talk(server, get_and_close).bytes == empty_ok);
}

TEST_CASE("FaultServer: greets, and serves then", "[testing]")
{
    FaultServer server;
    server.greet_with(raw("welcome"));

    CHECK(talk(server, get_and_close).bytes == "welcome" + empty_ok);
    CHECK(server.request_count() == 1);
}

TEST_CASE("FaultServer: faults come in the order and number that was asked for", "[testing]")
{
    FaultServer server;
    server.on_accept(raw("a").then_close(), 2).on_accept(raw("b").then_close());

    std::string all;
    for (int i = 0; i < 3; ++i) all += talk(server, "").bytes;

    CHECK(all == "aab");
    CHECK(server.connections() == 3);
}

TEST_CASE("FaultServer: does things to idle connections", "[testing]")
{
    FaultServer server;
    asio::io_context io;
    Socket socket = connect(io, server);
    send(socket, get);
    read_exactly(socket, empty_ok.size());

    SECTION("close")
    {
        server.do_to_idle(close_without_answer());
        CHECK(read_all(socket).end == asio::error::eof);
    }
    SECTION("unsolicited bytes")
    {
        server.do_to_idle(raw("HTTP/1.1 408 Request Timeout\r\n\r\n").then_close());
        CHECK(read_all(socket).bytes == "HTTP/1.1 408 Request Timeout\r\n\r\n");
    }
    SECTION("reset")
    {
        server.reset_connections();
        CHECK(read_all(socket).end == asio::error::connection_reset);
    }
    server.wait_for_open_connections(0);
}

TEST_CASE("FaultServer: can go away and come back on its port", "[testing]")
{
    FaultServer server;
    server.stop_listening();
    asio::io_context io;
    CHECK_THROWS_AS(connect(io, server), boost::system::system_error);

    server.listen_again();

    CHECK(talk(server, get_and_close).bytes == empty_ok);
}

TEST_CASE("FaultServer: a failing handler and a script at its end answer 500 and are remembered", "[testing]")
{
    FaultServer server;
    server.reply(ok());
    CHECK(talk(server, get_and_close).bytes == empty_ok);

    CHECK_THAT(talk(server, get_and_close).bytes, khive_tests::contains("500"));
    REQUIRE(server.errors().size() == 1);
    CHECK_THAT(server.errors()[0], khive_tests::contains("no reply left in the script for request 2: GET /"));
}

TEST_CASE("FaultServer: bytes that are no request break the connection and are remembered", "[testing]")
{
    FaultServer server;

    CHECK(talk(server, "hello\r\n\r\n").end == asio::error::connection_reset);
    CHECK(server.errors().size() == 1);
}

TEST_CASE("FaultServer: ends with connections open and answers under way", "[testing]")
{
    asio::io_context io;
    Socket idle(io);
    Socket waiting(io);
    {
        FaultServer server;
        server.reply(delay(1h, ok()));
        idle = connect(io, server);
        waiting = connect(io, server);
        send(waiting, get);
        server.wait_for_requests(1);
    }
    CHECK(read_all(waiting).end);
}

TEST_CASE("FaultServer: takes a faulty API as its handler", "[testing]")
{
    FaultyAPI api{{.quota = 0.001, .quota_burst = 1}};
    FaultServer server{api};

    CHECK_THAT(talk(server, get_and_close).bytes, khive_tests::contains("200 OK"));
    CHECK_THAT(talk(server, get_and_close).bytes, khive_tests::contains("429 Too Many Requests"));
    CHECK(api.counts().throttled == 1);
}

TEST_CASE("FaultServer: speaks TLS with the certificate that it was given", "[testing][tls]")
{
    const khive_tests::TestIdentity identity;
    FaultServer server{tls_of(identity.server)};
    TlsClient client{identity};

    REQUIRE_FALSE(client.handshake(server));
    send(*client.stream, get_and_close);
    const Got got = read_all(*client.stream);

    CHECK(got.bytes == empty_ok);
    CHECK(got.end == asio::error::eof);
    CHECK(server.handshakes() == 1);
    CHECK(server.server_names() == std::vector<std::string>{"localhost"});
    CHECK(server.url("localhost") == "https://localhost:" + std::to_string(server.port()));
}

TEST_CASE("FaultServer: can close without close_notify", "[testing][tls]")
{
    const khive_tests::TestIdentity identity;
    FaultServer server{tls_of(identity.server).without_close_notify()};
    TlsClient client{identity};

    REQUIRE_FALSE(client.handshake(server));
    send(*client.stream, get_and_close);

    CHECK(read_all(*client.stream).end == ssl::error::stream_truncated);
}

TEST_CASE("FaultServer: greets and answers early within TLS", "[testing][tls]")
{
    const khive_tests::TestIdentity identity;
    FaultServer server{tls_of(identity.server)};
    server.on_request_bytes(raw("early").then_close()).greet_with(raw("welcome"));
    TlsClient first{identity};
    TlsClient second{identity};

    REQUIRE_FALSE(first.handshake(server));
    send(*first.stream, "G");
    REQUIRE_FALSE(second.handshake(server));
    send(*second.stream, get_and_close);

    CHECK(read_all(*first.stream).bytes == "early");
    CHECK(read_all(*second.stream).bytes == "welcome" + empty_ok);
}

TEST_CASE("FaultServer: says goodbye to an idle connection whose client does not listen", "[testing][tls]")
{
    const khive_tests::TestIdentity identity;
    FaultServer server{tls_of(identity.server)};
    TlsClient client{identity};
    REQUIRE_FALSE(client.handshake(server));
    send(*client.stream, get);
    read_exactly(*client.stream, empty_ok.size());

    server.do_to_idle(raw("bye").then_close());
    const Got got = read_all(*client.stream);

    CHECK(got.bytes == "bye");
    CHECK(got.end == asio::error::eof);
    server.wait_for_open_connections(0);
}

TEST_CASE("FaultServer: injects bytes where TLS records are expected", "[testing][tls]")
{
    const khive_tests::TestIdentity identity;
    FaultServer server{tls_of(identity.server)};
    server.reply(ok().then_inject("HTTP/1.1 200 forged\r\n\r\n"));
    TlsClient client{identity};

    REQUIRE_FALSE(client.handshake(server));
    send(*client.stream, get);
    const Got got = read_all(*client.stream);

    CHECK(got.bytes == empty_ok);
    CHECK(got.end.category() == asio::error::get_ssl_category());
}

TEST_CASE("FaultServer: can speak TLS 1.1 alone", "[testing][tls]")
{
    const khive_tests::TestIdentity identity;
    FaultServer server{tls_of(identity.server).only_tls_1_1()};
    TlsClient client{identity};

    CHECK(client.handshake(server));
    CHECK(server.handshakes() == 0);
}

TEST_CASE("FaultServer: handshakes are stalled, broken or answered with nonsense", "[testing][tls]")
{
    const khive_tests::TestIdentity identity;
    FaultServer server{tls_of(identity.server)};
    TlsClient client{identity};
    SECTION("nonsense")
    {
        server.on_accept(raw("HTTP/1.1 400 Bad Request\r\n\r\n"));
    }
    SECTION("reset")
    {
        server.on_first_bytes(reset());
    }
    SECTION("end")
    {
        server.on_first_bytes(close_without_answer());
    }

    CHECK(client.handshake(server));
    CHECK(server.handshakes() == 0);
}

TEST_CASE("FaultServer: asks for a client's certificate", "[testing][tls]")
{
    const khive_tests::TestIdentity identity;
    FaultServer server{tls_of(identity.server).require_client_certificate(identity.root.pem()).only_tls_1_2()};

    CHECK(TlsClient{identity}.handshake(server));
    CHECK_FALSE(TlsClient{identity}.certificate(identity.client).handshake(server));
}

TEST_CASE("FaultServer: certificates that a test makes wrong are refused", "[testing][tls]")
{
    using khive_tests::CertificateBuilder;
    static const khive_tests::TestIdentity identity; // one for all rows, which are made once
    const auto& root = identity.root;
    const auto builder = [] { return CertificateBuilder("localhost").dns("localhost"); };
    const auto intermediate = CertificateBuilder("intermediate").authority().signed_by(root);
    const auto no_authority = CertificateBuilder("no authority").signed_by(root);
    using Row = std::tuple<const char*, khive_tests::Certificate, bool>;
    const auto [name, certificate, good] = GENERATE_COPY(values<Row>({
        {"good", builder().signed_by(root), true},
        {"rsa", builder().rsa(2048).signed_by(root), true},
        {"through an intermediate", builder().signed_by(intermediate), true},
        {"expired", builder().expired().signed_by(root), false},
        {"not yet valid", builder().not_yet_valid().signed_by(root), false},
        {"self-signed", builder().self_signed(), false},
        {"another host", CertificateBuilder("other").dns("other.test").signed_by(root), false},
        {"signed by no authority", builder().signed_by(no_authority), false},
        {"only for clients", builder().only_for_clients().signed_by(root), false},
        {"unknown critical extension", builder().unknown_critical_extension().signed_by(root), false},
        {"SHA-1", builder().digest("SHA1").signed_by(root), false},
    }));
    CAPTURE(name);
    FaultServer server{tls_of(certificate)};

    const auto error = TlsClient{identity}.handshake(server);

    CHECK(!error == good);
}

} // namespace khive_tests::fault_server_test

// SPDX-License-Identifier: BSL-1.0
#include "integration/real_world.hpp"

#include <khive/testing/fault_server.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"

#include <boost/asio/executor_work_guard.hpp>

#if defined(__linux__)
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#endif

#include <string>

namespace khive_tests::faults_test {

using namespace khive::testing;

namespace {

/// One call of a client without retries against a server that does `reply`.
Result<Response> call(Reply reply, const Timeouts& timeouts = {}, const ReaderLimits& limits = {})
{
    FaultServer server;
    server.reply(std::move(reply));
    asio::io_context io;
    AsyncAPIClient api{io, ClientOptions(server.url()).timeouts(timeouts).limits(limits)};
    auto result = run(io, api.get("/").try_send());
    CHECK(api.connections().leased == 0);
    if (!result) CHECK(api.connections().open() == 0);
    return result;
}

std::string many(const std::string& piece, int times)
{
    std::string text;
    for (int i = 0; i < times; ++i) text += piece;
    return text;
}

const std::string ok_head = "HTTP/1.1 200 OK\r\n";

} // namespace

TEST_CASE("Faults: an answer that is none, or two in one, is a protocol error at once", "[integration][faults]")
{
    const auto bytes = GENERATE(
        as<std::string>{}, "SSH-2.0-OpenSSH_9.2p1\r\n", "\x15\x03\x01\x00\x02\x02\x28", "<html>hello</html>",
        ok_head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ok_head + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        ok_head + "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
        ok_head + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", ok_head + "Content-Length: +5\r\n\r\nhello",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n", ok_head + "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n");

    const auto result = call(raw(bytes));

    CHECK(kind_of(result) == ErrorKind::protocol);
    CHECK(result.error().maybe_processed());
    CHECK_FALSE(result.error().retryable());
}

TEST_CASE("Faults: a body cut short is an error, by FIN and by RST", "[integration][faults]")
{
    Reply reply = ok(std::string(10'000, 'x'));
    if (GENERATE(true, false)) reply.chunked(1000);
    reply.cut_after(5000);
    if (GENERATE(true, false))
        reply.linger(20ms).then_reset(); // what a RST overtakes is lost, and then it is a connection lost
    else
        reply.then_close();

    CHECK(kind_of(call(reply)) == ErrorKind::truncated_body);
}

TEST_CASE("Faults: a connection that ends before the answer is a lost one", "[integration][faults]")
{
    const auto result = call(GENERATE(as<Reply>{}, close_without_answer(), reset(), ok().cut_after(10).then_close()));

    CHECK(kind_of(result) == ErrorKind::connection_lost);
    CHECK(result.error().maybe_processed());
    CHECK(result.error().retryable());
}

TEST_CASE("Faults: floods end at a limit, not at a timer", "[integration][faults]")
{
    CHECK(kind_of(call(raw(ok_head + many("X-Filler: " + std::string(1000, 'x') + "\r\n", 2000)))) ==
          ErrorKind::header_too_large);
    CHECK(kind_of(call(raw(ok_head + "X: " + std::string(2u << 20, 'x')))) == ErrorKind::header_too_large);
    CHECK(kind_of(call(raw(many("HTTP/1.1 103 Early Hints\r\n\r\n", 10'000)))) == ErrorKind::protocol);
    CHECK(kind_of(call(ok(std::string(5000, 'x')), {}, {.max_body_bytes = 1000})) == ErrorKind::body_too_large);
    CHECK(kind_of(call(ok(std::string(5000, 'x')).chunked(), {}, {.max_body_bytes = 1000})) == ErrorKind::body_too_large);
    CHECK(kind_of(call(ok(std::string(5000, 'x')).until_close(), {}, {.max_body_bytes = 1000})) ==
          ErrorKind::body_too_large);
}

TEST_CASE("Faults: a few interim answers are passed over", "[integration][faults]")
{
    CHECK(call(ok("hello").preceded_by(many("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 3)))->body() == "hello");
}

TEST_CASE("Faults: no answer ends by the timer that was set for it", "[integration][faults]")
{
    const auto result = call(no_answer(), {.first_byte = 50ms});

    CHECK(kind_of(result) == ErrorKind::timeout);
    CHECK(result.error().timer() == Timer::first_byte);
    CHECK(result.error().timer_value() == 50ms);
    CHECK(result.error().maybe_processed());
}

TEST_CASE("Faults: a slow drip ends with the total time", "[integration][faults]")
{
    const auto result = call(trickle(ok(std::string(1000, 'x')), 1, 20ms), {.total = 100ms});

    CHECK(kind_of(result) == ErrorKind::timeout);
    CHECK(result.error().timer() == Timer::total);
    CHECK(result.error().timer_value() == 100ms);
}

TEST_CASE("Faults: a stall within the answer ends by its timer", "[integration][faults]")
{
    const auto result = call(ok("hello").cut_after(20), {.read_stall = 50ms});

    CHECK(kind_of(result) == ErrorKind::timeout);
    CHECK(result.error().timer() == Timer::read_stall);
}

TEST_CASE("Faults: a refused connection names the address", "[integration][faults]")
{
    FaultServer server;
    server.stop_listening();
    asio::io_context io;
    AsyncAPIClient api{io, server.url()};

    const auto result = run(io, api.get("/").try_send());

    CHECK(kind_of(result) == ErrorKind::connect);
    CHECK_THAT(result.error().message(), contains("127.0.0.1:" + std::to_string(server.port())));
    CHECK(result.error().retryable());
}

TEST_CASE("Faults: an early answer to a large upload is given to the caller", "[integration][faults]")
{
    FaultServer server;
    server.on_first_bytes(raw("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"));
    asio::io_context io;
    AsyncAPIClient api{io, ClientOptions(server.url()).raise_for_status(false)};

    const auto result = run(io, api.post("/").body(std::string(20u << 20, 'x')).try_send());

    REQUIRE(result.has_value());
    CHECK(result->status() == 413);
    CHECK(api.connections().open() == 0);
}

TEST_CASE("Faults: a TLS handshake that stalls ends in its own time", "[integration][faults][tls]")
{
    const TestIdentity identity;
    FaultServer server(FaultServerTls(identity.server.chain_pem(), identity.server.key_pem()));
    server.on_accept(no_answer());
    asio::io_context io;
    TlsContext tls;
    tls.trust_nothing().add_ca_pem(identity.root.pem());
    AsyncAPIClient api{io, ClientOptions(server.url("localhost")).tls(tls).timeouts({.tls_handshake = 30s})};

    const auto result = run(io, api.get("/").timeouts({.tls_handshake = 100ms}).try_send());

    CHECK(kind_of(result) == ErrorKind::timeout);
    CHECK(result.error().timer() == Timer::tls_handshake);
    CHECK(run(io, api.get("/").send()).status() == 200);
}

TEST_CASE("Faults: garbage, an end or a reset in a TLS handshake is an error of TLS", "[integration][faults][tls]")
{
    const TestIdentity identity;
    FaultServer server(FaultServerTls(identity.server.chain_pem(), identity.server.key_pem()));
    server.on_first_bytes(
        GENERATE(as<Reply>{}, raw("HTTP/1.1 400 Bad Request\r\n\r\n").then_close(), close_without_answer(), reset()));
    asio::io_context io;
    TlsContext tls;
    tls.trust_nothing().add_ca_pem(identity.root.pem());
    AsyncAPIClient api{io, ClientOptions(server.url("localhost")).tls(tls)};

    CHECK(kind_of(run(io, api.get("/").try_send())) == ErrorKind::tls);
    CHECK(run(io, api.get("/").send()).status() == 200);
}

TEST_CASE("Faults: over TLS a body that ends without close_notify is truncated", "[integration][faults][tls]")
{
    const bool notifies = GENERATE(true, false);
    const TestIdentity identity;
    FaultServerTls identity_of_server(identity.server.chain_pem(), identity.server.key_pem());
    if (!notifies) identity_of_server.without_close_notify();
    FaultServer server(identity_of_server);
    server.reply(ok("hello").until_close()).reply(ok("framed").header("Connection", "close"));
    asio::io_context io;
    TlsContext tls;
    tls.trust_nothing().add_ca_pem(identity.root.pem());
    AsyncAPIClient api{io, ClientOptions(server.url("localhost")).tls(tls)};

    const auto until_close = run(io, api.get("/").try_send());
    const auto framed = run(io, api.get("/").try_send());

    CHECK(kind_of(until_close) == (notifies ? ErrorKind{} : ErrorKind::truncated_body));
    REQUIRE(framed.has_value());
    CHECK(framed->body() == "framed");
}

TEST_CASE("Faults: a TLS server that insists on a client certificate refuses who has none", "[integration][faults][tls]")
{
    const TestIdentity identity;
    FaultServerTls strict(identity.server.chain_pem(), identity.server.key_pem());
    strict.require_client_certificate(identity.root.pem());
    if (GENERATE(true, false)) strict.only_tls_1_2();
    FaultServer server(strict);
    asio::io_context io;
    TlsContext without;
    without.trust_nothing().add_ca_pem(identity.root.pem());
    TlsContext with;
    with.trust_nothing().add_ca_pem(identity.root.pem());
    with.client_certificate_pem(identity.client.chain_pem(), Secret(identity.client.key_pem()));
    AsyncAPIClient unknown{io, ClientOptions(server.url("localhost")).tls(without)};
    AsyncAPIClient known{io, ClientOptions(server.url("localhost")).tls(with)};

    const auto refused = run(io, unknown.get("/").try_send());

    const ErrorKind kind = kind_of(refused);
    CHECK((kind == ErrorKind::tls || kind == ErrorKind::connection_lost)); // the alert may be overtaken by the reset
    CHECK(run(io, known.get("/").send()).status() == 200);
}

TEST_CASE("Faults: an idle connection that ends fails no GET, and sends no POST twice", "[integration][faults]")
{
    FaultServer server;
    asio::io_context io;
    AsyncAPIClient api{io, server.url()};
    const auto deed = GENERATE(as<Reply>{}, close_without_answer(), reset());

    for (int i = 0; i < 20; ++i) {
        const auto got = run(io, api.get("/{}", i).try_send());
        CHECK(got.has_value());
        server.do_to_idle(deed);
        const auto posted = run(io, api.post("/{}", i).body("x").try_send());
        if (!posted) CHECK(posted.error().kind() == ErrorKind::connection_lost);
        server.do_to_idle(deed);
    }

    int posts = 0;
    for (const auto& request : server.requests()) posts += request.method == "POST" ? 1 : 0;
    CHECK(posts <= 20);
}

TEST_CASE("Faults: what comes unasked on an idle connection retires it", "[integration][faults]")
{
    FaultServer server;
    asio::io_context io;
    AsyncAPIClient api{io, server.url()};
    CHECK(run(io, api.get("/").try_send()).has_value());
    CHECK(api.connections().idle == 1);

    server.do_to_idle(raw("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"));
    auto work = asio::make_work_guard(io);
    io.restart();
    while (api.connections().idle != 0) REQUIRE(io.run_one() == 1); // the watch
    work.reset();
    const auto posted = run(io, api.post("/").body("x").try_send());

    REQUIRE(posted.has_value());
    CHECK(posted->status() == 200);
    CHECK(server.connections() == 2);
}

TEST_CASE("Faults: a connection that dies under a request is replaced for a GET and reported for a POST",
          "[integration][faults]")
{
    FaultServer server;
    server.reply(ok()).reply(reset()).reply(ok("again")).reply(reset());
    asio::io_context io;
    AsyncAPIClient api{io, server.url()};
    CHECK(run(io, api.get("/").try_send()).has_value());

    const auto get = run(io, api.get("/").try_send());
    const auto post = run(io, api.post("/").body("x").try_send());

    REQUIRE(get.has_value());
    CHECK(get->body() == "again");
    CHECK(get->ledger().size() == 1);
    CHECK(get->ledger().back().replayed);
    REQUIRE_FALSE(post.has_value());
    CHECK(post.error().kind() == ErrorKind::connection_lost);
    CHECK(post.error().maybe_processed());
    CHECK(server.request_count() == 4); // the POST came once
}

#if defined(__linux__)
TEST_CASE("Faults: programs that this one starts do not inherit its connections", "[integration][faults]")
{
    FaultServer server;
    asio::io_context io;
    AsyncAPIClient api{io, server.url()};
    (void)run(io, api.get("/").send());

    int connections = 0;
    for (int handle = 3; handle < 256; ++handle) {
        sockaddr_in peer{};
        socklen_t size = sizeof peer;
        if (::getpeername(handle, reinterpret_cast<sockaddr*>(&peer), &size) != 0 || ntohs(peer.sin_port) != server.port())
            continue;
        ++connections;
        CHECK((::fcntl(handle, F_GETFD) & FD_CLOEXEC) != 0);
    }
    CHECK(connections == 1);
}
#endif

} // namespace khive_tests::faults_test

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/nginx.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>

#include <string>

namespace khive_tests::nginx_fixture_test {

namespace asio = boost::asio;
using khive_tests::Nginx;
using khive_tests::NginxOptions;

namespace {

template <class Stream>
std::string ask(Stream& stream, const std::string& path)
{
    std::string answer;
    boost::system::error_code end;
    asio::write(stream, asio::buffer("GET " + path + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"), end);
    asio::read(stream, asio::dynamic_buffer(answer), end);
    return answer;
}

std::string fetch(const Nginx& nginx, const std::string& path)
{
    asio::io_context io;
    asio::ip::tcp::socket socket(io);
    socket.connect({asio::ip::address_v4::loopback(), nginx.port()});
    return ask(socket, path);
}

} // namespace

TEST_CASE("Nginx: serves what its table says", "[nginx]")
{
    Nginx nginx(NginxOptions{}.limited_rate(1));

    CHECK_THAT(fetch(nginx, "/small.txt"), khive_tests::contains("Content-Length: 12\r\n"));
    CHECK(fetch(nginx, "/medium.bin").size() > 64 * 1024);
    CHECK_THAT(fetch(nginx, "/chunked/small.txt"), khive_tests::contains("Transfer-Encoding: chunked\r\n"));
    CHECK_THAT(fetch(nginx, "/slow/small.txt"), khive_tests::contains("hello khive"));
    CHECK_THAT(fetch(nginx, "/empty"), khive_tests::contains("204 No Content"));
    CHECK_THAT(fetch(nginx, "/echo?x=1"), khive_tests::contains("GET /echo?x=1"));
    CHECK_THAT(fetch(nginx, "/status/503"), khive_tests::contains("HTTP/1.1 503"));
    CHECK_THAT(fetch(nginx, "/status/429"), khive_tests::contains("HTTP/1.1 429"));
    CHECK_THAT(fetch(nginx, "/nothing"), khive_tests::contains("HTTP/1.1 404"));
    std::string limited; // two may be more than a second apart
    for (int i = 0; i < 10 && limited.find("HTTP/1.1 429") == std::string::npos; ++i) limited += fetch(nginx, "/limited");
    CHECK_THAT(limited, khive_tests::contains("HTTP/1.1 429"));
}

TEST_CASE("Nginx: speaks TLS with its identity", "[nginx][tls]")
{
    Nginx nginx;
    asio::io_context io;
    asio::ssl::context context{asio::ssl::context::tls_client};
    context.add_certificate_authority(asio::buffer(nginx.identity().root.pem()));
    context.set_verify_mode(asio::ssl::verify_peer);
    asio::ssl::stream<asio::ip::tcp::socket> stream{io, context};
    stream.next_layer().connect({asio::ip::address_v4::loopback(), nginx.tls_port()});

    stream.handshake(asio::ssl::stream_base::client);

    CHECK_THAT(ask(stream, "/small.txt"), khive_tests::contains("hello khive"));
}

TEST_CASE("Nginx: restarts on its ports", "[nginx]")
{
    Nginx nginx;
    const auto port = nginx.port();
    const auto before = nginx.pid();

    nginx.restart();

    CHECK(nginx.port() == port);
    CHECK(nginx.pid() != before);
    CHECK_THAT(fetch(nginx, "/empty"), khive_tests::contains("204 No Content"));
}

TEST_CASE("Nginx: refuses while it is stopped", "[nginx]")
{
    Nginx nginx;
    nginx.quit();

    CHECK_THROWS(fetch(nginx, "/empty"));
    nginx.start();
    nginx.reload();
    CHECK_THAT(fetch(nginx, "/empty"), khive_tests::contains("204 No Content"));
}

} // namespace khive_tests::nginx_fixture_test

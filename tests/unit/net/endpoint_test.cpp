// SPDX-License-Identifier: BSL-1.0
#include <khive/net/endpoint.hpp>
#include <khive/net/tcp_wire.hpp>

#include "support/catch.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <cstring>
#include <string>
#include <type_traits>

namespace khive_tests::endpoint_test {

using namespace khive;
using net::Endpoint;

namespace {

asio::ip::tcp::endpoint of_asio(const std::string& ip, std::uint16_t port)
{
    return {asio::ip::make_address(ip), port};
}

} // namespace

TEST_CASE("Endpoint: none without an address", "[net][endpoint]")
{
    const Endpoint none;

    CHECK(none.family() == AF_INET);
    CHECK(none.peer().to_string() == "0.0.0.0:0");
    static_assert(std::is_trivially_copyable_v<Endpoint>);
}

TEST_CASE("Endpoint: takes an address of the system's whole, a scope included", "[net][endpoint]")
{
    const auto [ip, family, printed] = GENERATE(table<std::string, int, std::string>({
        {"127.0.0.1", AF_INET, "127.0.0.1:8080"},
        {"255.254.253.252", AF_INET, "255.254.253.252:8080"},
        {"::1", AF_INET6, "[::1]:8080"},
        {"2001:db8::42", AF_INET6, "[2001:db8::42]:8080"},
        {"fe80::1%7", AF_INET6, "[fe80::1]:8080"},
    }));
    const auto from = of_asio(ip, 8080);

    const Endpoint endpoint(*from.data());

    CHECK(endpoint.family() == family);
    CHECK(endpoint.peer().to_string() == printed);
    REQUIRE(endpoint.size() == from.size());
    CHECK(std::memcmp(endpoint.data(), from.data(), from.size()) == 0);
}

TEST_CASE("TcpNetwork: an address needs no look-up, a name does", "[net][endpoint]")
{
    const auto [host, found] = GENERATE(table<std::string, std::string>({
        {"127.0.0.1", "127.0.0.1:443"},
        {"::1", "[::1]:443"},
        {"2001:db8::1:2", "[2001:db8::1:2]:443"},
        {"example.com", ""},
        {"127.1", ""},
        {"", ""},
    }));
    asio::io_context io;
    const net::TcpNetwork network(io);
    Endpoint endpoint;

    const bool literal = network.literal(host, 443, endpoint);

    CHECK(literal == !found.empty());
    if (literal) {
        const auto expected = of_asio(host, 443);
        CHECK(endpoint.peer().to_string() == found);
        REQUIRE(endpoint.size() == expected.size());
        CHECK(std::memcmp(endpoint.data(), expected.data(), expected.size()) == 0);
    }
}

} // namespace khive_tests::endpoint_test

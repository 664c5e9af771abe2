// SPDX-License-Identifier: BSL-1.0
// What every consumer builds: a client that calls a port where nobody listens, and the typed error that says so.
#include <khive/khive.hpp>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include <iostream>
#include <string>

namespace asio = boost::asio;
using asio::ip::tcp;

std::string closed_port_url(asio::io_context& io)
{
    tcp::acceptor acceptor{io, tcp::endpoint{asio::ip::address_v4::loopback(), 0}};
    return "http://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port());
}

asio::awaitable<void> call(khive::AnyAPIClient api, bool& refused)
{
    try {
        co_await api.get("/users/{}", 42).send();
    } catch (const khive::APIConnectionError& error) {
        std::cout << "as expected: " << error.what() << '\n';
        refused = true;
    }
}

int main()
{
    asio::io_context io;
    khive::AsyncAPIClient api{io, closed_port_url(io), khive::TokenBucketRateLimiter{{.rate = 20, .burst = 40}}};
    bool refused = false;
    asio::co_spawn(io, call(api, refused), asio::detached);
    io.run();
    return refused ? 0 : 1;
}

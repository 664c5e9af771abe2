// SPDX-License-Identifier: BSL-1.0
//
// One HTTPS GET with khive, to be compiled, not run.

#include <khive/client/async_api_client.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <iostream>

namespace asio = boost::asio;

asio::awaitable<void> get(khive::AnyAPIClient api)
{
    const auto response = co_await api.get("/").send();
    std::cout << response.status() << ' ' << response.body().size() << '\n';
}

int main()
{
    asio::io_context io;
    const khive::AsyncAPIClient api(io, "https://example.com");
    asio::co_spawn(io, get(api), asio::detached);
    io.run();
}

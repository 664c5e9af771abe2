// SPDX-License-Identifier: BSL-1.0
//
// The usual Boost.Beast client with coroutines: async_write, async_read into response<string_body>, tcp_stream timeouts. No
// policies.

#include "runner.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

struct Run {
    race::Arguments arguments;
    long left = 0;
    long done = 0;
    long wrong = 0;
    long warm_up = 0;
    race::Meter meter;
};

asio::awaitable<void> client(Run* run)
{
    beast::tcp_stream stream(co_await asio::this_coro::executor);
    stream.expires_after(std::chrono::seconds(5));
    const asio::ip::tcp::endpoint endpoint(asio::ip::make_address(run->arguments.host),
                                           static_cast<std::uint16_t>(std::atoi(run->arguments.port.c_str())));
    co_await stream.async_connect(endpoint, asio::use_awaitable);
    stream.socket().set_option(asio::ip::tcp::no_delay(true));
    beast::flat_buffer buffer;
    const std::size_t expected = run->arguments.path == "/big" ? 65536u : 208u;
    while (run->left > 0) {
        --run->left;
        http::request<http::empty_body> request(http::verb::get, run->arguments.path, 11);
        request.set(http::field::host, run->arguments.host);
        request.set(http::field::user_agent, "naive");
        request.set(http::field::accept, "*/*");
        stream.expires_after(std::chrono::seconds(30));
        co_await http::async_write(stream, request, asio::use_awaitable);
        http::response<http::string_body> response;
        stream.expires_after(std::chrono::seconds(30));
        co_await http::async_read(stream, buffer, response, asio::use_awaitable);
        if (response.result_int() != 200 || response.body().size() != expected) ++run->wrong;
        if (++run->done == run->warm_up) run->meter.start();
    }
}

int main(int argc, char** argv)
{
    Run run;
    run.arguments = race::parse(argc, argv);
    run.warm_up = run.arguments.connections * 20;
    run.left = run.arguments.requests + run.warm_up;
    asio::io_context io(1);
    for (int i = 0; i < run.arguments.connections; ++i) asio::co_spawn(io, client(&run), asio::detached);
    io.run();
    run.meter.report("naive_beast", run.arguments.requests, run.wrong);
}

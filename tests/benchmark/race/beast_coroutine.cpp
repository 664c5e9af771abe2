// SPDX-License-Identifier: BSL-1.0
//
// The usual Boost.Beast client with coroutines: async_write, async_read into response<string_body>, tcp_stream timeouts. No
// policies.

#include "beast.hpp"
#include "order.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

/// Sends `request` on `connection`, which is made first if there is none, and gives the answer.
template <class Stream, class Body>
asio::awaitable<http::response<http::string_body>> exchange(Target& target, Connection<Stream>& connection,
                                                            http::request<Body>& request)
{
    if (!connection) {
        connection.reset(target);
        connection.tcp().expires_after(std::chrono::seconds(5));
        co_await connection.tcp().async_connect(target.endpoint, asio::use_awaitable);
        connection.tcp().socket().set_option(asio::ip::tcp::no_delay(true));
        if constexpr (is_tls<Stream>)
            co_await connection.stream->async_handshake(ssl::stream_base::client, asio::use_awaitable);
    }
    request.set(http::field::host, target.host);
    request.set(http::field::user_agent, "naive");
    request.set(http::field::accept, "*/*");
    connection.tcp().expires_after(std::chrono::seconds(30));
    co_await http::async_write(*connection.stream, request, asio::use_awaitable);
    http::response<http::string_body> response;
    connection.tcp().expires_after(std::chrono::seconds(30));
    co_await http::async_read(*connection.stream, connection.buffer, response, asio::use_awaitable);
    if (!response.keep_alive()) connection.close();
    co_return response;
}

template <class Stream>
asio::awaitable<void> get(race::Run& run, Target& target)
{
    Connection<Stream> connection;
    while (run.take()) {
        http::request<http::empty_body> request(http::verb::get, run.arguments.path, 11);
        try {
            const auto response = co_await exchange(target, connection, request);
            run.answered(response.result_int(), response.body());
        } catch (const std::exception& error) {
            std::fprintf(stderr, "beast: %s\n", error.what());
            connection.close();
            run.answered(false);
        }
    }
}

template <class Stream>
asio::awaitable<void> post(race::Run& run, Target& target)
{
    const Order order = nlohmann::json::parse(run.arguments.body).get<Order>();
    Connection<Stream> connection;
    while (run.take()) {
        http::request<http::string_body> request(http::verb::post, run.arguments.path, 11);
        request.set(http::field::content_type, "application/json");
        request.body() = nlohmann::json(order).dump();
        request.prepare_payload();
        const http::response<http::string_body> response = co_await exchange(target, connection, request);
        run.answered(response.result_int() == 200 && nlohmann::json::parse(response.body()).get<Order>() == order);
    }
}

template <class Stream>
void start(race::Run& run, Target& target)
{
    const auto work = run.arguments.path == "/echo" ? post<Stream> : get<Stream>;
    for (int i = 0; i < run.arguments.connections; ++i) asio::co_spawn(target.io, work(run, target), asio::detached);
}

int main(int argc, char** argv)
{
    race::Run run(argc, argv);
    Target target(run.arguments);
    run.arguments.tls ? start<Tls>(run, target) : start<Plain>(run, target);
    target.io.run();
    run.report("beast_coroutine");
}

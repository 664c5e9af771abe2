// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>
#include <khive/net/wire.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace micro {

using namespace khive;

/// What every request to a loop-back is answered with: a head of seven fields and 208 bytes of JSON.
[[nodiscard]] inline const std::string& small_answer()
{
    static const std::string answer = [] {
        std::string body = R"({"id": 42, "name": "a small answer", "tags": ["a", "b", "c"], "text": ")";
        body.append(206 - body.size(), 'x').append("\"}");
        return "HTTP/1.1 200 OK\r\nDate: Mon, 06 Jul 2026 10:00:00 GMT\r\nServer: loop\r\nContent-Type: application/json\r\n"
               "Content-Length: 208\r\nConnection: keep-alive\r\nETag: \"5f3b-61a\"\r\nX-Request-Id: 0123456789abcdef\r\n\r\n" +
               body;
    }();
    return answer;
}

/// A wire without a socket: whatever is written is a whole request, and its answer is there at once.
class LoopbackWire final : public net::Wire {
public:
    explicit LoopbackWire(asio::any_io_executor executor) : executor_(std::move(executor)) {}

    bool connect(const net::Endpoint&, net::ListenerPtr) override { return true; }
    void write_some(const net::WriteBuffers& from, net::ListenerPtr listener) override
    {
        boost::system::error_code error;
        asio::post(executor_,
                   [listener = std::move(listener), bytes = try_write(from, error)] { listener->on_written({}, bytes); });
    }
    std::size_t try_write(const net::WriteBuffers& from, boost::system::error_code&) noexcept override
    {
        unread_ = small_answer();
        if (reader_) read_some(std::exchange(reader_, nullptr), net::Look::now);
        return from[0].size() + from[1].size();
    }
    void read_some(net::ListenerPtr listener, net::Look) override
    {
        if (unread_.empty()) {
            reader_ = std::move(listener);
            return;
        }
        const auto into = listener->read_buffer();
        const std::size_t bytes = unread_.copy(into.data(), into.size());
        unread_.remove_prefix(bytes);
        asio::post(executor_, [listener = std::move(listener), bytes] { listener->on_read({}, bytes); });
    }
    void wait_readable(net::ListenerPtr listener) override { watcher_ = std::move(listener); }
    bool readable_now() noexcept override { return false; }
    void cancel() noexcept override
    {
        const auto aborted = asio::error::operation_aborted;
        if (auto reader = std::exchange(reader_, nullptr))
            asio::post(executor_, [reader = std::move(reader), aborted] { reader->on_read(aborted, 0); });
        if (auto watcher = std::exchange(watcher_, nullptr))
            asio::post(executor_, [watcher = std::move(watcher), aborted] { watcher->on_readable(aborted); });
    }
    void close() noexcept override { cancel(); }

private:
    asio::any_io_executor executor_;
    std::string_view unread_;
    net::ListenerPtr reader_;
    net::ListenerPtr watcher_;
};

/// A network of such wires.
class Loopback final : public net::Network {
public:
    static void install(const asio::any_io_executor& executor)
    {
        net::network_service(executor).install(std::make_shared<Loopback>());
    }
    net::WirePtr open(const asio::any_io_executor& executor) override { return net::WirePtr(new LoopbackWire(executor)); }
    void resolve(const asio::any_io_executor& executor, const std::string&, std::uint16_t port, net::ListenerPtr listener) override
    {
        const net::Endpoint here(*asio::ip::tcp::endpoint(asio::ip::address_v4::loopback(), port).data());
        asio::post(executor, [listener = std::move(listener), here] {
            khive::net::Endpoints found;
            found.push_back(here);
            listener->on_resolved({}, std::move(found));
        });
    }
};

} // namespace micro

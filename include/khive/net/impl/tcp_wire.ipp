// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/post.hpp>
#include <khive/net/tcp_wire.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>

#include <array>
#include <atomic>
#include <utility>

namespace khive::inline KHIVE_ABI::net {
namespace detail {

/// Calls one method of a listener, or tells it that it never will.
template <void (WireListener::*Method)(boost::system::error_code, std::size_t)>
class BytesHandler {
public:
    explicit BytesHandler(ListenerPtr listener) noexcept : listener_(std::move(listener)) {}
    BytesHandler(BytesHandler&&) noexcept = default;
    BytesHandler(const BytesHandler&) = delete;
    ~BytesHandler()
    {
        if (listener_) listener_->on_abandoned();
    }
    void operator()(boost::system::error_code error, std::size_t bytes)
    {
        const ListenerPtr listener = std::move(listener_);
        (listener.get()->*Method)(error, bytes);
    }

private:
    ListenerPtr listener_;
};

/// One wait at a time that `run()` does not stay for, until it is cancelled: its handler has to be run then, or whoever waits
/// for all operations of the wire to end would not hear of it.
class BackgroundWait {
public:
    explicit BackgroundWait(asio::any_io_executor executor) : work_(std::move(executor)) {}

    void begin() noexcept { under_way_.store(true); }
    /// After the operation has been started.
    void release() const noexcept { work_.release(); }
    /// By its handler or its cancellation, whichever comes first.
    void end() noexcept
    {
        if (under_way_.exchange(false)) work_.retake();
    }

private:
    async::UntrackedWork work_;
    std::atomic<bool> under_way_{false};
};

template <void (WireListener::*Method)(boost::system::error_code)>
class EventHandler {
public:
    explicit EventHandler(ListenerPtr listener, BackgroundWait* background = nullptr) noexcept
        : listener_(std::move(listener)), background_(background)
    {
    }
    EventHandler(EventHandler&&) noexcept = default;
    EventHandler(const EventHandler&) = delete;
    ~EventHandler()
    {
        if (listener_) listener_->on_abandoned();
    }
    void operator()(boost::system::error_code error)
    {
        const ListenerPtr listener = std::move(listener_);
        if (background_ != nullptr) background_->end();
        (listener.get()->*Method)(error);
    }

private:
    ListenerPtr listener_;
    BackgroundWait* background_;
};

template <class Executor>
class TcpWire final : public Wire {
public:
    explicit TcpWire(const Executor& executor) : socket_(executor), background_(asio::any_io_executor(executor)) {}

    void connect(const Endpoint& endpoint, ListenerPtr listener) override
    {
        boost::system::error_code ignored;
        socket_.close(ignored);
        socket_.async_connect(endpoint, EventHandler<&WireListener::on_connected>(std::move(listener)));
    }

    void read_some(std::span<char> into, ListenerPtr listener) override
    {
        socket_.async_read_some(asio::buffer(into.data(), into.size()),
                                BytesHandler<&WireListener::on_read>(std::move(listener)));
    }

    void write_some(const WriteBuffers& from, ListenerPtr listener) override
    {
        set_options_once();
        BytesHandler<&WireListener::on_written> handler(std::move(listener));
        if (from[1].empty())
            return socket_.async_write_some(asio::buffer(from[0].data(), from[0].size()), std::move(handler));
        const std::array<asio::const_buffer, 2> both{asio::buffer(from[0].data(), from[0].size()),
                                                     asio::buffer(from[1].data(), from[1].size())};
        socket_.async_write_some(both, std::move(handler));
    }

    void wait_readable(ListenerPtr listener) override
    {
        background_.begin();
        socket_.async_wait(asio::socket_base::wait_read,
                           EventHandler<&WireListener::on_readable>(std::move(listener), &background_));
        background_.release();
    }

    std::size_t try_write(std::span<const char> from) noexcept override
    {
        boost::system::error_code error;
        if (!socket_.is_open() || !never_blocks()) return 0;
        return socket_.write_some(asio::buffer(from.data(), from.size()), error);
    }

    bool readable_now() noexcept override
    {
        boost::system::error_code error;
        char byte = 0;
        if (!never_blocks()) return true;
        (void)socket_.receive(asio::buffer(&byte, 1), asio::socket_base::message_peek, error);
        return error != asio::error::would_block && error != asio::error::try_again;
    }

    void cancel() noexcept override
    {
        background_.end();
        boost::system::error_code ignored;
        socket_.cancel(ignored);
    }

    void close() noexcept override
    {
        background_.end();
        boost::system::error_code ignored;
        socket_.close(ignored);
    }

private:
    /// Asked of the system once in the life of the socket.
    bool never_blocks() noexcept
    {
        boost::system::error_code error;
        if (!socket_.non_blocking()) socket_.non_blocking(true, error);
        return !error;
    }
    void set_options_once()
    {
        if (std::exchange(options_set_, true)) return;
        boost::system::error_code ignored;
        socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
        socket_.set_option(asio::socket_base::keep_alive(true), ignored);
    }

    asio::basic_stream_socket<asio::ip::tcp, Executor> socket_;
    BackgroundWait background_;
    bool options_set_ = false;
};

inline Endpoints endpoints_of(const asio::ip::tcp::resolver::results_type& results)
{
    Endpoints found;
    for (const auto& entry : results) found.push_back(entry.endpoint());
    return found;
}

} // namespace detail

KHIVE_DECL std::unique_ptr<Wire> TcpNetwork::open(const asio::any_io_executor& executor)
{
    using IoExecutor = asio::io_context::executor_type;
    if (const auto* io = executor.target<IoExecutor>()) return std::make_unique<detail::TcpWire<IoExecutor>>(*io);
    return std::make_unique<detail::TcpWire<asio::any_io_executor>>(executor);
}

KHIVE_DECL void TcpNetwork::resolve(const asio::any_io_executor& executor, const std::string& host, std::uint16_t port,
                                    Resolved done)
{
    boost::system::error_code not_literal;
    const auto address = asio::ip::make_address(host, not_literal);
    if (!not_literal) {
        async::post(executor, [done = std::move(done), endpoint = Endpoint(address, port)] { done({}, {endpoint}); });
        return;
    }
    auto resolver = std::make_shared<asio::ip::tcp::resolver>(executor);
    resolver->async_resolve(host, std::to_string(port), asio::ip::tcp::resolver::numeric_service,
                            [resolver, done = std::move(done)](boost::system::error_code error, const auto& results) {
                                done(error, detail::endpoints_of(results));
                            });
}

} // namespace khive::inline KHIVE_ABI::net

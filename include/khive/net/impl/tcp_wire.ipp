// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/post.hpp>
#include <khive/async/untracked_work.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/net/tcp_wire.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/recycling_allocator.hpp>
#include <boost/asio/system_executor.hpp>

#if defined(__linux__)
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#endif

#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <utility>

namespace khive::inline KHIVE_ABI::net {
namespace detail {

/// One wait at a time that `run()` does not stay for, until it is cancelled: its handler has to be run then, or whoever waits
/// for all operations of the wire to end would not hear of it.
class BackgroundWait {
public:
    explicit BackgroundWait(asio::any_io_executor executor) : work_(std::move(executor)) {}

    void begin() noexcept { under_way_.store(true); }
    /// Instead of `release`: the operation could not be started.
    void undo() noexcept { under_way_.store(false); }
    /// After the operation has been started.
    void release() const noexcept { work_.release(); }
    /// By its handler or its cancellation, whichever comes first.
    void end() noexcept
    {
        if (under_way_.exchange(false)) work_.retake();
    }

private:
    async::UntrackedWork work_;
    std::atomic<bool> under_way_{false}; ///< whoever clears it takes the work back: handler and cancellation may come at once
};

/// For the read of a wire, one at a time: many of them wait in the reactor at once, more than Asio keeps memory for.
struct ReadMemory {
    alignas(std::max_align_t) std::array<std::byte, 256> bytes;
};

/// Gives Asio's operations the memory of a wire's read, where the operation is one and fits.
template <class T>
class ReadAllocator {
public:
    using value_type = T;

    explicit ReadAllocator(ReadMemory* memory) noexcept : memory_(memory) {}
    template <class U>
    ReadAllocator(const ReadAllocator<U>& other) noexcept : memory_(other.memory_) // NOLINT: allocators convert
    {}

    [[nodiscard]] T* allocate(std::size_t count)
    {
        return in_place() ? reinterpret_cast<T*>(memory_->bytes.data()) : asio::recycling_allocator<T>().allocate(count);
    }
    void deallocate(T* operation, std::size_t count) noexcept
    {
        if (!in_place()) asio::recycling_allocator<T>().deallocate(operation, count);
    }
    friend bool operator==(const ReadAllocator& a, const ReadAllocator& b) noexcept { return a.memory_ == b.memory_; }

private:
    template <class U>
    friend class ReadAllocator;
    [[nodiscard]] bool in_place() const noexcept
    {
        return memory_ != nullptr && sizeof(T) <= sizeof(ReadMemory) && alignof(T) <= alignof(ReadMemory);
    }

    ReadMemory* memory_;
};

enum class WireEvent : std::uint8_t { connected, written, read, readable };

/// Tells a listener what has happened, or that it never will. One class for every operation of Asio's, for the sake of compile time.
class WireHandler {
public:
    using allocator_type = ReadAllocator<void>;

    WireHandler(WireEvent event, ListenerPtr listener, ReadMemory* memory = nullptr) noexcept
        : listener_(std::move(listener)), memory_(memory), event_(event)
    {}
    WireHandler(ListenerPtr listener, BackgroundWait& background) noexcept
        : listener_(std::move(listener)), background_(&background), event_(WireEvent::readable)
    {}
    [[nodiscard]] allocator_type get_allocator() const noexcept { return allocator_type(memory_); }
    WireHandler(WireHandler&&) noexcept = default;
    WireHandler(const WireHandler&) = delete;
    ~WireHandler()
    {
        if (listener_) listener_->on_abandoned();
    }
    /// Hands the handler to `start`, which has not taken it if it throws: there is nothing to tell then.
    template <class Start>
    void start_with(Start start)
    {
        try {
            start(*this);
        } catch (...) {
            listener_.reset();
            throw;
        }
    }
    void operator()(boost::system::error_code error, std::size_t bytes = 0)
    {
        const ListenerPtr listener = std::move(listener_);
        switch (event_) {
        case WireEvent::connected: return listener->on_connected(error);
        case WireEvent::written: return listener->on_written(error, bytes);
        case WireEvent::read: return listener->on_read(error, bytes);
        case WireEvent::readable: background_->end(); return listener->on_readable(error);
        }
    }

private:
    ListenerPtr listener_;
    ReadMemory* memory_ = nullptr;
    BackgroundWait* background_ = nullptr;
    WireEvent event_;
};

/// Called by the thread that has found the event, not by way of a strand: see `UntrackedWork`.
class ReadableHandler final : public WireHandler {
public:
    using executor_type = asio::system_executor; // which calls at once
    ReadableHandler(ListenerPtr listener, BackgroundWait& background) noexcept : WireHandler(std::move(listener), background)
    {}
    [[nodiscard]] executor_type get_executor() const noexcept { return {}; }
};

/// Tells a listener of a write that was done at once: later, as of any other.
class DoneAtOnce final : public async::PostedTask {
public:
    void post(const asio::any_io_executor& executor, boost::system::error_code error, std::size_t bytes,
              ListenerPtr listener)
    {
        listener_ = std::move(listener);
        error_ = error;
        bytes_ = bytes;
        async::post(executor, *this);
    }

private:
    void run() override
    {
        const ListenerPtr listener = std::move(listener_);
        listener->on_written(error_, bytes_);
    }
    void abandon() noexcept override
    {
        const ListenerPtr listener = std::move(listener_);
        listener->on_abandoned();
    }

    ListenerPtr listener_;
    boost::system::error_code error_;
    std::size_t bytes_ = 0;
};

class TcpWire final : public Wire {
public:
    explicit TcpWire(const asio::any_io_executor& executor)
        : socket_(executor), background_(executor), executor_(executor), posts_surely_(async::posts_surely(executor))
    {}

    void connect(const Endpoint& endpoint, ListenerPtr listener) override
    {
        boost::system::error_code ignored;
        socket_.close(ignored);
        open_for_this_process_only(endpoint);
        WireHandler handler(WireEvent::connected, std::move(listener));
        handler.start_with([&](WireHandler& h) { socket_.async_connect(endpoint, std::move(h)); });
    }

    void read_some(std::span<char> into, ListenerPtr listener) override
    {
        WireHandler handler(WireEvent::read, std::move(listener), &read_memory_);
        handler.start_with(
            [&](WireHandler& h) { socket_.async_read_some(asio::buffer(into.data(), into.size()), std::move(h)); });
    }

    void write_some(const WriteBuffers& from, ListenerPtr listener) override
    {
        set_options_once();
        // An operation of Asio's is dearer by what its reactor does for it, which hardly any write needs.
        if (posts_surely_) {
            boost::system::error_code error;
            const std::size_t bytes = send_now(from, error);
            if (bytes != 0 || (error && !may_go_later(error)))
                return done_.post(executor_, error, bytes, std::move(listener));
        }
        WireHandler handler(WireEvent::written, std::move(listener));
        handler.start_with([&](WireHandler& h) {
            if (from[1].empty()) return socket_.async_write_some(asio::buffer(from[0].data(), from[0].size()), std::move(h));
            const std::array<asio::const_buffer, 2> both{asio::buffer(from[0].data(), from[0].size()),
                                                         asio::buffer(from[1].data(), from[1].size())};
            socket_.async_write_some(both, std::move(h));
        });
    }

    void wait_readable(ListenerPtr listener) override
    {
        ReadableHandler handler(std::move(listener), background_);
        background_.begin();
        try {
            handler.start_with([&](WireHandler&) { socket_.async_wait(asio::socket_base::wait_read, std::move(handler)); });
        } catch (...) {
            background_.undo();
            throw;
        }
        KHIVE_YIELD_POINT();
        background_.release();
    }

    std::size_t try_write(std::span<const char> from) noexcept override
    {
        if (!socket_.is_open()) return 0;
        set_options_once();
        boost::system::error_code ignored;
        return send_now({from, {}}, ignored);
    }

    bool readable_now() noexcept override
    {
        char byte = 0;
#if defined(__linux__)
        return ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
#else
        boost::system::error_code error;
        if (!never_blocks()) return true;
        (void)socket_.receive(asio::buffer(&byte, 1), asio::socket_base::message_peek, error);
        return error != asio::error::would_block && error != asio::error::try_again;
#endif
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
    /// A socket that programs started by this one do not inherit, as those of Asio are. Where that fails, Asio opens one.
    void open_for_this_process_only([[maybe_unused]] const Endpoint& endpoint)
    {
#if defined(__linux__)
        struct Handle {
            ~Handle()
            {
                if (value >= 0) ::close(value);
            }
            int value;
        } handle{::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC, endpoint.protocol().protocol())};
        if (handle.value < 0) return;
        boost::system::error_code error;
        socket_.assign(endpoint.protocol(), handle.value, error); // throws without memory for its record
        if (!error) handle.value = -1;
#endif
    }
    /// What the system takes without waiting. It tells of an error once.
    std::size_t send_now(const WriteBuffers& from, boost::system::error_code& error) noexcept
    {
#if defined(__linux__)
        std::array<::iovec, 2> pieces{
            { {const_cast<char*>(from[0].data()), from[0].size()}, // NOLINT: only read
              { const_cast<char*>(from[1].data()),
                from[1].size() } }};
        ::msghdr message{};
        message.msg_iov = pieces.data();
        message.msg_iovlen = from[1].empty() ? 1 : 2;
        const ::ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0) error.assign(errno, boost::system::system_category());
        return sent < 0 ? 0 : static_cast<std::size_t>(sent);
#else
        const std::array<asio::const_buffer, 2> both{asio::buffer(from[0].data(), from[0].size()),
                                                     asio::buffer(from[1].data(), from[1].size())};
        return never_blocks() ? socket_.write_some(both, error) : 0;
#endif
    }
    /// Is it worth another try, by an operation that waits?
    static bool may_go_later(const boost::system::error_code& error) noexcept
    {
        return error == asio::error::would_block || error == asio::error::try_again || error == asio::error::interrupted ||
               error == asio::error::no_buffer_space || error == asio::error::no_memory;
    }
#if !defined(__linux__)
    /// Asked of the system once in the life of the socket.
    bool never_blocks() noexcept
    {
        boost::system::error_code error;
        if (!socket_.non_blocking()) socket_.non_blocking(true, error);
        return !error;
    }
#endif
    void set_options_once()
    {
        if (std::exchange(options_set_, true)) return;
        boost::system::error_code ignored;
        socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
        socket_.set_option(asio::socket_base::keep_alive(true), ignored);
    }

    asio::ip::tcp::socket socket_;
    BackgroundWait background_;
    asio::any_io_executor executor_;
    DoneAtOnce done_;
    ReadMemory read_memory_;
    bool posts_surely_;
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
    return std::make_unique<detail::TcpWire>(executor);
}

KHIVE_DECL void TcpNetwork::resolve(const asio::any_io_executor& executor, const std::string& host, std::uint16_t port,
                                    ListenerPtr listener)
{
    boost::system::error_code not_literal;
    const auto address = asio::ip::make_address(host, not_literal);
    if (!not_literal) {
        const Endpoint endpoint(address, port);
        return async::post(executor, [listener = std::move(listener), found = Endpoints{endpoint}]() mutable {
            listener->on_resolved({}, std::move(found));
        });
    }
    auto resolver = std::make_unique<asio::ip::tcp::resolver>(executor);
    auto& running = *resolver;
    running.async_resolve(host, std::to_string(port), asio::ip::tcp::resolver::numeric_service,
                          [kept = std::move(resolver), listener = std::move(listener)](
                              boost::system::error_code error, const asio::ip::tcp::resolver::results_type& results) {
                              Endpoints found;
                              try {
                                  found = detail::endpoints_of(results);
                              } catch (const std::bad_alloc&) {
                                  error = make_error_code(boost::system::errc::not_enough_memory);
                              }
                              listener->on_resolved(error, std::move(found));
                          });
}

} // namespace khive::inline KHIVE_ABI::net

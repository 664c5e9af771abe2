// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/untracked_work.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/net/impl/wire_event.ipp>
#include <khive/net/wire.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/recycling_allocator.hpp>
#include <boost/asio/system_executor.hpp>

#if defined(__linux__)
#include <sys/socket.h>
#include <unistd.h>
#endif

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <utility>

namespace khive::inline KHIVE_ABI::net::detail {

/// One wait at a time that `run()` does not stay for, until it is cancelled: its handler has to be run then, or whoever waits
/// for all operations of the wire to end would not hear of it.
class BackgroundWait {
public:
    /// On an executor that outlives it, by operations that hold so many units of work.
    BackgroundWait(const asio::any_io_executor& executor, int units) noexcept : executor_(executor), units_(units) {}

    void begin() noexcept { under_way_.store(true); }
    /// Instead of `release`: the operation could not be started.
    void undo() noexcept { under_way_.store(false); }
    /// After the operation has been started.
    void release() const noexcept { async::UntrackedWork::release(executor_, units_); }
    /// By its handler or its cancellation, whichever comes first.
    void end() noexcept
    {
        if (under_way_.load(std::memory_order_relaxed) && under_way_.exchange(false))
            async::UntrackedWork::retake(executor_, units_);
    }
    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }

private:
    const asio::any_io_executor& executor_;
    int units_;
    std::atomic<bool> under_way_{
        false}; ///< whoever clears it takes the work back: handler and cancellation may come at once
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
        if (event_ == WireEvent::readable) background_->end();
        tell(*listener, event_, error, bytes);
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

/// A wire over Asio's own sockets: wherever Asio runs.
class AsioWire final : public Wire {
public:
    /// Its sockets find what they need themselves.
    struct Home {
        explicit Home(asio::execution_context&) noexcept {}
    };

    AsioWire(const asio::any_io_executor& executor, const Home&)
        : socket_(executor), background_(executor, async::UntrackedWork::units_of(executor))
    {}

    bool connect(const Endpoint& endpoint, ListenerPtr listener) override
    {
        boost::system::error_code ignored;
        socket_.close(ignored);
        asio::ip::tcp::endpoint to;
        to.resize(endpoint.size());
        std::memcpy(to.data(), endpoint.data(), endpoint.size());
        open_for_this_process_only(to);
        WireHandler handler(WireEvent::connected, std::move(listener));
        handler.start_with([&](WireHandler& h) { socket_.async_connect(to, std::move(h)); });
        return false;
    }

    void read_some(ListenerPtr listener, Look) override
    {
        const auto into = listener->read_buffer();
        WireHandler handler(WireEvent::read, std::move(listener), &read_memory_);
        handler.start_with(
            [&](WireHandler& h) { socket_.async_read_some(asio::buffer(into.data(), into.size()), std::move(h)); });
    }

    void write_some(const WriteBuffers& from, ListenerPtr listener) override
    {
        set_options_once();
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

    std::size_t try_write(const WriteBuffers& from, boost::system::error_code& error) noexcept override
    {
        set_options_once();
        const std::array<asio::const_buffer, 2> both{asio::buffer(from[0].data(), from[0].size()),
                                                     asio::buffer(from[1].data(), from[1].size())};
        if (!never_blocks()) return 0;
        const std::size_t bytes = socket_.write_some(both, error);
        if (error == asio::error::would_block || error == asio::error::try_again) error.clear();
        return bytes;
    }

    bool readable_now() noexcept override
    {
        char byte = 0;
        boost::system::error_code error;
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
    /// A socket that programs started by this one do not inherit, as those of Asio are. Where that fails, Asio opens one.
    void open_for_this_process_only([[maybe_unused]] const asio::ip::tcp::endpoint& endpoint)
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

    asio::ip::tcp::socket socket_;
    BackgroundWait background_;
    ReadMemory read_memory_;
    bool options_set_ = false;
};

} // namespace khive::inline KHIVE_ABI::net::detail

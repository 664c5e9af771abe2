// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/post.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/net/impl/wire_event.ipp>
#include <khive/net/wire.hpp>

#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#include <boost/asio/detail/scheduler.hpp>
#include <boost/asio/error.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <iterator>
#include <new>
#include <utility>

namespace khive::inline KHIVE_ABI::net::detail {

/// Tells a listener by way of an executor that is not plainly that of the context.
class ToldByPost final : public async::PostedTask {
public:
    void post(const asio::any_io_executor& executor, ListenerPtr listener, WireEvent event, boost::system::error_code error,
              std::size_t bytes)
    {
        listener_ = std::move(listener);
        event_ = event;
        error_ = error;
        bytes_ = bytes;
        try {
            async::post(executor, *this);
        } catch (...) {
            abandon();
            throw;
        }
    }

private:
    void run() override
    {
        const ListenerPtr listener = std::move(listener_);
        tell(*listener, event_, error_, bytes_);
    }
    void abandon() noexcept override
    {
        const ListenerPtr listener = std::move(listener_);
        listener->on_abandoned();
    }

    ListenerPtr listener_;
    WireEvent event_{};
    boost::system::error_code error_;
    std::size_t bytes_ = 0;
};

/// A TCP socket in the reactor of Asio, with operations of its own in place of those of Asio's sockets.
///
/// What they save, where a request costs two system calls and little else: a read that is given less than it had room for takes
/// all for read, so that the next one waits for the reactor without a look in vain first; what has come is told by the
/// thread that found it, without another turn of the scheduler; a buffer is asked for when there is something to put into it;
/// and connecting and closing take the calls that they need, not those that an Asio socket may need for something else.
///
/// It uses what is internal to Asio (`epoll_reactor`, `reactor_op`), in the versions that it is known to work with; with others
/// there is `AsioWire`.
class EpollWire final : public Wire {
public:
    /// What wires find in their context.
    struct Home {
        explicit Home(asio::execution_context& context)
            : reactor(asio::use_service<asio::detail::epoll_reactor>(context)),
              scheduler(asio::use_service<asio::detail::scheduler>(context))
        {
            reactor.init_task();
        }
        asio::detail::epoll_reactor& reactor;
        asio::detail::scheduler& scheduler;
    };

    /// Both outlive it.
    EpollWire(const asio::any_io_executor& executor, const Home& home) : home_(home), by_post_(!async::posts_surely(executor))
    {
        if (by_post_) rare().told.reset(new Told(executor));
    }
    ~EpollWire() override { EpollWire::close(); }

    KHIVE_COLD_DECL bool connect(const Endpoint& endpoint, ListenerPtr listener) override
    {
        close();
        const int error = open_and_connect(endpoint); // throws before the listener is taken
        if (error == 0) return true;
        first_.take(std::move(listener), WireEvent::connected);
        if (error == EINPROGRESS) {
            home_.reactor.start_op(Reactor::connect_op, socket_, state_, &first_, false, false);
        } else {
            first_.fail(error);
            home_.reactor.post_immediate_completion(&first_, false);
        }
        return false;
    }

    void read_some(ListenerPtr listener, Look look) override
    {
        if (state_ == nullptr) return begin_reading(std::move(listener));
        first_.take(std::move(listener), WireEvent::read);
        // Where the last read was filled the reactor looks by itself, and remembers whether that was all.
        if (look == Look::now && !filled_ && socket_ >= 0) {
            const Status status = perform_read(&first_);
            filled_ = false; // of which the reactor knows nothing
            if (status != Operation::not_done) return home_.reactor.post_immediate_completion(&first_, false);
        }
        home_.reactor.start_op(Reactor::read_op, socket_, state_, &first_, false, true);
    }

    std::size_t try_read(std::span<char> into, const ListenerPtr& keeper, boost::system::error_code& error) override
    {
        if (!filled_) return 0; // by now all is read
        if (!rare().reread) rare_->reread.reset(new Reread);
        Reread& reread = *rare_->reread;
        if (reread.in_use.exchange(true, std::memory_order_acquire)) return 0; // a moment ago, and not told of it yet
        reread.keeper = keeper;
        reread.into = into;
        reread.wire = this;
        home_.reactor.start_op(Reactor::read_op, socket_, state_, &reread, false, true);
        error = reread.ec_;
        return reread.bytes_transferred_;
    }

    void look_again() noexcept override
    {
        keep_alive_once();
        if (readable_now()) home_.reactor.cancel_ops_by_key(socket_, state_, Reactor::read_op, &first_);
    }

    void write_some(const WriteBuffers& from, ListenerPtr listener) override
    {
        if (state_ == nullptr) register_now();
        if (!rare().write) rare_->write.reset(new Writing(*this));
        rare_->write->from = from;
        rare_->write->take(std::move(listener), WireEvent::written);
        home_.reactor.start_op(Reactor::write_op, socket_, state_, rare_->write.get(), false, true);
    }

    void wait_readable(ListenerPtr listener) override
    {
        rare().wait.reset(new Operation(*this));
        keep_alive_once();
        if (state_ == nullptr) register_now();
        rare_->wait->take(std::move(listener), WireEvent::readable);
        waits_.store(true);
        // Not without asking epoll again, which may have told already of what is there.
        home_.reactor.start_op(Reactor::read_op, socket_, state_, rare_->wait.get(), false, false);
        KHIVE_YIELD_POINT();
        home_.scheduler.work_finished(); // `run()` does not stay for it
    }

    std::size_t try_write(const WriteBuffers& from, boost::system::error_code& error) noexcept override
    {
        no_delay_unless_alone(from);
        const ::ssize_t sent = from[1].empty() ? ::send(socket_, from[0].data(), from[0].size(), MSG_DONTWAIT | MSG_NOSIGNAL)
                                               : send_both(from);
        if (sent >= 0) return static_cast<std::size_t>(sent);
        if (errno != EAGAIN && errno != EINTR) error.assign(errno, boost::system::system_category());
        return 0;
    }

    bool readable_now() noexcept override
    {
        char byte = 0;
        return ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0 || errno != EAGAIN;
    }

    void cancel() noexcept override
    {
        end_waiting();
        home_.reactor.cancel_ops(socket_, state_);
    }

    void close() noexcept override
    {
        if (socket_ < 0) return;
        end_waiting();
        home_.reactor.deregister_descriptor(socket_, state_, true);
        ::close(std::exchange(socket_, -1));
        keeps_alive_ = no_delay_ = wrote_ = filled_ = false;
        home_.reactor.cleanup_descriptor_data(state_);
    }

private:
    using Reactor = asio::detail::epoll_reactor;
    struct Told {
        explicit Told(const asio::any_io_executor& by_way_of) : executor(by_way_of) {}
        const asio::any_io_executor& executor;
        ToldByPost by[4]; ///< of each event
    };

    /// Waits in the reactor, one at a time.
    using Status = asio::detail::reactor_op::status;
    class Operation : public asio::detail::reactor_op {
    public:
        explicit Operation(EpollWire& wire)
            : reactor_op(boost::system::error_code{}, &EpollWire::perform, &EpollWire::complete), wire_(wire)
        {
            cancellation_key_ = this;
        }
        void take(ListenerPtr listener, WireEvent event) noexcept
        {
            ec_ = {};
            bytes_transferred_ = 0;
            listener_ = std::move(listener);
            event_ = event;
        }
        void fail(int error) noexcept { ec_.assign(error, boost::system::system_category()); }

        EpollWire& wire_;
        ListenerPtr listener_; ///< keeps the wire
        WireEvent event_{};
    };
    struct Writing final : Operation {
        using Operation::Operation;
        WriteBuffers from;
    };
    /// Reads more where there was more than there was room for, and ends inside of the call that starts it. It is an operation of
    /// the reactor's all the same, which is to know whether all is read now: then the next request's read need not look in vain.
    /// It never waits, so the reactor, which is known to look, never keeps it.
    struct Reread final : asio::detail::reactor_op {
        Reread() : reactor_op(boost::system::error_code{}, &Reread::perform, &Reread::complete) {}
        static Status perform(asio::detail::reactor_op* base)
        {
            auto& reread = *static_cast<Reread*>(base);
            return reread.wire->receive(reread, reread.into) == Operation::done ? Operation::done
                                                                                : Operation::done_and_exhausted;
        }
        static void complete(void*, asio::detail::scheduler_operation* base, const boost::system::error_code&, std::size_t)
        {
            auto& reread = *static_cast<Reread*>(base);
            const ListenerPtr last = std::move(reread.keeper); // which may be the last of the wire's, too
            reread.in_use.store(false, std::memory_order_release);
        }

        std::atomic<bool> in_use{false}; ///< until the reactor has told that it is over, which nobody waits for
        ListenerPtr keeper;
        std::span<char> into;
        EpollWire* wire = nullptr;
    };
    /// What hardly any wire has.
    struct Rare {
        Owned<Told> told;      ///< where the executor is not plainly that of the context
        Owned<Writing> write;  ///< from the first write on that had to wait: most requests go out at once
        Owned<Operation> wait; ///< only as long as it waits
        Owned<Reread> reread;  ///< from the first answer on that a read had no room for
    };

    Rare& rare()
    {
        if (!rare_) rare_.reset(new Rare);
        return *rare_;
    }

    /// By the handler of the wait or its cancellation, whichever comes first: whoever clears the mark takes the unit of work back.
    void end_waiting() noexcept
    {
        if (waits_.load(std::memory_order_relaxed) && waits_.exchange(false)) home_.scheduler.work_started();
    }

    static void complete(void* owner, asio::detail::scheduler_operation* base, const boost::system::error_code&, std::size_t)
    {
        auto& operation = *static_cast<Operation*>(base);
        ListenerPtr listener = std::move(operation.listener_);
        if (owner == nullptr) return listener->on_abandoned();
        EpollWire& wire = operation.wire_;
        if (wire.broken_ != 0) operation.fail(wire.broken_);
        const WireEvent event = operation.event_;
        const boost::system::error_code error = operation.ec_;
        const std::size_t bytes = operation.bytes_transferred_;
        if (event == WireEvent::readable) {
            wire.end_waiting();
            wire.rare_->wait.reset();
        }
        if (!wire.by_post_) return tell(*listener, event, error, bytes);
        Told& told = *wire.rare_->told;
        told.by[static_cast<std::size_t>(event)].post(told.executor, std::move(listener), event, error, bytes);
    }

    static Status perform(asio::detail::reactor_op* base)
    {
        EpollWire& wire = static_cast<Operation*>(base)->wire_;
        switch (static_cast<Operation*>(base)->event_) {
        case WireEvent::connected: return wire.perform_connect();
        case WireEvent::written: return perform_write(base);
        case WireEvent::readable: return wire.readable_now() ? Operation::done : Operation::not_done;
        case WireEvent::read: break;
        }
        return perform_read(base);
    }

    static Status perform_read(asio::detail::reactor_op* base)
    {
        auto& operation = *static_cast<Operation*>(base);
        std::span<char> into;
        try {
            into = operation.listener_->read_buffer();
        } catch (...) {
            operation.fail(ENOMEM);
            return Operation::done;
        }
        return operation.wire_.receive(operation, into);
    }

    Status receive(asio::detail::reactor_op& operation, std::span<char> into) noexcept
    {
        ::ssize_t bytes = 0;
        do bytes = ::recv(socket_, into.data(), into.size(), MSG_DONTWAIT);
        while (bytes < 0 && errno == EINTR);
        filled_ = bytes == static_cast<::ssize_t>(into.size());
        operation.ec_ = {};
        operation.bytes_transferred_ = 0;
        if (bytes < 0) {
            if (errno == EAGAIN) return Operation::not_done;
            operation.ec_.assign(errno, boost::system::system_category());
            return Operation::done;
        }
        if (bytes == 0) operation.ec_ = asio::error::eof;
        operation.bytes_transferred_ = static_cast<std::size_t>(bytes);
        return filled_ ? Operation::done : Operation::done_and_exhausted;
    }

    static Status perform_write(asio::detail::reactor_op* base)
    {
        auto& operation = *static_cast<Writing*>(base);
        operation.bytes_transferred_ = operation.wire_.try_write(operation.from, operation.ec_);
        return operation.bytes_transferred_ == 0 && !operation.ec_ ? Operation::not_done : Operation::done;
    }

    /// The event may have been meant for a socket before this one.
    KHIVE_COLD_DECL Status perform_connect() noexcept
    {
        ::pollfd writable{socket_, POLLOUT, 0};
        if (::poll(&writable, 1, 0) == 0) return Operation::not_done;
        int error = 0;
        ::socklen_t size = sizeof error;
        if (::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
        if (error != 0) first_.fail(error);
        return Operation::done;
    }

    ::ssize_t send_both(const WriteBuffers& from) noexcept
    {
        ::iovec pieces[] = {{const_cast<char*>(from[0].data()), from[0].size()}, // NOLINT: only read
                            {const_cast<char*>(from[1].data()), from[1].size()}};
        ::msghdr message{};
        message.msg_iov = pieces;
        message.msg_iovlen = std::size(pieces);
        return ::sendmsg(socket_, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }

    /// An error of the system; `EINPROGRESS` where it goes on by itself.
    KHIVE_COLD_DECL int open_and_connect(const Endpoint& endpoint)
    {
        const int type = SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK;
        const int socket = ::socket(endpoint.family(), type, IPPROTO_TCP);
        if (socket < 0) return errno;
        const auto connect = [&] {
            return ::connect(socket, endpoint.data(), static_cast<::socklen_t>(endpoint.size())) == 0 ? 0 : errno;
        };
        int error = connect();
        // To a server on the same machine it has ended by the time the call says that it goes on.
        if (error == EINPROGRESS) error = connect();
        if (error == EALREADY) error = EINPROGRESS;
        socket_ = socket;
        broken_ = 0;
        if (error == EINPROGRESS) register_now();
        return error;
    }

    /// With the reactor, for whatever will be begun.
    void register_now()
    {
        broken_ = home_.reactor.register_descriptor(socket_, state_);
    }

    /// The first operation of a socket that was connected at once: it is there when the reactor is told of the socket, and hears of
    /// what has come by then. Until then there is one thing less between connecting and sending, so that a server on the same machine
    /// which is awake for the one still is for the other.
    void begin_reading(ListenerPtr listener)
    {
        home_.scheduler.work_started();
        first_.take(std::move(listener), WireEvent::read);
        int error = 0;
        try {
            error = home_.reactor.register_internal_descriptor(Reactor::read_op, socket_, state_, &first_);
        } catch (...) {
            first_.listener_.reset();
            home_.scheduler.work_finished();
            throw;
        }
        if (error == 0) return; // and it may be over by now, in another thread
        broken_ = error;
        home_.reactor.cancel_ops(socket_, state_);
    }

    /// Nagle's algorithm holds back the rest of a write as long as the other side has not confirmed all before. There is nothing
    /// before what is written first and is small enough for one segment.
    void no_delay_unless_alone(const WriteBuffers& from) noexcept
    {
        constexpr std::size_t one_segment = 512; // of IPv4 in a network that has room for the least of all, 536
        if (no_delay_ || (!std::exchange(wrote_, true) && from[0].size() + from[1].size() <= one_segment)) return;
        no_delay_ = true;
        const int yes = 1;
        ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }

    /// For who waits long: most connections of a busy client never do.
    void keep_alive_once() noexcept
    {
        if (std::exchange(keeps_alive_, true)) return;
        const int yes = 1;
        ::setsockopt(socket_, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    }

    const Home& home_;
    Reactor::per_descriptor_data state_ = nullptr;
    int socket_ = -1;
    int broken_ = 0; ///< why the reactor has not taken it
    Owned<Rare> rare_;
    [[no_unique_address]] Operation first_{*this}; ///< connects, and then reads; what follows is in its last word
    bool keeps_alive_ = false;
    bool no_delay_ = false;
    bool wrote_ = false;
    bool filled_ = false; ///< the last read was, and the reactor, which made it, knows: it looks when it is given another
    const bool by_post_;
    std::atomic<bool> waits_{false}; ///< in the background
};

} // namespace khive::inline KHIVE_ABI::net::detail

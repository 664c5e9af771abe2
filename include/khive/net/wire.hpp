// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/shared.hpp>
#include <khive/net/wire_listener.hpp>
#include <khive/net/write_batch.hpp>

#include <boost/asio/execution_context.hpp>
#include <boost/system/error_code.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>

namespace khive::inline KHIVE_ABI::net {

/// What to write: at most two pieces, sent as one.
using WriteBuffers = std::array<std::span<const char>, 2>;

/// Whether a read looks at once for what there is.
enum class Look : std::uint8_t {
    now,
    when_told, ///< all that there was has been read, and what comes next takes a while: the first look would be in vain
};

/// One stream of bytes to one address: TCP, or a simulation of it. Knows nothing of TLS and HTTP.
///
/// Every started operation ends with exactly one call of its listener, on the wire's executor and never from inside the call
/// that started it, but for a `connect` that says itself how it ended; after `cancel` or `close` with `operation_aborted`, unless
/// it had been done before. `try_read` and `try_write` tell their caller. An end of stream is `asio::error::eof`. One read, one
/// write and one wait at a time.
///
/// Where the system tells only once that something has come, as with edge-triggered epoll, an end of stream that came together with
/// bytes is not told of again. So a read that waits for long with `Look::when_told` is asked to `look_again`.
///
/// - Lifetime: it must outlive its operations, whose memory may be a part of it: its listener owns it.
/// - Errors: where there is no memory, the verbs that start an operation throw `std::bad_alloc`, and have not started it: nothing
///   is told to the listener.
/// - Thread safety: one call at a time; `Connection` sees to that.
class Wire {
public:
    virtual ~Wire() = default;
    Wire(const Wire&) = delete;
    Wire& operator=(const Wire&) = delete;

    /// True where it is connected by then, as to a server on the same machine: the listener is not told.
    [[nodiscard]] virtual bool connect(const Endpoint& endpoint, ListenerPtr listener) = 0;
    virtual void read_some(ListenerPtr listener, Look look) = 0;
    /// Reads what there is at once, without waiting, while no read is pending; how much that was. None where it has ended or
    /// failed, which `error` tells, and where it does not know of any more. `keeper` is the listener of its reads.
    virtual std::size_t try_read(std::span<char> into, const ListenerPtr& keeper, boost::system::error_code& error)
    {
        (void)into, (void)keeper, (void)error;
        return 0;
    }
    /// If there is something to read although the pending read was not told of it, ends that with `operation_aborted`: the next
    /// with `Look::now` gets it.
    virtual void look_again() noexcept {}
    virtual void write_some(const WriteBuffers& from, ListenerPtr listener) = 0;
    /// Waits until there is something to read or the stream has ended, in the background: `io_context::run()` does not stay
    /// for it.
    virtual void wait_readable(ListenerPtr listener) = 0;
    /// Writes what fits at once, without waiting; how much that was. None where it has to wait, and where it fails, which `error`
    /// tells.
    virtual std::size_t try_write(const WriteBuffers& from, boost::system::error_code& error) noexcept = 0;
    /// Is there something to read, an end of stream, or an error, right now?
    [[nodiscard]] virtual bool readable_now() noexcept = 0;
    /// Ends pending operations with `operation_aborted`.
    virtual void cancel() noexcept = 0;
    /// Ends pending operations and the stream.
    virtual void close() noexcept = 0;

protected:
    Wire() = default;
};

using WirePtr = Owned<Wire>;

/// Where wires and addresses come from: the operating system, or a simulation.
class Network {
public:
    virtual ~Network() = default;
    /// A wire that is not connected yet, whose listeners run on `executor`, which outlives it.
    virtual WirePtr open(const asio::any_io_executor& executor) = 0;
    /// The address that `host` is, where that takes no look-up; false where it does.
    [[nodiscard]] virtual bool literal(const std::string& host, std::uint16_t port, Endpoint& endpoint) const
    {
        (void)host, (void)port, (void)endpoint;
        return false;
    }
    /// Looks up the addresses of `host`; `listener` is told once on `executor`, never from inside this call. A lookup cannot be
    /// cancelled: who does not want it any more ignores it. Throws what it cannot start.
    virtual void resolve(const asio::any_io_executor& executor, const std::string& host, std::uint16_t port,
                         ListenerPtr listener) = 0;
};

/// Holds the network of an execution context: TCP unless a test installs another before the first connection.
class NetworkService final : public asio::execution_context::service {
public:
    inline static asio::execution_context::id id;

    KHIVE_DECL explicit NetworkService(asio::execution_context& context);
    [[nodiscard]] Shared<Network> network() const;
    void install(Shared<Network> network);
    /// Of the connections of the context, whatever the network.
    [[nodiscard]] WriteBatch& writes() noexcept { return writes_; }

private:
    void shutdown() noexcept override {}

    mutable std::mutex mutex_;
    Shared<Network> network_;
    WriteBatch writes_;
};

[[nodiscard]] KHIVE_DECL NetworkService& network_service(const asio::any_io_executor& executor);

inline Shared<Network> NetworkService::network() const
{
    const std::lock_guard lock(mutex_);
    return network_;
}

inline void NetworkService::install(Shared<Network> network)
{
    const std::lock_guard lock(mutex_);
    network_ = std::move(network);
}

} // namespace khive::inline KHIVE_ABI::net

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/net/tcp_wire.hpp>
#endif

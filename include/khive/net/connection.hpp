// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/completion.hpp>
#include <khive/async/post.hpp>
#include <khive/async/time_service.hpp>
#include <khive/core/ledger.hpp>
#include <khive/core/list.hpp>
#include <khive/core/min_max.hpp>
#include <khive/core/mutex.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/shared.hpp>
#include <khive/core/single_threaded.hpp>
#include <khive/core/url.hpp>
#include <khive/http/response_reader.hpp>
#include <khive/net/exchange.hpp>
#include <khive/net/tls_context.hpp>
#include <khive/net/tls_session.hpp>
#include <khive/net/wire.hpp>
#include <khive/net/write_batch.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <atomic>
#include <mutex>
#include <span>
#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI::async {
struct WaitRequest;
}

namespace khive::inline KHIVE_ABI::net {

namespace detail {
/// Of an operation that could not go on; without its cause where there is no memory even for that.
[[nodiscard]] KHIVE_COLD_DECL Error no_memory(ErrorKind kind) noexcept;
} // namespace detail

class Connection;
class IdleConnections;
class Exchange;
using ConnectionPtr = boost::intrusive_ptr<Connection>;

/// Who keeps connections.
class ConnectionKeeper {
public:
    /// A dial has ended; `error` is none where it went well. Outside every lock, never from inside `dial`.
    virtual void on_dialled(Connection& connection, Error error) noexcept = 0;
    /// An idle connection is of no use any more.
    virtual void on_idle_ended(Connection& connection) noexcept = 0;

protected:
    ~ConnectionKeeper() = default;
};

/// What connections are made with; all to one origin share it.
struct ConnectionSetup : boost::intrusive_ref_counter<ConnectionSetup, khive::detail::ThreadSafeCount> {
    ConnectionSetup(Origin to, asio::any_io_executor on, Shared<Network> by, TlsContext with,
                    const http::ReaderLimits& within, Weak<ConnectionKeeper> whose)
        : origin(std::move(to)),
          executor(std::move(on)),
          network(std::move(by)),
          tls(std::move(with)),
          limits(within),
          is_literal(network->literal(origin.host, origin.port, literal)),
          time(async::time_service(executor)),
          writes(network_service(executor).writes()),
          keeper(std::move(whose))
    {}

    const Origin origin;
    const asio::any_io_executor executor;
    const Shared<Network> network;
    const TlsContext tls; ///< used where `origin.tls`
    const http::ReaderLimits limits;
    Endpoint literal; ///< the address that the origin's host is, where it is one
    const bool is_literal;
    async::TimeService& time; ///< of the executor's context
    WriteBatch& writes;       ///< of the executor's context
    const Weak<ConnectionKeeper> keeper;
};
using ConnectionSetupPtr = boost::intrusive_ptr<const ConnectionSetup>;

/// How long each stage of dialling took.
struct DialTimes {
    Duration resolve{};
    Duration connect{};
    Duration tls{};
};

/// One HTTP/1.1 connection: plain or TLS by a branch, one exchange at a time.
///
/// A driver: the response reader and the TLS session decide, the wire moves bytes, this class lets each take its turn.
///
/// - Cancellation: of an exchange, at any point, by each of Asio's types alike: nothing less than the end of the connection
///   ends it. An awaitable lets only `terminal` through unless it asks for more with
///   `co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation())`.
/// - Errors: an exchange ends exactly once with `ExchangeEnd`; `maybe_processed` is set once a byte of the request was
///   accepted. Where there is no memory it ends as where the system has none: the error's cause is `not_enough_memory`.
/// - Thread safety: safe; steps, deadline and cancellation exclude each other by a mutex that is uncontended in one thread.
/// - Lifetime: pending operations keep it alive; an exchange ends only after its last operation has, so the caller's buffers are
///   not touched afterwards.
/// - Complexity: some 550 bytes while it waits for an answer: what only dialling needs goes with the first exchange.
class Connection final : public WireListener,
                         public async::TimerNode,
                         private async::Postable,
                         public ListHook<>,
                         public ListHook<IdleConnections> {
public:
    KHIVE_COLD_DECL explicit Connection(ConnectionSetupPtr setup);
    KHIVE_COLD_DECL ~Connection() override;

    /// \name Life
    /// @{
    /// Resolves, connects and shakes hands; the keeper is told of the end, unless it is up at once, which gives true. An idempotent
    /// request that follows at once, as one that follows another within moments does, goes out without a look at the socket.
    [[nodiscard]] KHIVE_DECL bool dial(const DialTimeouts& timeouts);
    /// Says goodbye if that takes no waiting, and closes. Ends a running dial or exchange with `why`.
    KHIVE_COLD_DECL void close(const Error& why = Error{ErrorKind::closed});
    /// Watches for an end of the stream or unasked bytes while idle; the keeper is told once.
    KHIVE_COLD_DECL void watch();
    /// Leaves idleness; false if it has died meanwhile, and is not to be used again. `probe` looks at the socket when nobody has watched it.
    [[nodiscard]] KHIVE_DECL bool wake(bool probe);
    /// @}

    /// \name Exchange
    /// @{
    /// Sends and reads one answer, as `what` says, which the caller keeps. `rest` is posted, or called where the end comes by a turn
    /// of the wire and `rest` is of the same executor, which `resumes_here` says.
    /// A request whose method is not idempotent looks at a reused connection first, unless `wake` has: it ends as stale, with
    /// nothing written, where it would have met an end or have got an answer that is not its own.
    KHIVE_DECL void exchange(const Exchange& what, async::Completion& rest, bool resumes_here);
    /// How the last exchange ended.
    [[nodiscard]] ExchangeEnd& result() noexcept { return end_; }
    /// When the last byte of the last answer came.
    [[nodiscard]] TimePoint last_byte() const noexcept { return last_byte_; }
    /// Ends the running exchange as cancelled if it is still the one that began as number `serial`.
    KHIVE_COLD_DECL void cancel_exchange(std::uint64_t serial);
    /// The number that the next exchange will have.
    [[nodiscard]] std::uint64_t next_serial() const noexcept { return serial_.load(std::memory_order_relaxed) + 1; }
    /// Takes memory for the next answer, and gives the answer after an exchange that went well.
    [[nodiscard]] http::ResponseReader& reader() noexcept { return reader_; }
    /// May it serve again? After an exchange, or before the first.
    [[nodiscard]] bool reusable() const noexcept { return reusable_; }
    /// @}

    /// \name Facts
    /// @{
    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return setup_->executor; }
    [[nodiscard]] std::uint64_t uses() const noexcept { return serial_.load(std::memory_order_relaxed); }
    [[nodiscard]] const PeerAddress& peer() const noexcept { return peer_; }
    /// Until the first exchange begins.
    [[nodiscard]] DialTimes dial_times() const noexcept { return dial_ ? dial_->times : DialTimes{}; }
    /// @}

    /// For the pool, under its lock.
    struct Idle {
        TimePoint since{};
        TimePoint expires{};
        std::uint32_t uses = 0; ///< when it was leased, modulo what fits
        bool proven = false;    ///< it is idle since an exchange that went well
        bool watched = false;
    } idle;
    TimePoint retires = no_deadline; ///< not used again from then on
    Connection* next_to_watch = nullptr; ///< while the pool is about to watch it, which keeps it
    void* pool_entry = nullptr; ///< the pool's record of its origin
    async::WaitRequest* made_for = nullptr; ///< the request of the caller it is dialled for, as long as that waits
    /// It keeps itself, as long as it is dialled, or has been given up and is to be closed.
    void keep() noexcept
    {
        kept_ = true;
        (void)ConnectionPtr(this).detach();
    }
    /// The end of that; null if it did not keep itself.
    ConnectionPtr let_go() noexcept { return ConnectionPtr(std::exchange(kept_, false) ? this : nullptr, false); }

private:
    enum class Stage : std::uint8_t { fresh, resolving, connecting, handshaking, idle, exchanging, closed };
    /// What the server has sent before the first request of all, as TLS has it.
    enum class Early : std::uint8_t {
        none,
        in_session, ///< an answer, which no read from the wire will bring
        on_wire,    ///< session tickets or worse: it is read before the request is written
    };
    class Step;
    /// What is known while it is dialled.
    struct Dial {
        DialTimeouts timeouts;
        Deadline total;    ///< of all addresses
        TimePoint began{}; ///< the present stage
        DialTimes times;
        Endpoints looked_up;  ///< none where the setup has the one
        std::size_t left = 0; ///< not tried yet
        std::string failures;
        boost::system::error_code last_failure;
    };

    /// \name As a posted task: the end of a dial that could not be begun, else `rest_`
    /// @{
    KHIVE_DECL void run() override;
    KHIVE_DECL void abandon() noexcept override;
    void keep_executor(const asio::any_io_executor&) noexcept override {} ///< it has it
    [[nodiscard]] asio::any_io_executor kept_executor() noexcept override { return executor_to_post_to(); }
    [[nodiscard]] const asio::any_io_executor& executor_to_post_to() const noexcept
    {
        return dial_ends_ || resumes_here_ ? setup_->executor : *elsewhere_;
    }
    /// @}

    KHIVE_COLD_DECL void on_resolved(boost::system::error_code error, Endpoints endpoints) override;
    KHIVE_COLD_DECL void on_connected(boost::system::error_code error) override;
    KHIVE_DECL void on_written(boost::system::error_code error, std::size_t bytes) override;
    [[nodiscard]] KHIVE_DECL std::span<char> read_buffer() override;
    KHIVE_DECL void on_read(boost::system::error_code error, std::size_t bytes) override;
    KHIVE_COLD_DECL void on_readable(boost::system::error_code error) override;
    KHIVE_DECL void on_turn(TimePoint now) override;
    KHIVE_COLD_DECL void on_abandoned() noexcept override;
    KHIVE_DECL TimePoint on_time(TimePoint now) noexcept override;

    KHIVE_COLD_DECL void resolved(TimePoint now);
    KHIVE_COLD_DECL void connect_next();
    KHIVE_COLD_DECL void connected(TimePoint now);
    KHIVE_COLD_DECL void handshake();
    KHIVE_COLD_DECL void dialled();
    void begin_exchange(bool in_turn);
    void begin_first();
    void queue_write() noexcept;
    void begin_write(TimePoint now);
    [[nodiscard]] WriteBuffers unsent() const noexcept;
    [[nodiscard]] WriteBuffers plain_rest() const noexcept;
    void pump_write();
    void pump_read(Look look);
    void start_read(Look look);
    void wait_readable();
    void flush_tls();
    [[nodiscard]] Error encrypt();
    void written(boost::system::error_code error, std::size_t bytes);
    void request_written(boost::system::error_code error, std::size_t bytes, TimePoint now);
    void sent_some(TimePoint now);
    void read_more();
    void has_read(boost::system::error_code error, std::size_t bytes);
    void answer_read(boost::system::error_code error, std::size_t bytes);
    KHIVE_COLD_DECL void read_failed(boost::system::error_code error);
    void received(std::size_t bytes);
    void decrypt();
    void step_to(http::ReadStep step);
    void answered();
    KHIVE_COLD_DECL void watch_tls(boost::system::error_code error);
    void end(Error error) noexcept;
    KHIVE_COLD_DECL void out_of_memory() noexcept;
    void stage_deadline(Timer timer, TimePoint now) noexcept;
    /// What the setting of a stage's timer is.
    [[nodiscard]] Duration limit_of(Timer timer) const noexcept;
    [[nodiscard]] KHIVE_COLD_DECL Error lost(boost::system::error_code error) const;
    [[nodiscard]] KHIVE_COLD_DECL static Error lost_before_request();
    /// Of the exchange or dial.
    [[nodiscard]] Deadline total() const noexcept;
    [[nodiscard]] Deadline nearest() const noexcept
    {
        return earlier({stage_ends_, stage_timer_, limit_of(stage_timer_)}, total());
    }
    [[nodiscard]] TimePoint next_time() const noexcept { return std::min({stage_ends_, total().at, look_again_at_}); }
    [[nodiscard]] bool request_sent() const noexcept;
    ListenerPtr self() noexcept { return ListenerPtr(this); }

    // What every exchange touches, together: with many connections in use a cache line more is felt.
    const ConnectionSetupPtr setup_;
    WirePtr wire_;
    Owned<TlsSession> tls_;
    Mutex mutex_;
    unsigned pending_ = 0; ///< wire operations under way
    Stage now_in_ = Stage::fresh;
    Early early_ = Early::none;
    Timer stage_timer_ = Timer::none; ///< of the present stage, and ends at `stage_ends_`
    bool reading_ = false;
    bool writing_ = false;
    bool watching_ = false;
    bool waiting_ = false; ///< the watch's wait is with the wire, though it may have been cancelled
    bool probed_ = false;  ///< by `wake`, for the exchange that follows
    bool just_up_ = false; ///< and given to a caller at once
    bool ended_ = false;   ///< the exchange or dial has a result, which waits for `pending_` to be zero
    bool reusable_ = false;
    bool closed_by_owner_ = false;
    bool dialling_ = false;     ///< the keeper has not been told yet
    bool dial_ends_ = false;    ///< it is posted to tell the keeper, and owns itself
    bool share_over_ = false;   ///< the address under way has had its share of time
    bool resumes_here_ = false; ///< the executor of `rest_` is the connection's
    bool closes_ = false;       ///< nothing may follow the request on this connection
    bool sent_ = false;         ///< all of the request is with the system
    bool queued_ = false;       ///< for its turn to write
    bool kept_ = false;         ///< by itself; under the pool's lock
    PeerAddress peer_;
    const Exchange* exchange_ = nullptr; ///< what is wanted, as long as it is under way
    async::Continuation rest_;           ///< until it is run: nothing else touches it once the exchange has ended
    std::size_t taken_ = 0;              ///< of the request: by the system, or by TLS
    TimePoint stage_ends_ = no_deadline;
    TimePoint look_again_at_ = no_deadline;
    TimePoint last_byte_{}; ///< of an answer
    ExchangeEnd end_;
    Owned<boost::system::error_code> write_failure_; ///< if there is one
    std::atomic<std::uint64_t> serial_{0}; ///< counted by who has the connection, which passes from one to the next under a lock
    http::ResponseReader reader_;

    // The rest.
    Owned<Dial> dial_{new Dial}; ///< until the first exchange
    Owned<asio::any_io_executor> elsewhere_; ///< of `rest_`, made where it is not the connection's
};

} // namespace khive::inline KHIVE_ABI::net

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/net/impl/connection.ipp>
#endif

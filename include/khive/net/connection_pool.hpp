// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/wait_queue.hpp>
#include <khive/core/list.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/random.hpp>
#include <khive/core/shared.hpp>
#include <khive/core/tree.hpp>
#include <khive/net/connection.hpp>
#include <khive/net/pool_machine.hpp>

#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::net {

class ConnectionPool;

/// Limits of a connection pool.
struct PoolOptions {
    std::size_t max_connections = 100;                ///< open at once, all origins. >= 1
    std::size_t max_per_origin = 0;                   ///< to one origin. At most `max_connections`; 0: as many as in all
    std::size_t max_waiting = 1024;                   ///< callers that no dial is under way for; one more is refused
    Duration idle_timeout = std::chrono::seconds{20}; ///< an idle connection is closed after it. > 0
    Duration max_lifetime = std::chrono::minutes{10}; ///< a connection is not used again after it; jittered by 10 %. > 0
};
static_assert(std::is_trivially_destructible_v<PoolOptions>);

/// The right to use one connection for one exchange, or none. Destroyed, it gives the connection back if that has earned it, and
/// closes it otherwise.
///
/// - Lifetime: its pool outlives it.
class Lease {
public:
    Lease() = default;
    Lease(Lease&& other) noexcept : pool_(other.pool_), connection_(std::move(other.connection_)) {}
    KHIVE_DECL Lease& operator=(Lease&& other) noexcept;
    KHIVE_DECL ~Lease();

    [[nodiscard]] explicit operator bool() const noexcept { return connection_ != nullptr; }
    [[nodiscard]] Connection& operator*() const noexcept { return *connection_; }
    [[nodiscard]] Connection* operator->() const noexcept { return connection_.get(); }
    /// Gives back or closes now.
    KHIVE_DECL void reset() noexcept;

private:
    friend class ConnectionPool;
    Lease(ConnectionPool& pool, ConnectionPtr connection) noexcept : pool_(&pool), connection_(std::move(connection)) {}

    ConnectionPool* pool_ = nullptr;
    ConnectionPtr connection_;
};

/// Idle connections, which it keeps, in the order in which they came.
class IdleConnections {
public:
    IdleConnections() = default;
    ~IdleConnections()
    {
        while (Connection* const oldest = list_.first()) (void)take(*oldest);
    }

    [[nodiscard]] bool empty() const noexcept { return list_.empty(); }
    /// Null where there is none.
    [[nodiscard]] Connection* oldest() const noexcept { return list_.first(); }
    [[nodiscard]] Connection* latest() const noexcept { return list_.last(); }
    [[nodiscard]] Connection* before(const Connection& one) const noexcept { return list_.before(one); }
    [[nodiscard]] static bool has(const Connection& one) noexcept { return hook_of(one).is_linked(); }

    void add(ConnectionPtr one) noexcept { list_.push_back(*one.detach()); }
    [[nodiscard]] ConnectionPtr take(Connection& one) noexcept
    {
        list_.erase(one);
        return ConnectionPtr(&one, false);
    }

private:
    static const ListHook<IdleConnections>& hook_of(const Connection& one) noexcept { return one; }

    List<Connection, IdleConnections> list_;
};

/// What a pool knows of one origin. Only the pool touches it.
struct OriginEntry : TreeNode {
    OriginEntry(const Origin& which, ConnectionPool& whose) : origin(which), pool(whose) {}
    friend bool operator<(const OriginEntry& a, const OriginEntry& b) noexcept { return a < b.origin; }
    friend bool operator<(const OriginEntry& a, const Origin& b) noexcept { return before(a.origin, b); }
    /// In the order of the pool.
    [[nodiscard]] KHIVE_DECL static bool before(const Origin& a, const Origin& b) noexcept;

    Origin origin;
    ConnectionPool& pool;
    ConnectionSetupPtr setup; ///< made with the first connection
    PoolCounts counts;
    std::size_t holders = 0;         ///< who may name it in a call
    IdleConnections idle;            ///< the one used last is the latest
    Connection* unpromised = nullptr; ///< dialled by `try_dial`, for the first who waits
    http::HeadMemoryPtr head_memory; ///< what a connection that is gone has left for the next one
};

struct LetGoOfOrigin {
    KHIVE_DECL void operator()(OriginEntry* entry) const noexcept;
};
/// Keeps a pool's record of an origin.
using HeldOrigin = Owned<OriginEntry, LetGoOfOrigin>;

/// Connections to any number of origins, kept for reuse within two caps.
///
/// A caller gets the connection used last; if none is idle a new one is dialled, and whichever comes first, that one or one
/// given back, serves the caller who waits longest. A dial outlives the caller it was begun for. With the pool full, an idle
/// connection of another origin makes room; else callers wait in order, with a time limit and a length limit of their own.
///
/// Idle connections are watched: an end of the stream or a byte nobody asked for retires them. One that has been idle for 2 ms
/// is looked at again before it is used, which costs a system call. One that has not is trusted with an idempotent request,
/// which is replayed if it meets an end; bytes that nobody asked for and that come in this time could answer it, as they could
/// when they come right behind the request, which no client can see. A request that must not be repeated always looks.
///
/// - Time: idle and life times are coarse, to within a tenth of a second.
/// - Cancellation: of a wait, at once, by each of Asio's types that the awaitable lets through; nothing is lost, and a dial that
///   was begun for it goes on.
/// - Errors: `pool_timeout`, `queue_full`, `closed`, `no_trust_anchors`, and those of dialling. A wait for which there is no memory
///   ends with `std::bad_alloc`, or with `connect` where its connection is to be made later.
/// - Thread safety: safe; one short lock.
/// - Complexity: reuse is O(1). An origin is remembered only while it has a connection or a caller, so what is kept, and what
///   upkeep and making room go through, is bounded by those; finding an origin is O(log n) of it.
class ConnectionPool final : public async::WaitQueue, public ConnectionKeeper {
public:
    using OriginEntry = net::OriginEntry;

    /// Throws `ConfigurationError` for options out of range.
    KHIVE_COLD_DECL ConnectionPool(asio::any_io_executor executor, const PoolOptions& options,
                                   const http::ReaderLimits& limits, TlsContext tls);
    KHIVE_COLD_DECL ~ConnectionPool() override;

    /// The pool's record of an origin, for the pool's life: for the origin that every call goes to.
    [[nodiscard]] KHIVE_COLD_DECL OriginEntry& entry(const Origin& origin);
    /// The same for the holder's time, which is to be longer than its waits and shorter than the pool's: for origins that come and
    /// go.
    [[nodiscard]] KHIVE_DECL HeldOrigin hold(const Origin& origin);
    /// A connection that is idle and alive, without waiting. None if others wait already.
    [[nodiscard]] KHIVE_DECL Lease try_checkout(OriginEntry& entry, TimePoint now);
    /// For a caller that found none: one that is dialled now and up at once, as to an address on the same machine. None if that
    /// takes its time, and goes on then for the first who waits, or if there cannot be one.
    [[nodiscard]] KHIVE_DECL Lease try_dial(OriginEntry& entry, const DialTimeouts& timeouts, TimePoint now);
    /// Would a caller that comes now have to wait for somebody to give a connection back?
    [[nodiscard]] KHIVE_DECL bool is_exhausted(const OriginEntry& entry) const;
    /// A connection, dialled or waited for until `deadline`; `fresh` insists on one that nobody has used. `timeouts` are all > 0.
    /// `net::Checkout waiting(pool, pool->checkout(...)); auto wait = async::suspend(waiting); co_await std::move(wait);`, then
    /// `waiting.result()`.
    [[nodiscard]] KHIVE_DECL async::WaitRequest checkout(OriginEntry& entry, const Deadline& deadline,
                                                         const CheckoutTimeouts& timeouts, bool fresh);
    /// Closes what is idle for that origin: its server has gone away.
    KHIVE_COLD_DECL void discard_idle(OriginEntry& entry) noexcept;
    /// Ends every wait, dial and exchange with `closed`, and refuses what comes.
    KHIVE_COLD_DECL void shut_down() noexcept;

    /// How it stands now, in all and for one origin.
    [[nodiscard]] KHIVE_DECL PoolCounts counts() const;
    [[nodiscard]] KHIVE_DECL PoolCounts counts(const OriginEntry& entry) const;
    /// How many origins it remembers.
    [[nodiscard]] KHIVE_DECL std::size_t origins() const;

    /// For `async::GrantWait`.
    [[nodiscard]] KHIVE_DECL Lease make_grant(const async::WaitRequest& request) noexcept;

private:
    friend class Lease;
    friend struct LetGoOfOrigin;
    class Sweeper;

    [[nodiscard]] static OriginEntry& entry_of(const async::WaitRequest& request) noexcept
    {
        return *static_cast<OriginEntry*>(request.key);
    }
    [[nodiscard]] static OriginEntry& entry_of(const Connection& connection) noexcept
    {
        return *static_cast<OriginEntry*>(connection.pool_entry);
    }

    KHIVE_DECL bool try_grant(const async::WaitRequest& head, TimePoint now) noexcept override;
    KHIVE_DECL Error refuse(const async::WaitRequest& request, TimePoint now) override;
    KHIVE_DECL bool blocks(const async::WaitRequest& head) const noexcept override;
    KHIVE_DECL bool has_to_queue(const async::WaitRequest& newcomer) const noexcept override;
    KHIVE_DECL bool is_full(const async::WaitRequest& newcomer) const noexcept override;
    KHIVE_DECL void on_join(const async::WaitRequest& request) noexcept override;
    KHIVE_DECL void on_leave(const async::WaitRequest& request) noexcept override;
    KHIVE_DECL void after_join(async::Waiter& newcomer) override;
    KHIVE_DECL void on_idle_ended(Connection& connection) noexcept override;

    [[nodiscard]] ConnectionPtr pop_idle(OriginEntry& entry, bool fresh, TimePoint now) noexcept;
    [[nodiscard]] KHIVE_COLD_DECL const ConnectionSetup& setup_of(OriginEntry& entry);
    [[nodiscard]] KHIVE_COLD_DECL ConnectionPtr new_connection(OriginEntry& entry);
    KHIVE_COLD_DECL void promise(Connection& connection, async::WaitRequest& request) noexcept;
    KHIVE_COLD_DECL void settle_dial(Connection& connection, Error error, TimePoint now) noexcept;
    [[nodiscard]] TimePoint retirement(TimePoint now) noexcept;
    [[nodiscard]] KHIVE_COLD_DECL ConnectionPtr plan_dial(async::WaitRequest& request);
    KHIVE_COLD_DECL void let_go(OriginEntry& entry) noexcept;
    void drop_if_unused(OriginEntry& entry) noexcept;
    KHIVE_COLD_DECL void drop(OriginEntry& entry) noexcept;
    void forget(Connection& connection) noexcept;
    void forget_idle(OriginEntry& entry, Connection& idle) noexcept;
    [[nodiscard]] KHIVE_COLD_DECL OriginEntry* oldest_idle_but(const OriginEntry& entry) noexcept;
    void dial_for_waiters() noexcept;
    KHIVE_COLD_DECL void dial_what_lacks() noexcept;
    void serve_those_held_up() noexcept;
    KHIVE_COLD_DECL void on_dialled(Connection& connection, Error error) noexcept override;
    void give_back(ConnectionPtr connection) noexcept;
    void make_idle(OriginEntry& entry, ConnectionPtr connection, TimePoint now) noexcept;
    void bury() noexcept;
    KHIVE_COLD_DECL TimePoint sweep(TimePoint now) noexcept;

    asio::any_io_executor executor_;
    async::TimeService& time_;
    Shared<Network> network_;
    PoolOptions options_;
    http::ReaderLimits limits_;
    TlsContext tls_;
    Random random_;

    PoolMachine machine_;
    Tree<OriginEntry> entries_; ///< owned
    List<Connection> live_;     ///< every connection, whoever holds it
    List<Connection> graves_;   ///< to be closed outside the lock; each keeps itself
    Owned<Sweeper> sweeper_;
};

/// A caller's wait for a connection, see `ConnectionPool::checkout`.
using Checkout = async::GrantWait<ConnectionPool, Lease>;

} // namespace khive::inline KHIVE_ABI::net

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/net/impl/connection_pool.ipp>
#endif

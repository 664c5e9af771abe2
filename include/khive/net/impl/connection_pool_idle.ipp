// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/min_max.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/net/connection_pool.hpp>

#include <utility>

namespace khive::inline KHIVE_ABI::net {
namespace detail {

/// An idle connection is watched from this age on; before, watching would cost every request of a busy client a system call.
inline constexpr Duration watch_after = std::chrono::milliseconds{50};
/// So many idle connections of an origin keep their read buffers until they are watched. After a burst there may be thousands, of
/// which those on top are used next.
inline constexpr std::size_t with_buffers = 64;
/// A connection that has been idle for less is used without a look at its socket.
inline constexpr Duration trusted_for = std::chrono::milliseconds{2};

/// The server's own idle limit less a margin, since its clock starts earlier than ours.
inline Duration trusted_keep_alive(Duration hint) noexcept
{
    constexpr Duration margin = std::chrono::seconds{1};
    return hint > 2 * margin ? hint - margin : hint / 2;
}

} // namespace detail

/// Wakes up while anything is idle.
class ConnectionPool::Sweeper final : public async::TimerNode {
public:
    Sweeper(ConnectionPool& pool, async::TimeService& time) : pool_(pool), time_(time) {}
    ~Sweeper() { time_.disarm(*this); }
    void arm(TimePoint due) { time_.arm(*this, due); }

private:
    TimePoint on_time(TimePoint now) noexcept override { return pool_.sweep(now); }

    ConnectionPool& pool_;
    async::TimeService& time_;
};

KHIVE_DECL TimePoint ConnectionPool::sweep(TimePoint now) noexcept
{
    TimePoint next = no_deadline;
    Connection* to_watch = nullptr;
    {
        const std::lock_guard lock(mutex_);
        for (OriginEntry* at = entries_.first(); at != nullptr;) {
            OriginEntry& entry = *at;
            at = entries_.after(entry);
            for (Connection* each = entry.idle.latest(); each != nullptr;) {
                Connection& connection = *each;
                each = entry.idle.before(connection);
                if (connection.idle.expires <= now) {
                    forget_idle(entry, connection);
                    continue;
                }
                const bool old = connection.idle.since + detail::watch_after <= now;
                if (old && !std::exchange(connection.idle.watched, true))
                    connection.next_to_watch = std::exchange(to_watch, ConnectionPtr(&connection).detach());
                next = std::min(next, connection.idle.expires);
                if (!old) next = std::min(next, connection.idle.since + detail::watch_after);
            }
            drop_if_unused(entry);
        }
    }
    while (to_watch != nullptr) {
        const ConnectionPtr connection(to_watch, false);
        to_watch = std::exchange(connection->next_to_watch, nullptr);
        connection->watch();
    }
    bury();
    return next;
}

KHIVE_DECL void ConnectionPool::on_idle_ended(Connection& connection) noexcept
{
    {
        const std::lock_guard lock(mutex_);
        if (connection.pool_entry == nullptr) return; // forgotten meanwhile
        auto& entry = entry_of(connection);
        if (!IdleConnections::has(connection)) return; // leased meanwhile: the exchange will find out
        forget_idle(entry, connection);
        drop_if_unused(entry);
    }
    bury();
    dial_for_waiters();
}

KHIVE_DECL void ConnectionPool::forget_idle(OriginEntry& entry, Connection& idle) noexcept
{
    const ConnectionPtr connection = entry.idle.take(idle);
    machine_.idle_closed(entry.counts);
    forget(*connection);
    graves_.push_back(*connection);
    connection->keep();
}

/// It is none of this pool's any more.
KHIVE_DECL void ConnectionPool::forget(Connection& connection) noexcept
{
    live_.erase(connection);
    if (auto memory = connection.reader().take_head_memory()) entry_of(connection).head_memory = std::move(memory);
    connection.pool_entry = nullptr; // the record may go, and the idle watch may still have something to say
}

KHIVE_DECL void ConnectionPool::bury() noexcept
{
    for (;;) {
        ConnectionPtr closing;
        {
            const std::lock_guard lock(mutex_);
            if (graves_.empty()) return;
            closing = graves_.first()->let_go();
            graves_.erase(*closing);
        }
        closing->close();
    }
}

KHIVE_DECL void ConnectionPool::make_idle(OriginEntry& entry, ConnectionPtr connection, TimePoint now) noexcept
{
    Duration keep = options_.idle_timeout;
    if (const auto hint = connection->reader().keep_alive_timeout())
        keep = std::min(keep, detail::trusted_keep_alive(*hint));
    const auto uses = static_cast<std::uint32_t>(connection->uses());
    connection->idle = {now, std::min(saturating_add(now, keep), connection->retires), uses, uses != connection->idle.uses, false};
    entry.idle.add(std::move(connection));
}

KHIVE_DECL ConnectionPtr ConnectionPool::pop_idle(OriginEntry& entry, bool fresh, TimePoint now) noexcept
{
    for (Connection* each = entry.idle.latest(); each != nullptr;) {
        Connection& connection = *each;
        each = entry.idle.before(connection);
        if (fresh && connection.uses() != 0) continue;
        const bool probe = now - connection.idle.since >= detail::trusted_for;
        const bool is_sure = connection.idle.proven && !connection.idle.watched && !probe;
        if (connection.idle.expires <= now || (!is_sure && !connection.wake(probe))) {
            forget_idle(entry, connection);
            continue;
        }
        connection.idle.uses = static_cast<std::uint32_t>(connection.uses());
        machine_.leased(entry.counts);
        return entry.idle.take(connection);
    }
    return nullptr;
}

KHIVE_DECL void ConnectionPool::discard_idle(OriginEntry& entry) noexcept
{
    {
        const std::lock_guard lock(mutex_);
        while (!entry.idle.empty()) forget_idle(entry, *entry.idle.latest());
        drop_if_unused(entry);
    }
    bury();
}

} // namespace khive::inline KHIVE_ABI::net

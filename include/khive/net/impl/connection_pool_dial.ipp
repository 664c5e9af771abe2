// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/net/connection_pool.hpp>
#include <khive/net/impl/connection_pool_idle.ipp>

#include <iterator>
#include <mutex>
#include <new>
#include <utility>

namespace khive::inline KHIVE_ABI::net {

KHIVE_DECL const ConnectionSetup& ConnectionPool::setup_of(OriginEntry& entry)
{
    if (!entry.setup) entry.setup.reset(new ConnectionSetup(entry.origin, executor_, network_, tls_, limits_, share(*this)));
    return *entry.setup;
}

KHIVE_DECL ConnectionPtr ConnectionPool::new_connection(OriginEntry& entry)
{
    (void)setup_of(entry);
    ConnectionPtr connection(new Connection(entry.setup));
    connection->reader().use_head_memory(std::move(entry.head_memory));
    connection->pool_entry = &entry;
    connection->keep();
    live_.push_back(*connection);
    machine_.dialling(entry.counts);
    return connection;
}

/// The caller gets it when it is up, and hears of it when it fails.
KHIVE_DECL void ConnectionPool::promise(Connection& connection, async::WaitRequest& request) noexcept
{
    connection.made_for = &request;
    request.under_way = &connection;
    if (std::exchange(request.timeout_kind, ErrorKind::timeout) != ErrorKind::pool_timeout) return;
    request.deadline = request.once_made.deadline;
    request.timer = request.once_made.timer;
    request.timer_value = request.once_made.timer_value;
}

KHIVE_DECL ConnectionPool::OriginEntry* ConnectionPool::oldest_idle_but(const OriginEntry& entry) noexcept
{
    OriginEntry* oldest = nullptr;
    for (OriginEntry* other = entries_.first(); other != nullptr; other = entries_.after(*other)) {
        if (other == &entry || other->idle.empty()) continue;
        if (oldest == nullptr || other->idle.oldest()->idle.since < oldest->idle.oldest()->idle.since) oldest = other;
    }
    return oldest;
}

/// A connection to dial for a caller that waits, if it has none yet and the caps leave room. Under the lock.
KHIVE_DECL ConnectionPtr ConnectionPool::plan_dial(async::WaitRequest& request)
{
    if (request.under_way != nullptr || is_closed()) return nullptr;
    auto& entry = entry_of(request);
    if (Connection* const dialled = std::exchange(entry.unpromised, nullptr)) {
        promise(*dialled, request);
        return nullptr;
    }
    DialPlan plan = machine_.plan(entry.counts);
    if (plan == DialPlan::wait && request.fresh && !entry.idle.empty() && entry.counts.lacking() != 0) {
        forget_idle(entry, *entry.idle.oldest()); // a used one does not help, and is in the way
        plan = machine_.plan(entry.counts);
    }
    if (plan == DialPlan::make_room) {
        OriginEntry& other = *oldest_idle_but(entry);
        forget_idle(other, *other.idle.oldest());
        drop_if_unused(other);
    }
    if (plan == DialPlan::wait) return nullptr;
    ConnectionPtr connection = new_connection(entry);
    promise(*connection, request);
    return connection;
}

KHIVE_DECL void ConnectionPool::dial_for_waiters() noexcept
{
    bool lacking = false;
    {
        const std::lock_guard lock(mutex_);
        if (!has_waiters()) return;
        lacking = machine_.lacking() != 0;
    }
    lacking ? dial_what_lacks() : bury();
    serve_those_held_up();
}

KHIVE_DECL void ConnectionPool::dial_what_lacks() noexcept
{
    struct {
        ConnectionPtr connection;
        DialTimeouts timeouts;
    } dials[16];
    for (bool more = true; more;) {
        std::size_t planned = 0;
        const async::WaitRequest* starved = nullptr; // there is no memory for its connection
        std::unique_lock lock(mutex_);
        for_each_waiting([&](async::WaitRequest& request) {
            try {
                if (auto dial = plan_dial(request)) dials[planned++] = {std::move(dial), request.dial};
            } catch (...) {
                starved = &request;
                return false;
            }
            return planned < std::size(dials) && machine_.lacking() != 0 && machine_.has_room();
        });
        more = starved != nullptr || planned == std::size(dials);
        if (starved != nullptr)
            end_wait(std::move(lock), *starved, detail::no_memory(ErrorKind::connect));
        else
            lock.unlock();
        bury();
        for (std::size_t i = 0; i < planned; ++i) {
            const ConnectionPtr dial = std::move(dials[i].connection);
            if (dial->dial(dials[i].timeouts)) settle_dial(*dial, Error{}, time_.now());
        }
    }
}

/// Whoever had to let an older caller of another origin go first.
KHIVE_DECL void ConnectionPool::serve_those_held_up() noexcept
{
    KHIVE_YIELD_POINT();
    std::unique_lock lock(mutex_);
    if (has_waiters() && machine_.total().idle != 0) pump(std::move(lock), time_.now());
}

KHIVE_DECL void ConnectionPool::on_dialled(Connection& connection, Error error) noexcept
{
    settle_dial(connection, std::move(error), time_.now());
    dial_for_waiters();
}

KHIVE_DECL void ConnectionPool::settle_dial(Connection& dialled, Error error, TimePoint now) noexcept
{
    const ConnectionPtr connection(&dialled);
    std::unique_lock lock(mutex_);
    auto& entry = entry_of(*connection);
    if (!connection->let_go()) return;
    if (entry.unpromised == connection) entry.unpromised = nullptr;
    async::WaitRequest* const made_for = std::exchange(connection->made_for, nullptr);
    if (made_for != nullptr) made_for->under_way = nullptr;
    if (error.kind() == ErrorKind{} && !is_closed()) {
        machine_.dialled(entry.counts);
        connection->retires = retirement(now);
        make_idle(entry, connection, now);
        pump(std::move(lock), now);
        sweeper_->arm(now + detail::watch_after);
        return;
    }
    machine_.dial_failed(entry.counts);
    forget(*connection);
    drop_if_unused(entry);
    if (made_for != nullptr) // whoever else counted on it gets a dial of its own
        end_wait(std::move(lock), *made_for, std::move(error));
    else
        lock.unlock();
    connection->close();
}

KHIVE_DECL Lease ConnectionPool::try_dial(OriginEntry& entry, const DialTimeouts& timeouts, TimePoint now)
{
    ConnectionPtr connection;
    try {
        const std::lock_guard lock(mutex_);
        if (is_closed() || entry.origin.tls || entry.unpromised != nullptr || entry.counts.waiting != 0) return {};
        if (!machine_.newcomer_dials(entry.counts) || !setup_of(entry).is_literal) return {};
        connection = new_connection(entry);
        entry.unpromised = connection.get();
    } catch (const std::bad_alloc&) { // NOLINT: as without it, the caller waits, and hears of it then
        return {};
    }
    if (!connection->dial(timeouts)) return {};
    {
        const std::lock_guard lock(mutex_);
        const bool still_mine = entry.unpromised == connection.get() && !is_closed();
        if (still_mine) {
            entry.unpromised = nullptr;
            connection->let_go();
            connection->retires = retirement(now);
            machine_.dialled(entry.counts);
            machine_.leased(entry.counts);
            return {*this, std::move(connection)};
        }
    }
    on_dialled(*connection, Error{});
    return {};
}

KHIVE_DECL TimePoint ConnectionPool::retirement(TimePoint now) noexcept
{
    const double jitter = 1.0 - 0.1 * random_.uniform();
    return saturating_add(now, from_seconds(to_seconds(options_.max_lifetime) * jitter));
}

} // namespace khive::inline KHIVE_ABI::net

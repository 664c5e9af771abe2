// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/net/connection_pool.hpp>
#include <khive/net/impl/connection_pool_idle.ipp>

#include <mutex>
#include <utility>

namespace khive::inline KHIVE_ABI::net {

// --- Lease -----------------------------------------------------------------------------------------------------------

KHIVE_DECL Lease& Lease::operator=(Lease&& other) noexcept
{
    if (this != &other) {
        reset();
        pool_ = other.pool_;
        connection_ = std::move(other.connection_);
    }
    return *this;
}

KHIVE_DECL Lease::~Lease()
{
    reset();
}

KHIVE_DECL void Lease::reset() noexcept
{
    if (!connection_) return;
    KHIVE_YIELD_POINT();
    pool_->give_back(std::move(connection_));
}

KHIVE_DECL void ConnectionPool::give_back(ConnectionPtr connection) noexcept
{
    std::unique_lock lock(mutex_);
    auto& entry = entry_of(*connection);
    if (connection->reusable() && !is_closed()) {
        const TimePoint now = connection->result().any_answer ? connection->last_byte() : time_.now();
        machine_.returned(entry.counts);
        if (entry.counts.idle > detail::with_buffers) connection->reader().release_buffer();
        make_idle(entry, std::move(connection), now);
        const bool wanted = has_waiters();
        if (wanted)
            pump(std::move(lock), time_.now()); // by which it may not be trusted any more without a look
        else
            lock.unlock();
        KHIVE_YIELD_POINT();
        sweeper_->arm(now + detail::watch_after);
        if (wanted) dial_for_waiters();
        return;
    }
    machine_.lease_closed(entry.counts);
    forget(*connection);
    drop_if_unused(entry);
    const bool wanted = has_waiters();
    lock.unlock();
    KHIVE_YIELD_POINT();
    connection->close();
    if (wanted) dial_for_waiters();
}

// --- Checkout --------------------------------------------------------------------------------------------------------

KHIVE_DECL Lease ConnectionPool::try_checkout(OriginEntry& entry, TimePoint now)
{
    ConnectionPtr connection;
    bool graves = false;
    {
        const std::lock_guard lock(mutex_);
        if (is_closed() || entry.counts.waiting != 0) return {};
        connection = pop_idle(entry, false, now);
        graves = !graves_.empty();
    }
    KHIVE_YIELD_POINT();
    if (graves) bury();
    if (!connection) return {};
    return {*this, std::move(connection)};
}

KHIVE_DECL Error ConnectionPool::refuse(const async::WaitRequest& request, TimePoint)
{
    if (!entry_of(request).origin.tls || tls_.has_trust_anchors()) return {};
    return Error{ErrorKind::no_trust_anchors}.with_message(
        "no trust anchors: no certificate authority is loaded, so no server can be verified; install ca-certificates, set "
        "SSL_CERT_FILE, or add one to the TlsContext");
}

KHIVE_DECL bool ConnectionPool::is_exhausted(const OriginEntry& entry) const
{
    const std::lock_guard lock(mutex_);
    return !is_closed() && machine_.newcomer_waits(entry.counts);
}

KHIVE_DECL async::WaitRequest ConnectionPool::checkout(OriginEntry& entry, const Deadline& deadline,
                                                       const CheckoutTimeouts& timeouts, bool fresh)
{
    if (entry.origin.tls) (void)tls_.has_trust_anchors(); // looks at files, the first time: not under the lock
    const TimePoint now = time_.now();
    async::WaitRequest request;
    request.key = &entry;
    request.fresh = fresh;
    request.dial = timeouts.dial;
    const bool waits = is_exhausted(entry);
    request.deadline = deadline.at;
    request.timer = deadline.timer;
    request.timer_value = deadline.value;
    // With a dial under way the dial's own timers apply.
    if (const TimePoint patience = saturating_add(now, timeouts.pool_wait); waits && patience < deadline.at) {
        request.once_made = {request.deadline, request.timer, request.timer_value};
        request.deadline = patience;
        request.timer = Timer::pool_wait;
        request.timer_value = timeouts.pool_wait;
        request.timeout_kind = ErrorKind::pool_timeout;
    }
    return request;
}

KHIVE_DECL bool ConnectionPool::try_grant(const async::WaitRequest& head, TimePoint now) noexcept
{
    auto& entry = entry_of(head);
    ConnectionPtr connection = pop_idle(entry, head.fresh, now);
    if (!connection) return false;
    head.granted = connection.detach();
    return true;
}

KHIVE_DECL Lease ConnectionPool::make_grant(const async::WaitRequest& request) noexcept
{
    auto* const granted = static_cast<Connection*>(std::exchange(request.granted, nullptr));
    return {*this, ConnectionPtr(granted, false)};
}

KHIVE_DECL bool ConnectionPool::blocks(const async::WaitRequest& head) const noexcept
{
    if (machine_.total().idle == 0) return true; // nobody behind it can be served either
    // Those behind it must not for ever take what would make room for it.
    const OriginEntry& entry = entry_of(head);
    const DialPlan plan = machine_.plan(entry.counts);
    const bool used_one_is_in_the_way = head.fresh && head.under_way == nullptr && !entry.idle.empty();
    return plan == DialPlan::make_room || (plan == DialPlan::wait && used_one_is_in_the_way && entry.counts.lacking() != 0);
}

KHIVE_DECL bool ConnectionPool::has_to_queue(const async::WaitRequest& newcomer) const noexcept
{
    return entry_of(newcomer).counts.waiting != 0;
}

KHIVE_DECL bool ConnectionPool::is_full(const async::WaitRequest& newcomer) const noexcept
{
    return machine_.lacking() >= max_waiting() && machine_.newcomer_waits(entry_of(newcomer).counts);
}

KHIVE_DECL void ConnectionPool::on_join(const async::WaitRequest& request) noexcept
{
    machine_.joined(entry_of(request).counts);
}

KHIVE_DECL void ConnectionPool::on_leave(const async::WaitRequest& request) noexcept
{
    auto& entry = entry_of(request);
    if (request.under_way != nullptr) static_cast<Connection*>(request.under_way)->made_for = nullptr;
    machine_.left(entry.counts);
}

KHIVE_DECL void ConnectionPool::after_join(async::Waiter& newcomer)
{
    ConnectionPtr dial;
    try {
        const std::lock_guard lock(mutex_);
        if (auto* request = find(newcomer)) dial = plan_dial(*request); // there was nothing for those who wait longer
    } catch (...) {
        bury();
        throw;
    }
    bury();
    if (dial && dial->dial(newcomer.request().dial)) settle_dial(*dial, Error{}, time_.now());
    serve_those_held_up();
}

} // namespace khive::inline KHIVE_ABI::net

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/net/connection_pool.hpp>

#include <algorithm>
#include <array>
#include <iterator>
#include <tuple>

namespace khive::inline KHIVE_ABI::net {
namespace detail {

/// An idle connection is watched from this age on; before, watching would cost every request of a busy client a system call.
inline constexpr Duration watch_after = std::chrono::milliseconds{50};
/// A connection that has been idle for less is used without a look at its socket.
inline constexpr Duration trusted_for = std::chrono::milliseconds{2};

inline void check_positive(Duration value, const char* name)
{
    if (value <= Duration::zero())
        Error{ErrorKind::configuration}.with_message(std::string("PoolOptions: ") + name + " must be > 0").raise();
}

inline const PoolOptions& checked(const PoolOptions& options)
{
    if (options.max_connections == 0)
        Error{ErrorKind::configuration}.with_message("PoolOptions: max_connections is 0, must be >= 1").raise();
    if (options.max_per_origin > options.max_connections)
        Error{ErrorKind::configuration}
            .with_message("PoolOptions: max_per_origin is " + std::to_string(options.max_per_origin) +
                          ", must not be above max_connections, " + std::to_string(options.max_connections))
            .raise();
    check_positive(options.idle_timeout, "idle_timeout");
    check_positive(options.max_lifetime, "max_lifetime");
    return options;
}

/// The server's own idle limit less a margin, since its clock starts earlier than ours.
inline Duration trusted_keep_alive(Duration hint) noexcept
{
    constexpr Duration margin = std::chrono::seconds{1};
    return hint > 2 * margin ? hint - margin : hint / 2;
}

} // namespace detail

// --- Lease ------------------------------------------------------------------------------------------------------------

KHIVE_DECL Lease& Lease::operator=(Lease&& other) noexcept
{
    if (this != &other) {
        reset();
        pool_ = std::move(other.pool_);
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
    const auto pool = std::move(pool_);
    KHIVE_YIELD_POINT();
    pool->give_back(std::move(connection_));
}

// --- Upkeep of idle connections ---------------------------------------------------------------------------------------

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
    std::vector<ConnectionPtr> to_watch;
    {
        const std::lock_guard lock(mutex_);
        try {
            to_watch.reserve(machine_.total().idle);
        } catch (...) {
            return now + detail::watch_after;
        }
        for (auto at = entries_.begin(); at != entries_.end();) {
            OriginEntry& entry = (at++)->second;
            for (std::size_t i = entry.idle.size(); i-- > 0;) {
                Connection& connection = *entry.idle[i];
                if (connection.idle.expires <= now) {
                    forget_idle(entry, i);
                    continue;
                }
                const bool old = connection.idle.since + detail::watch_after <= now;
                if (old && !std::exchange(connection.idle.watched, true)) to_watch.push_back(&connection);
                next = std::min(
                    {next, connection.idle.expires, old ? no_deadline : connection.idle.since + detail::watch_after});
            }
            drop_if_unused(entry);
        }
    }
    for (const auto& connection : to_watch) connection->watch();
    bury();
    return next;
}

KHIVE_DECL void ConnectionPool::on_idle_ended(Connection& connection) noexcept
{
    {
        const std::lock_guard lock(mutex_);
        if (connection.pool_entry == nullptr) return; // forgotten meanwhile
        auto& entry = *static_cast<OriginEntry*>(connection.pool_entry);
        const auto at = std::ranges::find_if(entry.idle, [&](const ConnectionPtr& c) { return c.get() == &connection; });
        if (at == entry.idle.end()) return; // leased meanwhile: the exchange will find out
        forget_idle(entry, static_cast<std::size_t>(at - entry.idle.begin()));
        drop_if_unused(entry);
    }
    bury();
    dial_for_waiters();
}

KHIVE_DECL void ConnectionPool::forget_idle(OriginEntry& entry, std::size_t index) noexcept
{
    ConnectionPtr connection = std::move(entry.idle[index]);
    entry.idle.erase(entry.idle.begin() + static_cast<std::ptrdiff_t>(index));
    machine_.idle_closed(entry.counts);
    forget(*connection);
    graves_.push_back(*connection);
    connection->kept = connection;
}

/// It is none of this pool's any more.
KHIVE_DECL void ConnectionPool::forget(Connection& connection) noexcept
{
    live_.erase(live_.iterator_to(connection));
    connection.pool_entry = nullptr; // the record may go, and the idle watch may still have something to say
}

KHIVE_DECL void ConnectionPool::bury() noexcept
{
    for (;;) {
        ConnectionPtr closing;
        {
            const std::lock_guard lock(mutex_);
            if (graves_.empty()) return;
            closing = std::exchange(graves_.front().kept, nullptr);
            graves_.pop_front();
        }
        closing->close();
    }
}

// --- Origins ----------------------------------------------------------------------------------------------------------

KHIVE_DECL bool ConnectionPool::ByOrigin::operator()(const Origin& a, const Origin& b) const noexcept
{
    return std::tie(a.host, a.port, a.tls) < std::tie(b.host, b.port, b.tls);
}

KHIVE_DECL ConnectionPool::OriginEntry& ConnectionPool::entry(const Origin& origin)
{
    const std::lock_guard lock(mutex_);
    OriginEntry& entry = entries_.try_emplace(origin, origin).first->second;
    ++entry.holders; // for ever
    return entry;
}

KHIVE_DECL std::shared_ptr<ConnectionPool::OriginEntry> ConnectionPool::hold(const Origin& origin)
{
    OriginEntry& held = entry(origin);
    return {&held, [pool = self()](OriginEntry* entry) { pool->let_go(*entry); }};
}

KHIVE_DECL void ConnectionPool::let_go(OriginEntry& entry) noexcept
{
    const std::lock_guard lock(mutex_);
    --entry.holders;
    drop_if_unused(entry);
}

KHIVE_DECL void ConnectionPool::drop_if_unused(OriginEntry& entry) noexcept
{
    if (entry.holders == 0 && entry.counts.open() == 0 && entry.counts.waiting == 0)
        entries_.erase(entries_.find(entry.origin));
}

KHIVE_DECL std::size_t ConnectionPool::origins() const
{
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

// --- Checkout ---------------------------------------------------------------------------------------------------------

KHIVE_DECL ConnectionPool::ConnectionPool(asio::any_io_executor executor, const PoolOptions& options,
                                          const http::ReaderLimits& limits, TlsContext tls)
    : WaitQueue(detail::checked(options).max_waiting),
      executor_(std::move(executor)),
      time_(async::time_service(executor_)),
      network_(network_service(executor_).network()),
      options_(options),
      limits_(limits),
      tls_(std::move(tls)),
      machine_(options.max_connections, options.max_per_origin),
      sweeper_(std::make_unique<Sweeper>(*this, time_))
{}

KHIVE_DECL ConnectionPool::~ConnectionPool()
{
    sweeper_.reset();
    bury();
    while (!live_.empty()) {
        const ConnectionPtr connection(&live_.front());
        live_.pop_front();
        connection->kept.reset();
        connection->close();
    }
}

KHIVE_DECL ConnectionPtr ConnectionPool::pop_idle(OriginEntry& entry, bool fresh, TimePoint now) noexcept
{
    for (std::size_t i = entry.idle.size(); i-- > 0;) {
        Connection& connection = *entry.idle[i];
        if (fresh && connection.uses() != 0) continue;
        const bool probe = now - connection.idle.since >= detail::trusted_for;
        const bool is_sure = connection.idle.proven && !connection.idle.watched && !probe;
        if (connection.idle.expires <= now || (!is_sure && !connection.wake(probe))) {
            forget_idle(entry, i);
            continue;
        }
        ConnectionPtr taken = std::move(entry.idle[i]);
        taken->alone = machine_.total().leased == 0;
        taken->idle.uses = taken->uses();
        entry.idle.erase(entry.idle.begin() + static_cast<std::ptrdiff_t>(i));
        machine_.leased(entry.counts);
        return taken;
    }
    return nullptr;
}

KHIVE_DECL std::optional<Lease> ConnectionPool::try_checkout(OriginEntry& entry, TimePoint now)
{
    ConnectionPtr connection;
    bool graves = false;
    {
        const std::lock_guard lock(mutex_);
        if (is_closed() || entry.counts.waiting != 0) return std::nullopt;
        connection = pop_idle(entry, false, now);
        graves = !graves_.empty();
    }
    KHIVE_YIELD_POINT();
    if (graves) bury();
    if (!connection) return std::nullopt;
    return Lease(self(), std::move(connection));
}

KHIVE_DECL std::optional<Error> ConnectionPool::refuse(const async::WaitRequest& request, TimePoint)
{
    if (!static_cast<const OriginEntry*>(request.key)->origin.tls || tls_.has_trust_anchors()) return std::nullopt;
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
    const Deadline patience{saturating_add(now, timeouts.pool_wait), Timer::pool_wait, timeouts.pool_wait};
    // With a dial under way the dial's own timers apply.
    const Deadline until = waits ? earlier(deadline, patience) : deadline;
    request.deadline = until.at;
    request.timer = until.timer;
    request.timer_value = until.value;
    request.timeout_kind = until.timer == Timer::pool_wait ? ErrorKind::pool_timeout : ErrorKind::timeout;
    return request;
}

KHIVE_DECL bool ConnectionPool::try_grant(const async::WaitRequest& head, TimePoint now) noexcept
{
    auto& entry = *static_cast<OriginEntry*>(head.key);
    ConnectionPtr connection = pop_idle(entry, head.fresh, now);
    if (!connection) return false;
    head.granted = connection.detach();
    return true;
}

KHIVE_DECL Lease ConnectionPool::make_grant(const async::WaitRequest& request) noexcept
{
    auto* const granted = static_cast<Connection*>(std::exchange(request.granted, nullptr));
    return {self(), ConnectionPtr(granted, false)};
}

KHIVE_DECL bool ConnectionPool::blocks(const async::WaitRequest& head) const noexcept
{
    if (machine_.total().idle == 0) return true; // nobody behind it can be served either
    // Those behind it must not for ever take what would make room for it.
    return machine_.plan(static_cast<const OriginEntry*>(head.key)->counts) == DialPlan::make_room;
}

KHIVE_DECL bool ConnectionPool::has_to_queue(const async::WaitRequest& newcomer) const noexcept
{
    return static_cast<const OriginEntry*>(newcomer.key)->counts.waiting != 0;
}

KHIVE_DECL bool ConnectionPool::is_full(const async::WaitRequest& newcomer) const noexcept
{
    return machine_.lacking() >= max_waiting() &&
           machine_.newcomer_waits(static_cast<const OriginEntry*>(newcomer.key)->counts);
}

KHIVE_DECL void ConnectionPool::on_join(const async::WaitRequest& request) noexcept
{
    machine_.joined(static_cast<OriginEntry*>(request.key)->counts);
}

KHIVE_DECL void ConnectionPool::on_leave(const async::WaitRequest& request) noexcept
{
    auto& entry = *static_cast<OriginEntry*>(request.key);
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
    if (dial) dial->dial(newcomer.request().dial);
    serve_those_held_up();
}

// --- Dialling ---------------------------------------------------------------------------------------------------------

KHIVE_DECL ConnectionPtr ConnectionPool::new_connection(async::WaitRequest& request)
{
    auto& entry = *static_cast<OriginEntry*>(request.key);
    if (entry.idle.capacity() <= entry.counts.open()) entry.idle.reserve(2 * entry.counts.open() + 1);
    ConnectionSetup setup{entry.origin, executor_, network_, tls_, limits_};
    ConnectionPtr connection(new Connection(setup, std::static_pointer_cast<ConnectionPool>(shared_from_this())));
    connection->pool_entry = &entry;
    connection->made_for = &request;
    connection->kept = connection;
    request.under_way = connection.get();
    live_.push_back(*connection);
    machine_.dialling(entry.counts);
    return connection;
}

KHIVE_DECL ConnectionPool::OriginEntry* ConnectionPool::oldest_idle_but(const OriginEntry& entry) noexcept
{
    OriginEntry* oldest = nullptr;
    for (auto& [origin, other] : entries_) {
        if (&other == &entry || other.idle.empty()) continue;
        if (oldest == nullptr || other.idle.front()->idle.since < oldest->idle.front()->idle.since) oldest = &other;
    }
    return oldest;
}

/// A connection to dial for a caller that waits, if it has none yet and the caps leave room. Under the lock.
KHIVE_DECL ConnectionPtr ConnectionPool::plan_dial(async::WaitRequest& request)
{
    if (request.under_way != nullptr || is_closed()) return nullptr;
    auto& entry = *static_cast<OriginEntry*>(request.key);
    DialPlan plan = machine_.plan(entry.counts);
    if (plan == DialPlan::wait && request.fresh && !entry.idle.empty() && entry.counts.lacking() != 0) {
        forget_idle(entry, 0); // a used one does not help, and is in the way
        plan = machine_.plan(entry.counts);
    }
    if (plan == DialPlan::make_room) {
        OriginEntry& other = *oldest_idle_but(entry);
        forget_idle(other, 0);
        drop_if_unused(other);
    }
    return plan == DialPlan::wait ? nullptr : new_connection(request);
}

KHIVE_DECL void ConnectionPool::dial_for_waiters() noexcept
{
    std::array<std::pair<ConnectionPtr, DialTimeouts>, 16> dials;
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
            return planned < dials.size() && machine_.lacking() != 0 && machine_.has_room();
        });
        more = starved != nullptr || planned == dials.size();
        if (starved != nullptr)
            end_wait(std::move(lock), *starved, detail::no_memory(ErrorKind::connect));
        else
            lock.unlock();
        bury();
        for (std::size_t i = 0; i < planned; ++i) std::exchange(dials[i].first, nullptr)->dial(dials[i].second);
    }
    serve_those_held_up();
}

/// Whoever had to let an older caller of another origin go first.
KHIVE_DECL void ConnectionPool::serve_those_held_up() noexcept
{
    KHIVE_YIELD_POINT();
    std::unique_lock lock(mutex_);
    if (has_waiters() && machine_.total().idle != 0) pump(std::move(lock), time_.now());
}

KHIVE_DECL void ConnectionPool::on_dialled(Connection& dialled, Error error) noexcept
{
    const ConnectionPtr connection(&dialled);
    const TimePoint now = time_.now();
    std::unique_lock lock(mutex_);
    auto& entry = *static_cast<OriginEntry*>(connection->pool_entry);
    if (!std::exchange(connection->kept, nullptr)) return;
    async::WaitRequest* const made_for = std::exchange(connection->made_for, nullptr);
    if (made_for != nullptr) made_for->under_way = nullptr;
    if (error.kind() == ErrorKind{} && !is_closed()) {
        machine_.dialled(entry.counts);
        const double jitter = 1.0 - 0.1 * random_.uniform();
        connection->retires = saturating_add(now, from_seconds(to_seconds(options_.max_lifetime) * jitter));
        make_idle(entry, connection, now);
        pump(std::move(lock), now);
        sweeper_->arm(now + detail::watch_after);
        return dial_for_waiters();
    }
    machine_.dial_failed(entry.counts);
    forget(*connection);
    drop_if_unused(entry);
    if (made_for != nullptr) // whoever else counted on it gets a dial of its own
        end_wait(std::move(lock), *made_for, std::move(error));
    else
        lock.unlock();
    connection->close();
    dial_for_waiters();
}

KHIVE_DECL void ConnectionPool::make_idle(OriginEntry& entry, ConnectionPtr connection, TimePoint now) noexcept
{
    Duration keep = options_.idle_timeout;
    if (const auto hint = connection->reader().keep_alive_timeout())
        keep = std::min(keep, detail::trusted_keep_alive(*hint));
    const std::uint64_t uses = connection->uses();
    connection->idle = {now, std::min(saturating_add(now, keep), connection->retires), uses, uses > connection->idle.uses, false};
    entry.idle.push_back(std::move(connection));
}

// --- Return -----------------------------------------------------------------------------------------------------------

KHIVE_DECL void ConnectionPool::give_back(ConnectionPtr connection) noexcept
{
    std::unique_lock lock(mutex_);
    auto& entry = *static_cast<OriginEntry*>(connection->pool_entry);
    if (connection->reusable() && !is_closed()) {
        const TimePoint now = connection->result().any_answer ? connection->last_byte() : time_.now();
        machine_.returned(entry.counts);
        make_idle(entry, std::move(connection), now);
        const bool wanted = has_waiters();
        if (wanted)
            pump(std::move(lock), now);
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

KHIVE_DECL void ConnectionPool::discard_idle(OriginEntry& entry) noexcept
{
    {
        const std::lock_guard lock(mutex_);
        while (!entry.idle.empty()) forget_idle(entry, entry.idle.size() - 1);
        drop_if_unused(entry);
    }
    bury();
}

KHIVE_DECL void ConnectionPool::shut_down() noexcept
{
    WaitQueue::close();
    KHIVE_YIELD_POINT();
    std::size_t left = 0;
    {
        const std::lock_guard lock(mutex_);
        for (auto at = entries_.begin(); at != entries_.end();) {
            OriginEntry& entry = (at++)->second;
            while (!entry.idle.empty()) forget_idle(entry, entry.idle.size() - 1);
            drop_if_unused(entry);
        }
        left = live_.size();
    }
    bury();
    // Those that go meanwhile go from anywhere, those that are there are not yet closed at the front.
    for (; left != 0; --left) {
        ConnectionPtr connection;
        {
            const std::lock_guard lock(mutex_);
            if (live_.empty()) return;
            connection = &live_.front();
            live_.splice(live_.end(), live_, live_.begin());
        }
        connection->close();
    }
}

KHIVE_DECL PoolCounts ConnectionPool::counts() const
{
    const std::lock_guard lock(mutex_);
    return machine_.total();
}

KHIVE_DECL PoolCounts ConnectionPool::counts(const OriginEntry& entry) const
{
    const std::lock_guard lock(mutex_);
    return entry.counts;
}

} // namespace khive::inline KHIVE_ABI::net

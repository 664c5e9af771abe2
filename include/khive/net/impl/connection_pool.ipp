// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/net/connection_pool.hpp>
#include <khive/net/impl/connection_pool_checkout.ipp>
#include <khive/net/impl/connection_pool_dial.ipp>
#include <khive/net/impl/connection_pool_idle.ipp>

#include <memory>
#include <mutex>
#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI::net {
namespace detail {

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

} // namespace detail

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
      sweeper_(new Sweeper(*this, time_))
{}

KHIVE_DECL ConnectionPool::~ConnectionPool()
{
    sweeper_.reset();
    bury();
    while (!live_.empty()) {
        const ConnectionPtr connection(live_.first());
        live_.erase(*connection);
        connection->let_go();
        connection->close();
    }
    while (!entries_.empty()) drop(*entries_.first());
}

KHIVE_DECL void ConnectionPool::shut_down() noexcept
{
    WaitQueue::close();
    KHIVE_YIELD_POINT();
    std::size_t left = 0;
    {
        const std::lock_guard lock(mutex_);
        for (OriginEntry* at = entries_.first(); at != nullptr;) {
            OriginEntry& entry = *at;
            at = entries_.after(entry);
            while (!entry.idle.empty()) forget_idle(entry, *entry.idle.latest());
            drop_if_unused(entry);
        }
        for (const Connection* each = live_.first(); each != nullptr; each = live_.after(*each)) ++left;
    }
    bury();
    // Those that go meanwhile go from anywhere, those that are there are not yet closed at the front.
    for (; left != 0; --left) {
        ConnectionPtr connection;
        {
            const std::lock_guard lock(mutex_);
            if (live_.empty()) return;
            connection = live_.first();
            live_.erase(*connection);
            live_.push_back(*connection);
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

// --- Origins ---------------------------------------------------------------------------------------------------------

KHIVE_DECL bool OriginEntry::before(const Origin& a, const Origin& b) noexcept
{
    const int order = a.host.compare(b.host);
    if (order != 0) return order < 0;
    return a.port != b.port ? a.port < b.port : a.tls < b.tls;
}

KHIVE_DECL void LetGoOfOrigin::operator()(OriginEntry* entry) const noexcept
{
    entry->pool.let_go(*entry);
}

KHIVE_DECL ConnectionPool::OriginEntry& ConnectionPool::entry(const Origin& origin)
{
    const std::lock_guard lock(mutex_);
    OriginEntry* at = entries_.lower_bound(origin);
    if (at == nullptr || OriginEntry::before(origin, at->origin)) {
        at = new OriginEntry(origin, *this);
        entries_.insert(*at);
    }
    ++at->holders; // for ever
    return *at;
}

KHIVE_DECL HeldOrigin ConnectionPool::hold(const Origin& origin)
{
    return HeldOrigin(&entry(origin));
}

KHIVE_DECL void ConnectionPool::let_go(OriginEntry& entry) noexcept
{
    const std::lock_guard lock(mutex_);
    --entry.holders;
    drop_if_unused(entry);
}

KHIVE_DECL void ConnectionPool::drop_if_unused(OriginEntry& entry) noexcept
{
    if (entry.holders == 0 && entry.counts.open() == 0 && entry.counts.waiting == 0) drop(entry);
}

KHIVE_DECL void ConnectionPool::drop(OriginEntry& entry) noexcept
{
    entries_.erase(entry);
    delete &entry;
}

KHIVE_DECL std::size_t ConnectionPool::origins() const
{
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

} // namespace khive::inline KHIVE_ABI::net

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/http/method.hpp>
#include <khive/net/async_exchange.hpp>
#include <khive/net/connection_pool.hpp>
#include <khive/testing/scripted_server.hpp>
#include <khive/testing/simulated_network.hpp>
#include <khive/testing/virtual_time.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

// A pool on a simulated network in virtual time, and the calls that a client would make of it.
namespace khive_tests {

using namespace khive;
using namespace std::chrono_literals;

/// What one exchange gave.
struct Exchanged {
    net::ExchangeEnd end;
    Attempt attempt;
    int status = 0;
    std::string body;
    bool reusable = false;
};

/// What is sent, owned.
struct Sending {
    std::string head;
    std::string body;
    bool head_method = false;
    bool closes = false;
    net::CheckoutTimeouts checkout;
    net::ExchangeTimeouts timeouts;
    net::Deadline deadline;
};

inline Sending a_get(const std::string& path)
{
    Sending sending;
    sending.head = "GET " + path + " HTTP/1.1\r\nHost: api.test\r\n\r\n";
    return sending;
}

inline Sending a_post(const std::string& path, std::string body)
{
    Sending sending;
    sending.head = "POST " + path + " HTTP/1.1\r\nHost: api.test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
    sending.body = std::move(body);
    return sending;
}

inline asio::awaitable<Exchanged> exchange_on(net::ConnectionPtr connection, std::shared_ptr<Sending> sending)
{
    Exchanged got;
    const std::string method = sending->head.substr(0, sending->head.find(' '));
    const net::Outgoing outgoing{sending->head, sending->body, sending->head_method, sending->closes,
                                 http::is_idempotent(method)};
    net::Exchange exchange(*connection, outgoing, sending->timeouts, sending->deadline, got.attempt,
                           async::time_service(connection->executor()).now());
    http::Content content;
    connection->reader().read_into(content);
    auto exchanging = async::suspend(exchange);
    co_await std::move(exchanging);
    got.end = connection->result();
    got.reusable = connection->reusable();
    if (!got.end.ok()) co_return got;
    got.status = connection->reader().status();
    got.body = std::string(content.body.view());
    co_return got;
}

using Entry = net::ConnectionPool::OriginEntry;
using PoolPtr = std::shared_ptr<net::ConnectionPool>;

/// A lease as a client gets it: idle, dialled or waited for.
inline asio::awaitable<Result<net::Lease>> lease_from(PoolPtr pool, Entry* entry, net::Deadline deadline,
                                                    net::CheckoutTimeouts timeouts, bool fresh = false)
{
    const auto executor = co_await asio::this_coro::executor;
    if (!fresh) {
        auto idle = pool->try_checkout(*entry, async::time_service(executor).now());
        if (idle) co_return std::move(idle);
    }
    net::Checkout waiting(pool, pool->checkout(*entry, deadline, timeouts, fresh));
    auto wait = async::suspend(waiting);
    co_await std::move(wait);
    co_return waiting.result();
}

/// A whole call without policies and without replay.
inline asio::awaitable<Result<Exchanged>> fetch_from(PoolPtr pool, Entry* entry, std::shared_ptr<Sending> sending)
{
    auto lease = co_await lease_from(pool, entry, sending->deadline, sending->checkout);
    if (!lease) co_return lease.error();
    net::ConnectionPtr connection(&**lease);
    co_return co_await exchange_on(std::move(connection), std::move(sending));
}

struct NetWorld {
    testing::VirtualTime time;
    std::shared_ptr<testing::SimulatedNetwork> network = testing::SimulatedNetwork::install(time);
    std::shared_ptr<testing::ScriptedServer> server = std::make_shared<testing::ScriptedServer>();
    testing::SimulatedAddress& there = network->serve("api.test", 80, server);
    Origin origin{false, "api.test", 80};
    net::CheckoutTimeouts timeouts; ///< of the calls that are started from here on
    PoolPtr pool;

    /// One for all that use none: it takes a millisecond to make.
    [[nodiscard]] static const net::TlsContext& default_tls()
    {
        static const net::TlsContext tls;
        return tls;
    }

    PoolPtr& open_pool(const net::PoolOptions& options = {}, const net::TlsContext& tls = default_tls())
    {
        pool = std::make_shared<net::ConnectionPool>(time.executor(), options, http::ReaderLimits{}, tls);
        return pool;
    }

    [[nodiscard]] Entry& entry() { return pool->entry(origin); }
    [[nodiscard]] Entry& entry(const std::string& host) { return pool->entry(Origin{false, host, 80}); }

    [[nodiscard]] testing::Started<Result<net::Lease>> start_lease(Entry& of, Duration patience = unlimited, bool fresh = false)
    {
        const net::Deadline deadline{saturating_add(time.now(), patience), Timer::total, patience};
        return time.start(lease_from(pool, &of, deadline, timeouts, fresh));
    }
    [[nodiscard]] testing::Started<Result<Exchanged>> start_fetch(Entry& of, const Sending& sending = a_get("/"))
    {
        return time.start(fetch_from(pool, &of, sent_here(sending)));
    }
    [[nodiscard]] net::Lease lease(Entry& of)
    {
        auto started = start_lease(of);
        time.settle();
        return started.get().value();
    }
    [[nodiscard]] Exchanged use(net::Lease& of, const Sending& sending = a_get("/"))
    {
        return time.run(exchange_on(net::ConnectionPtr(&*of), std::make_shared<Sending>(sending)));
    }
    [[nodiscard]] Result<Exchanged> fetch(const Sending& sending = a_get("/"))
    {
        return time.run(fetch_from(pool, &entry(), sent_here(sending)));
    }
    [[nodiscard]] std::shared_ptr<Sending> sent_here(const Sending& sending) const
    {
        auto own = std::make_shared<Sending>(sending);
        own->checkout = timeouts;
        return own;
    }
    /// `leased idle connecting waiting`
    [[nodiscard]] std::string counts() const { return text(pool->counts()); }
    [[nodiscard]] static std::string text(const net::PoolCounts& c)
    {
        return std::to_string(c.leased) + " " + std::to_string(c.idle) + " " + std::to_string(c.connecting) + " " +
               std::to_string(c.waiting);
    }
};

} // namespace khive_tests

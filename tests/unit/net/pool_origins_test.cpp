// SPDX-License-Identifier: BSL-1.0
// How many origins a pool remembers.
#include "unit/net/net_world.hpp"

#include <khive/core/random.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace khive_tests::pool_origins_test {

using namespace khive::testing;

namespace {

/// A call to an origin that is known only as long as the call.
asio::awaitable<Result<Exchanged>> visit_origin(PoolPtr pool, Origin origin)
{
    const auto held = pool->hold(origin);
    auto fetching = fetch_from(pool, held.get(), std::make_shared<Sending>(a_get("/")));
    co_return co_await std::move(fetching);
}

struct ManyOrigins : NetWorld {
    [[nodiscard]] static Origin origin_number(std::size_t i) { return {false, "host" + std::to_string(i) + ".test", 80}; }
    void serve_origins(std::size_t count)
    {
        for (std::size_t i = 0; i < count; ++i) (void)network->host(origin_number(i).host).addresses({"10.0.0.1"});
    }
    [[nodiscard]] Started<Result<Exchanged>> start_visit(std::size_t i) { return time.start(visit_origin(pool, origin_number(i))); }
};

} // namespace

TEST_CASE_METHOD(ManyOrigins, "ConnectionPool: thousands of origins leave behind no more than there are connections", "[net][pool]")
{
    constexpr std::size_t count = 3'000;
    serve_origins(count);
    open_pool({.max_connections = 10});

    std::size_t most = 0;
    std::size_t answered = 0;
    for (std::size_t i = 0; i < count; ++i) {
        answered += time.run(visit_origin(pool, origin_number(i)))->status == 200 ? 1u : 0u;
        most = std::max(most, pool->origins());
    }

    CHECK(answered == count);
    CHECK(most == 10);
    time.run_for(21s);
    CHECK(pool->origins() == 0);
    CHECK(counts() == "0 0 0 0");
}

TEST_CASE_METHOD(ManyOrigins, "ConnectionPool: an origin is remembered as long as anything of it is left", "[net][pool]")
{
    serve_origins(3);
    open_pool({.max_connections = 1});
    auto held = pool->hold(origin_number(0));
    CHECK(pool->hold(origin_number(0)).get() == held.get());
    CHECK(pool->origins() == 1);

    auto lease = this->lease(*held);
    held.reset();
    CHECK(pool->origins() == 1); // a lease
    CHECK(use(lease).end.ok());
    lease.reset();
    CHECK(pool->origins() == 1); // an idle connection

    there.connect_delay(1s);
    auto dials = start_visit(1);
    time.settle();
    CHECK(pool->origins() == 1); // a dial, for which the idle connection made room
    auto waits = start_visit(2);
    time.settle();
    CHECK(pool->origins() == 2);
    waits.cancel();
    dials.cancel();
    time.settle();
    CHECK(pool->origins() == 1);
    there.reset_connections();
    time.run_for(2s);
    CHECK(counts() == "0 1 0 0");
    server->do_to_all(reset());
    time.settle();
    CHECK(pool->origins() == 0);
}

TEST_CASE_METHOD(ManyOrigins, "ConnectionPool: an origin that cannot be reached is forgotten with the call", "[net][pool]")
{
    open_pool();
    there.refuse();
    serve_origins(1);

    CHECK(time.run(visit_origin(pool, origin_number(0))).error().kind() == ErrorKind::connect);
    CHECK(time.run(visit_origin(pool, origin_number(1))).error().kind() == ErrorKind::resolve);

    CHECK(pool->origins() == 0);
}

TEST_CASE_METHOD(ManyOrigins, "ConnectionPool: the origin it was made for stays known", "[net][pool]")
{
    open_pool();
    CHECK(fetch()->end.ok());
    time.run_for(1min);

    CHECK(counts() == "0 0 0 0");
    CHECK(pool->origins() == 1);
    CHECK(fetch()->end.ok());
}

TEST_CASE_METHOD(ManyOrigins, "ConnectionPool: whatever befalls its calls, no origin is forgotten too early or too late", "[net][pool][property]")
{
    constexpr std::size_t hosts = 40;
    Random random(GENERATE(1u, 2u, 3u, 4u, 5u, 6u, 7u, 8u));
    const auto below = [&](std::uint64_t limit) { return random.next() % limit; };
    network->shuffle(random.next());
    timeouts = {1s, {1s, 1s, 1s}};
    serve_origins(hosts - 1); // the last is not found
    there.latency(1ms).jitter(3ms).connect_delay(2ms);
    server->otherwise([&](const ReceivedRequest&) {
        switch (below(6)) {
        case 0: return reset();
        case 1: return close_without_answer();
        case 2: return ok().header("Connection", "close");
        case 3: return delay(100ms, ok());
        default: return ok();
        }
    });
    open_pool({.max_connections = 5, .max_per_origin = 2, .max_waiting = 10, .idle_timeout = 2s});

    std::vector<Started<Result<Exchanged>>> calls;
    for (int step = 0; step < 400; ++step) {
        switch (below(8)) {
        case 0: if (!calls.empty()) calls[below(calls.size())].cancel(); break;
        case 1: server->do_to_all(below(2) == 0 ? close_without_answer() : reset()); break;
        case 2: time.run_for(Duration{std::chrono::milliseconds{below(300)}}); break;
        case 3: pool->discard_idle(*pool->hold(origin_number(below(hosts)))); break;
        default: calls.push_back(start_visit(below(hosts))); break;
        }
        time.settle();
        const auto running = static_cast<std::size_t>(std::ranges::count_if(calls, [](const auto& c) { return !c.done(); }));
        REQUIRE(pool->origins() <= pool->counts().open() + running);
    }
    time.run_for(1min);

    CHECK(std::ranges::all_of(calls, [](const auto& call) { return call.done(); }));
    CHECK(counts() == "0 0 0 0");
    CHECK(pool->origins() == 0);
}

} // namespace khive_tests::pool_origins_test

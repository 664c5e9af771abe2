// SPDX-License-Identifier: BSL-1.0
#include "unit/net/net_world.hpp"

#include <khive/core/exceptions.hpp>

#include "support/catch.hpp"

#include <memory>
#include <string>
#include <vector>

namespace khive_tests::connection_pool_test {

using namespace khive::testing;

// --- Reuse ------------------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(NetWorld, "ConnectionPool: one connection serves one call after another", "[net][pool]")
{
    open_pool();

    const auto first = fetch(a_get("/a"));
    const auto second = fetch(a_get("/b"));

    CHECK_FALSE(first->end.reused);
    CHECK(second->end.reused);
    CHECK(server->connections() == 1);
    CHECK(counts() == "0 1 0 0");
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: the connection used last is used next", "[net][pool]")
{
    open_pool();
    auto one = lease(entry());
    auto two = lease(entry());
    CHECK(use(one).end.ok());
    CHECK(use(two).end.ok());
    const auto* last = &*one;
    two.reset();
    one.reset();

    const auto next = lease(entry());

    CHECK(&*next == last);
    CHECK(counts() == "1 1 0 0");
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a connection that nobody used goes back too", "[net][pool]")
{
    open_pool();
    lease(entry()).reset();

    CHECK(counts() == "0 1 0 0");
    CHECK(fetch()->end.ok());
    CHECK(server->connections() == 1);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a fresh connection is one that nobody has used", "[net][pool]")
{
    open_pool();
    CHECK(fetch()->end.ok());

    auto fresh = start_lease(entry(), unlimited, true);
    time.settle();

    auto lease = fresh.get();
    REQUIRE(lease.has_value());
    CHECK((*lease)->uses() == 0);
    CHECK(counts() == "1 1 0 0");
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a fresh connection is made though used ones fill the cap", "[net][pool]")
{
    open_pool({.max_connections = 1});
    auto held = lease(entry());
    CHECK(use(held).end.ok());
    auto fresh = start_lease(entry(), unlimited, true);
    time.settle();
    CHECK(counts() == "1 0 0 1");

    held.reset();
    time.settle();

    REQUIRE(fresh.done());
    CHECK((*fresh.get())->uses() == 0);
    CHECK(server->connections() == 2);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: who waits for a fresh connection is not passed by those behind it",
                 "[net][pool]")
{
    open_pool({.max_connections = 1});
    auto held = lease(entry());
    CHECK(use(held).end.ok());
    auto fresh = start_lease(entry(), unlimited, true);
    time.settle();
    auto behind = start_lease(entry());
    time.settle();

    held.reset();
    time.settle();

    REQUIRE(fresh.done());
    CHECK((*fresh.get())->uses() == 0);
    CHECK_FALSE(behind.done());
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: an answer that closes the connection leaves nothing idle", "[net][pool]")
{
    open_pool();
    server->reply(ok().header("Connection", "close")).reply(ok());

    CHECK(fetch()->status == 200);

    CHECK(counts() == "0 0 0 0");
    CHECK(fetch()->end.ok());
    CHECK(server->connections() == 2);
}

// --- Age --------------------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(NetWorld, "ConnectionPool: an idle connection is closed after its time", "[net][pool]")
{
    open_pool({.idle_timeout = 20s});
    CHECK(fetch()->end.ok());

    time.run_for(19s);
    CHECK(counts() == "0 1 0 0");
    time.run_for(2s);

    CHECK(counts() == "0 0 0 0");
    CHECK(there.open_connections() == 0);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a connection is not used beyond its life", "[net][pool]")
{
    open_pool({.idle_timeout = 60s, .max_lifetime = 100s});

    int calls = 0;
    for (; server->connections() < 2 && calls < 100; ++calls) {
        CHECK(fetch()->end.ok());
        time.run_for(10s);
    }

    CHECK(calls >= 9); // the life is 90 to 100 seconds
    CHECK(calls <= 11);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: the server's keep-alive time counts, less a margin", "[net][pool]")
{
    open_pool({.idle_timeout = 60s});
    server->otherwise([](const ReceivedRequest&) { return ok().header("Keep-Alive", "timeout=5"); });

    CHECK(fetch()->end.ok());
    time.run_for(3900ms);
    CHECK(counts() == "0 1 0 0");
    time.run_for(200ms);

    CHECK(counts() == "0 0 0 0");
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a server that allows no further request gets a new connection", "[net][pool]")
{
    open_pool();
    server->otherwise([](const ReceivedRequest&) { return ok().header("Keep-Alive", "timeout=5, max=0"); });

    CHECK(fetch()->end.ok());

    CHECK(counts() == "0 0 0 0");
}

// --- The idle watch ---------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(NetWorld, "ConnectionPool: what a server does to an idle connection retires it", "[net][pool]")
{
    open_pool();
    CHECK(fetch()->end.ok());
    time.run_for(1s);
    const auto what = GENERATE(0, 1, 2, 3);
    const Reply deeds[] = {close_without_answer(), reset(), raw("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"),
                           raw("x")};

    server->do_to_all(deeds[what]);
    time.settle();

    CHECK(counts() == "0 0 0 0");
    CHECK(there.open_connections() == 0);
    CHECK(fetch()->status == 200);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: unasked bytes never answer the next request", "[net][pool]")
{
    open_pool();
    const auto when = GENERATE(0ms, 3ms, 20ms, 49ms, 51ms, 200ms);
    server->otherwise([=](const ReceivedRequest& request) {
        Reply reply = ok(request.target);
        if (request.number != 1) return reply;
        return reply.followed_by("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison");
    });
    CHECK(fetch(a_get("/first"))->body == "/first");

    time.run_for(when);
    const auto second = fetch(a_get("/second"));

    CHECK(second->body == "/second");
    CHECK(server->connections() == 2);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: bytes that come late, unasked, never answer the next request", "[net][pool]")
{
    open_pool();
    const auto when = GENERATE(3ms, 20ms, 49ms, 51ms, 200ms);
    server->otherwise([](const ReceivedRequest& request) { return ok(request.target); });
    CHECK(fetch(a_get("/first"))->body == "/first");

    time.run_for(when);
    server->do_to_all(raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"));
    time.settle();
    const auto second = fetch(a_get("/second"));

    CHECK(second->body == "/second");
    CHECK(server->connections() == 2);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: bytes behind a body, in its segment or a later one, never answer the next request", "[net][pool]")
{
    const bool same_segment = GENERATE(true, false);
    const auto gap = GENERATE(0ms, 3ms, 51ms);
    if (!same_segment && gap == 0ms) return; // see what is trusted
    const std::string poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    int request = 0;
    there.serve(std::make_shared<SimulatedServerFunction>([&](SimulatedPeer peer, std::string_view) {
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n").pause(1ms);
        if (++request != 1)
            peer.send("right");
        else if (same_segment)
            peer.send("hello" + poison);
        else
            peer.send("he").pause(1ms).send("llo").send(poison);
    }));
    open_pool();
    const auto first = fetch();
    CHECK(first->body == "hello");
    CHECK(first->reusable != same_segment); // a later segment is found when the connection is wanted again

    time.run_for(gap);
    CHECK(fetch()->body == "right");

    CHECK(network->connects() == 2);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: what comes right after an answer is not taken for that of a request that must not be repeated", "[net][pool]")
{
    const auto waits = GENERATE(false, true); // idle, or handed on to who waits
    const auto what = GENERATE(0, 1, 2, 3);
    const Reply deeds[] = {raw("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"), raw("x"),
                           close_without_answer(), reset()};
    open_pool({.max_connections = 1});
    auto held = lease(entry());
    CHECK(use(held).end.ok());
    auto waiting = start_fetch(entry(), a_post("/", "x"));
    if (waits) time.settle();
    server->do_to_all(deeds[what]);
    time.run_for(1ms);
    if (waits) CHECK(counts() == "1 0 0 1");

    held.reset();
    time.settle();

    const auto got = waiting.get();
    CHECK(got->end.error.kind() == ErrorKind::connection_lost);
    CHECK_FALSE(got->end.wrote);
    CHECK_FALSE(got->end.error.maybe_processed());
    CHECK(got->end.stale(false)); // so that it is sent again on a fresh connection, whatever it is
    CHECK(server->requests().size() == 1);
    CHECK(counts() == "0 0 0 0");
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a connection reused at once is looked at only for what must not be repeated", "[net][pool]")
{
    const std::string method = GENERATE("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "POST", "PATCH");
    const bool repeatable = method != "POST" && method != "PATCH";
    open_pool();
    CHECK(fetch()->end.ok());
    Sending sending;
    sending.head = method + " / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 0\r\n\r\n";
    sending.head_method = method == "HEAD";
    server->do_to_all(close_without_answer());
    time.settle();

    const auto got = fetch(sending);

    CHECK(got->end.wrote == repeatable);
    CHECK(got->end.stale(repeatable));
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a greeting on an unused connection retires it", "[net][pool]")
{
    open_pool();
    server->otherwise([](const ReceivedRequest& request) { return ok(request.target); });
    lease(entry()).reset();
    time.run_for(5ms);

    server->do_to_all(raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"));
    time.settle();

    CHECK(fetch(a_get("/mine"))->body == "/mine");
    CHECK(server->connections() == 2);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: idle connections keep no io_context running", "[net][pool]")
{
    open_pool();
    CHECK(fetch()->end.ok());
    time.run_for(1s);

    pool->discard_idle(entry());
    time.settle();

    CHECK(counts() == "0 0 0 0");
    CHECK(there.open_connections() == 0);
}

// --- Caps and the queue -----------------------------------------------------------------------------------------------

TEST_CASE_METHOD(NetWorld, "ConnectionPool: opens no more than the cap in all and per origin", "[net][pool]")
{
    network->serve("other.test", 80, server);
    open_pool({.max_connections = 3, .max_per_origin = 2});

    std::vector<Started<Result<net::Lease>>> leases;
    for (int i = 0; i < 4; ++i) leases.push_back(start_lease(entry()));
    for (int i = 0; i < 4; ++i) leases.push_back(start_lease(entry("other.test")));
    time.settle();

    CHECK(counts() == "3 0 0 5");
    CHECK(text(pool->counts(entry())) == "2 0 0 2");
    CHECK(text(pool->counts(entry("other.test"))) == "1 0 0 3");
    CHECK(server->connections() == 3);
    pool->shut_down();
    time.settle();
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: callers are served in the order of their arrival", "[net][pool]")
{
    timeouts.pool_wait = 1h;
    open_pool({.max_connections = 1});
    std::vector<Started<Result<Exchanged>>> calls;
    for (int i = 0; i < 5; ++i) {
        calls.push_back(start_fetch(entry(), a_get("/" + std::to_string(i))));
        time.settle();
        time.run_for(1ms);
    }
    time.run_until_idle();

    std::string order;
    for (const auto& request : server->requests()) order += request.target;
    CHECK(order == "/0/1/2/3/4");
    CHECK(server->connections() == 1);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a wait that takes too long is an error of its own", "[net][pool]")
{
    timeouts.pool_wait = 5s;
    open_pool({.max_connections = 1});
    const auto held = lease(entry());

    auto waiting = start_lease(entry());
    time.run_for(4999ms);
    CHECK_FALSE(waiting.done());
    time.run_for(1ms);

    const auto error = waiting.get().error();
    CHECK(error.kind() == ErrorKind::pool_timeout);
    CHECK(error.timer() == Timer::pool_wait);
    CHECK(error.timer_value() == 5s);
    CHECK(counts() == "1 0 0 0");
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: the caller's deadline ends the wait first if it is nearer", "[net][pool]")
{
    timeouts.pool_wait = 5s;
    open_pool({.max_connections = 1});
    const auto held = lease(entry());
    const net::Deadline deadline{time.now() + 2s, Timer::total, 10s};

    auto waiting = time.start(lease_from(pool, &entry(), deadline, timeouts));
    time.run_for(2s);

    const auto error = waiting.get().error();
    CHECK(error.kind() == ErrorKind::timeout);
    CHECK(error.timer() == Timer::total);
    CHECK(error.timer_value() == 10s);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: no patience for the queue ends a dial", "[net][pool]")
{
    timeouts.dial.connect = 30s;
    there.connect_delay(20s);
    timeouts.pool_wait = 5s;
    open_pool();

    auto waiting = start_lease(entry());
    time.run_for(20s);

    CHECK(waiting.get().has_value());
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: who gets a dial of its own while it queues has the dial's time", "[net][pool]")
{
    timeouts.pool_wait = 5s;
    timeouts.dial.connect = 10s;
    open_pool({.max_connections = 1});
    server->reply(ok().header("Connection", "close"));
    auto held = lease(entry());
    CHECK(use(held).end.ok());
    auto waiting = start_lease(entry());
    const net::Deadline deadline{time.now() + 8s, Timer::total, 8s};
    time.run_for(4s);
    there.connect_delay(3s);

    SECTION("the dial ends first")
    {
        held.reset();
        time.run_for(3s);
        CHECK(waiting.get().has_value());
    }
    SECTION("the caller's deadline ends first")
    {
        waiting.cancel();
        time.settle();
        auto late = time.start(lease_from(pool, &entry(), deadline, timeouts));
        time.run_for(2s);
        held.reset();
        time.run_for(2s);
        const auto error = late.get().error();
        CHECK(error.kind() == ErrorKind::timeout);
        CHECK(error.timer() == Timer::total);
        CHECK(error.timer_value() == 8s);
    }
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: refuses whom the queue has no room for", "[net][pool]")
{
    open_pool({.max_connections = 1, .max_waiting = 1});
    const auto held = lease(entry());
    auto waiting = start_lease(entry());
    time.settle();

    auto refused = start_lease(entry());
    time.settle();

    CHECK(refused.get().error().kind() == ErrorKind::queue_full);
    CHECK_FALSE(waiting.done());
    waiting.cancel();
    time.settle();
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a caller that a dial is under way for takes no room in the queue", "[net][pool]")
{
    open_pool({.max_connections = 3, .max_waiting = GENERATE(0u, 1u)});
    there.connect_delay(1s);
    std::vector<Started<Result<net::Lease>>> dialling;
    for (int i = 0; i < 3; ++i) dialling.push_back(start_lease(entry()));
    time.settle();
    CHECK(counts() == "0 0 3 3");

    time.run_for(1s);

    for (auto& caller : dialling) CHECK(caller.get().has_value());
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a queue of no length refuses whoever would have to wait", "[net][pool]")
{
    open_pool({.max_connections = 1, .max_waiting = 0});
    const auto held = lease(entry());

    auto refused = start_lease(entry());
    time.settle();

    CHECK(refused.get().error().kind() == ErrorKind::queue_full);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a cancelled caller leaves the queue, and the next moves up", "[net][pool]")
{
    open_pool({.max_connections = 1});
    auto held = lease(entry());
    CHECK(use(held).end.ok());
    auto first = start_lease(entry());
    time.settle();
    auto second = start_lease(entry());
    time.settle();

    first.cancel();
    time.settle();
    CHECK(counts() == "1 0 0 1");
    held.reset();
    time.settle();

    CHECK(first.done());
    REQUIRE(second.done());
    CHECK(second.get().has_value());
    CHECK(counts() == "0 1 0 0");
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: who is cancelled after the grant gives it back", "[net][pool]")
{
    open_pool({.max_connections = 1});
    auto held = lease(entry());
    CHECK(use(held).end.ok());
    auto granted = start_lease(entry());
    time.settle();
    auto next = start_lease(entry());
    time.settle();

    held.reset(); // the grant is on its way
    granted.cancel();
    time.settle();

    CHECK(granted.done());
    if (!granted.error()) (void)granted.get();
    time.settle();
    REQUIRE(next.done());
    CHECK(next.get().has_value());
    CHECK(counts() == "0 1 0 0");
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a lease that was not exchanged to its end frees its place", "[net][pool]")
{
    open_pool({.max_connections = 1});
    server->reply(no_answer()).reply(ok());
    auto calling = start_fetch(entry());
    time.settle();
    CHECK(counts() == "1 0 0 0");

    calling.cancel();
    time.settle();

    CHECK(calling.done());
    CHECK(counts() == "0 0 0 0");
    CHECK(fetch()->end.ok());
}

// --- Late binding -----------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a connection given back is taken though a dial is under way", "[net][pool]")
{
    open_pool();
    auto held = lease(entry());
    CHECK(use(held).end.ok());
    const auto* known = &*held;
    there.connect_delay(1s);
    auto waiting = start_lease(entry());
    time.settle();
    CHECK(counts() == "1 0 1 1");

    held.reset();
    time.settle();

    REQUIRE(waiting.done());
    auto got = waiting.get();
    CHECK(&**got == known);
    CHECK(counts() == "1 0 1 0");

    time.run_for(1s);
    CHECK(counts() == "1 1 0 0"); // the dial has finished into the pool
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a dial outlives the caller that it was begun for", "[net][pool]")
{
    open_pool();
    there.connect_delay(1s);
    auto waiting = start_lease(entry());
    time.settle();

    waiting.cancel();
    time.run_for(2s);

    CHECK(counts() == "0 1 0 0");
    CHECK(fetch()->end.ok());
    CHECK(server->connections() == 1);
}

// --- Several origins --------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(NetWorld, "ConnectionPool: dials that nobody waits for keep no other origin's caller from its own", "[net][pool]")
{
    auto& other = network->serve("other.test", 80, server);
    open_pool({.max_connections = 10});
    there.connect_delay(10s);
    std::vector<Started<Result<net::Lease>>> callers;
    for (int i = 0; i < 3; ++i) callers.push_back(start_lease(entry()));
    time.settle();
    for (auto& caller : callers) caller.cancel();
    time.settle();
    REQUIRE(counts() == "0 0 3 0");
    callers.clear();

    for (int i = 0; i < 3; ++i) callers.push_back(start_lease(entry("other.test")));
    time.settle();

    CHECK(other.accepted() == 3);
    for (auto& caller : callers) CHECK(caller.done());
    time.run_until_idle();
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: who comes while an abandoned dial is under way is not charged with its failure", "[net][pool]")
{
    timeouts.dial.connect = 10s;
    there.black_hole();
    open_pool();
    start_lease(entry()).cancel();
    time.run_for(9s);
    REQUIRE(counts() == "0 0 1 0");

    auto late = start_lease(entry());
    time.settle();
    there.accept();
    time.run_for(1s); // the abandoned dial ends; the caller has one of its own

    REQUIRE(late.done());
    CHECK(late.get().has_value());
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: an abandoned dial serves who comes while it is under way, without a limit on the wait", "[net][pool]")
{
    timeouts = {1s, {5s, 30s, 5s}};
    there.connect_delay(20s);
    open_pool();
    start_lease(entry()).cancel();
    time.run_for(1s);

    auto late = start_lease(entry());
    time.run_for(19s);

    REQUIRE(late.done());
    CHECK(late.get().has_value());
    CHECK(there.connects() == 1);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a connection is made within the limits of the caller that it is made for", "[net][pool]")
{
    open_pool();
    there.black_hole();
    timeouts.dial.connect = 7s;
    auto patient = start_lease(entry());
    timeouts.dial.connect = 2s;
    auto hasty = start_lease(entry());
    time.run_for(2s);

    REQUIRE(hasty.done());
    CHECK(hasty.get().error().timer_value() == 2s);
    CHECK_FALSE(patient.done());
    time.run_for(5s);
    REQUIRE(patient.done());
    CHECK(patient.get().error().timer_value() == 7s);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: an idle connection of another origin makes room", "[net][pool]")
{
    network->serve("other.test", 80, server);
    open_pool({.max_connections = 2});
    auto one = lease(entry());
    auto two = lease(entry());
    CHECK(use(one).end.ok());
    CHECK(use(two).end.ok());
    one.reset();
    time.run_for(1s);
    two.reset();

    const auto other = lease(entry("other.test"));

    CHECK(counts() == "1 1 0 0");
    CHECK(text(pool->counts(entry())) == "0 1 0 0");
    CHECK(there.open_connections() == 1);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a connection given back makes room for another origin's caller", "[net][pool]")
{
    network->serve("other.test", 80, server);
    timeouts.pool_wait = 5s;
    open_pool({.max_connections = 1});
    auto held = lease(entry());
    CHECK(use(held).end.ok());
    auto other = start_lease(entry("other.test"));
    time.settle();

    held.reset();
    time.settle();

    REQUIRE(other.done());
    CHECK(other.get().has_value());
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a busy origin does not starve another", "[net][pool]")
{
    network->serve("other.test", 80, server);
    timeouts.pool_wait = 1h;
    open_pool({.max_connections = 1});
    auto held = lease(entry());
    CHECK(use(held).end.ok());
    auto other = start_fetch(entry("other.test"), a_get("/other"));
    time.settle();
    auto behind = start_fetch(entry(), a_get("/behind"));
    time.settle();

    held.reset();
    time.run_until_idle();

    CHECK(other.get()->end.ok());
    CHECK(behind.get()->end.ok());
    REQUIRE(server->requests().size() == 3);
    CHECK(server->requests()[1].target == "/other");
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a caller whose origin has something idle is not held up by others", "[net][pool]")
{
    network->serve("other.test", 80, server);
    open_pool({.max_connections = 3, .max_per_origin = 1});
    const auto held = lease(entry());
    auto stuck = start_lease(entry());
    auto idle = lease(entry("other.test"));
    CHECK(use(idle).end.ok());
    idle.reset();

    CHECK(lease(entry("other.test")));
    CHECK_FALSE(stuck.done());
    stuck.cancel();
    time.settle();
}

// --- Dial failures ----------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a failed dial is the error of exactly one caller", "[net][pool]")
{
    there.fail_next(1);
    open_pool();
    std::vector<Started<Result<Exchanged>>> calls;
    for (int i = 0; i < 5; ++i) calls.push_back(start_fetch(entry()));
    time.run_until_idle();

    int failed = 0;
    for (auto& call : calls) {
        const auto result = call.get();
        failed += result ? 0 : 1;
        if (!result) CHECK(result.error().kind() == ErrorKind::connect);
    }
    CHECK(failed == 1);
    CHECK(pool->counts().leased + pool->counts().connecting + pool->counts().waiting == 0);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: nobody hangs when every dial fails and the cap is one", "[net][pool]")
{
    there.refuse().connect_delay(100ms);
    timeouts.pool_wait = 1h;
    open_pool({.max_connections = 1});
    std::vector<Started<Result<Exchanged>>> calls;
    for (int i = 0; i < 5; ++i) calls.push_back(start_fetch(entry()));
    time.run_until_idle();

    for (auto& call : calls) CHECK(call.get().error().kind() == ErrorKind::connect);
    CHECK(counts() == "0 0 0 0");
    CHECK(time.elapsed() < 1s);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a dial that fails after its caller was served elsewhere is nobody's error", "[net][pool]")
{
    open_pool();
    auto held = lease(entry());
    CHECK(use(held).end.ok());
    there.fail_next(1).connect_delay(1s);
    auto waiting = start_lease(entry());
    time.settle();
    held.reset();
    time.settle();
    auto got = waiting.get();

    time.run_for(2s);

    CHECK(got.has_value());
    CHECK(counts() == "1 0 0 0");
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a name that is not found fails the callers", "[net][pool]")
{
    open_pool();

    auto call = start_fetch(entry("nowhere.test"));
    time.run_until_idle();

    CHECK(call.get().error().kind() == ErrorKind::resolve);
    CHECK(counts() == "0 0 0 0");
}

// --- Stale connections ------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a connection that died while the request was sent is stale", "[net][pool]")
{
    open_pool();
    CHECK(fetch()->end.ok());
    server->reply(reset());

    const auto second = fetch();

    CHECK(second->end.error.kind() == ErrorKind::connection_lost);
    CHECK(second->end.reused);
    CHECK(second->end.wrote);
    CHECK_FALSE(second->end.any_answer);
    CHECK(second->end.error.maybe_processed());
    CHECK(second->end.stale(true));
    CHECK_FALSE(second->end.stale(false)); // a POST may have been done
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a request of which nothing was written is stale whatever it is", "[net][pool]")
{
    open_pool();
    CHECK(fetch()->end.ok());
    auto lease = this->lease(entry()); // within the time in which it is trusted
    there.reset_connections();

    const auto second = use(lease, a_post("/", "x"));

    CHECK(second.end.error.kind() == ErrorKind::connection_lost);
    CHECK_FALSE(second.end.wrote);
    CHECK_FALSE(second.end.error.maybe_processed());
    CHECK(second.end.stale(false));
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a fresh connection is never stale, nor one that answered a byte", "[net][pool]")
{
    open_pool();
    server->reply(reset()).reply(ok()).reply(raw("H").then_reset());

    const auto fresh = fetch();
    CHECK(fetch()->end.ok());
    const auto answered = fetch();

    CHECK_FALSE(fresh->end.ok());
    CHECK_FALSE(fresh->end.stale(true));
    CHECK(answered->end.reused);
    CHECK(answered->end.any_answer);
    CHECK_FALSE(answered->end.stale(true));
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: what is idle for a dead server can be dropped at once", "[net][pool]")
{
    open_pool();
    auto one = lease(entry());
    auto two = lease(entry());
    CHECK(use(one).end.ok());
    CHECK(use(two).end.ok());
    one.reset();

    pool->discard_idle(entry());
    time.settle();

    CHECK(counts() == "1 0 0 0");
    CHECK(there.open_connections() == 1);
}

// --- The end ----------------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(NetWorld, "ConnectionPool: shut down, it ends waits, dials and exchanges, and refuses what comes", "[net][pool]")
{
    network->serve("slow.test", 80, server).connect_delay(1h);
    open_pool({.max_connections = 2});
    server->reply(no_answer());
    auto exchanging = start_fetch(entry());
    time.settle();
    auto dialling = start_lease(entry("slow.test"));
    time.settle();
    auto queued = start_lease(entry());
    time.settle();
    CHECK(counts() == "1 0 1 2");

    pool->shut_down();
    time.settle();

    CHECK(exchanging.get()->end.error.kind() == ErrorKind::closed);
    CHECK(exchanging.get()->end.error.maybe_processed());
    CHECK(dialling.get().error().kind() == ErrorKind::closed);
    CHECK(queued.get().error().kind() == ErrorKind::closed);
    CHECK(counts() == "0 0 0 0");

    auto late = start_lease(entry());
    time.settle();
    CHECK(late.get().error().kind() == ErrorKind::closed);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: shut down between the grant and the exchange, the exchange is closed", "[net][pool]")
{
    open_pool();
    auto lease = this->lease(entry());
    pool->shut_down();

    const auto end = use(lease).end;

    CHECK(end.error.kind() == ErrorKind::closed);
    CHECK_FALSE(end.wrote);
    lease.reset();
    CHECK(counts() == "0 0 0 0");
}

TEST_CASE("ConnectionPool: an io_context that ends in the middle of everything leaks nothing", "[net][pool]")
{
    const int moments = GENERATE(0, 1, 2, 3, 4, 6, 10);
    PoolPtr pool;
    {
        NetWorld world;
        world.network->serve("slow.test", 80, world.server).connect_delay(1h);
        world.open_pool({.max_connections = 2});
        world.server->reply(ok()).reply(no_answer());
        auto served = world.start_fetch(world.entry());
        auto dialling = world.start_lease(world.entry("slow.test"));
        auto queued = world.start_lease(world.entry());
        for (int i = 0; i < moments; ++i) world.time.context().poll_one();
    }
    SUCCEED("the sanitizers have the word");
}

TEST_CASE("ConnectionPool: what could have cancelled a call may outlive the io_context", "[net][pool]")
{
    std::vector<Started<Result<Exchanged>>> calls;
    {
        NetWorld world;
        world.network->serve("slow.test", 80, world.server).connect_delay(1h);
        world.open_pool({.max_connections = 2});
        world.server->reply(no_answer());
        for (const char* host : {"api.test", "slow.test", "api.test"}) {
            calls.push_back(world.start_fetch(world.entry(host)));
            world.time.settle();
        }
        CHECK(world.counts() == "1 0 1 2"); // an exchange, a dial, and both who wait for the dial and for a place
    }

    for (const auto& call : calls) CHECK_FALSE(call.done());
    calls.clear(); // and with them the cancellation signals
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: a pool that is let go of closes its idle connections and its dials", "[net][pool]")
{
    open_pool();
    CHECK(fetch()->end.ok());
    time.run_for(1s);
    there.black_hole();
    auto held = lease(entry());
    auto dialling = start_lease(entry());
    time.settle();
    dialling.cancel();
    time.settle();
    CHECK(counts() == "1 0 1 0");

    held.reset();
    pool.reset();
    time.run_until_idle();

    CHECK(there.open_connections() == 0);
    CHECK(time.elapsed() < 5s); // the dial did not run to its time limit
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: contradictory limits are refused at construction", "[net][pool]")
{
    CHECK_THROWS_AS(open_pool({.max_connections = 0}), ConfigurationError);
    CHECK_THROWS_AS(open_pool({.max_connections = 1, .max_per_origin = 2}), ConfigurationError);
    CHECK_THROWS_AS(open_pool({.idle_timeout = 0s}), ConfigurationError);
    CHECK_THROWS_AS(open_pool({.max_lifetime = -1s}), ConfigurationError);
}

TEST_CASE_METHOD(NetWorld, "ConnectionPool: without trust anchors nothing is dialled over TLS", "[net][pool][tls]")
{
    net::TlsContext tls;
    tls.trust_nothing();
    open_pool({}, tls);

    auto lease = start_lease(pool->entry(Origin{true, "api.test", 443}));
    time.settle();

    CHECK(lease.get().error().kind() == ErrorKind::no_trust_anchors);
    CHECK(network->connects() == 0);
    CHECK(counts() == "0 0 0 0");
}

} // namespace khive_tests::connection_pool_test

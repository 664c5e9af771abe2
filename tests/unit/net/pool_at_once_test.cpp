// SPDX-License-Identifier: BSL-1.0
// Connections to an address that takes no look-up, which may be up before anybody has to wait for them.
#include "unit/net/net_world.hpp"

#include "support/catch.hpp"

namespace khive_tests::pool_at_once_test {

using namespace khive::testing;

namespace {

struct NearWorld : NetWorld {
    NearWorld()
    {
        near.serve(server);
        origin.host = "10.1.0.1";
    }

    /// Without waiting.
    [[nodiscard]] net::Lease dial() { return pool->try_dial(entry(), timeouts.dial, time.now()); }

    SimulatedAddress& near = network->address("10.1.0.1", 80);
};

} // namespace

TEST_CASE_METHOD(NearWorld, "ConnectionPool: a connection that is up at once is leased at once", "[net][pool]")
{
    open_pool();
    near.connect_at_once();
    server->reply(ok());

    auto first = dial();

    REQUIRE(first);
    CHECK(counts() == "1 0 0 0");
    CHECK(use(first).end.ok());
    first.reset();
    CHECK(counts() == "0 1 0 0");
    CHECK(near.accepted() == 1);
}

TEST_CASE_METHOD(NearWorld, "ConnectionPool: one that was not used goes back, and is looked at before its first request",
                 "[net][pool]")
{
    open_pool();
    near.connect_at_once();
    server->greet_with(raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));

    dial().reset();
    time.run_for(5ms);

    CHECK_FALSE(pool->try_checkout(entry(), time.now()));
    CHECK(near.open_connections() == 0);
}

TEST_CASE_METHOD(NearWorld, "ConnectionPool: what takes its time goes on for the first who waits", "[net][pool]")
{
    open_pool();
    near.connect_delay(1s);

    CHECK_FALSE(dial());
    CHECK(counts() == "0 0 1 0");
    auto first = start_lease(entry());
    auto second = start_lease(entry());
    time.settle();
    CHECK(counts() == "0 0 2 2");
    time.run_for(1s);

    CHECK(first.get().has_value());
    CHECK(second.get().has_value());
    CHECK(near.connects() == 2);
}

TEST_CASE_METHOD(NearWorld, "ConnectionPool: who waits for what takes its time hears why it failed, and nothing is tried twice",
                 "[net][pool]")
{
    open_pool();
    near.refuse().connect_delay(1s);

    CHECK_FALSE(dial());
    auto waiting = start_lease(entry());
    time.run_for(1s);

    CHECK(waiting.get().error().kind() == ErrorKind::connect);
    CHECK(near.connects() == 1);
    CHECK(counts() == "0 0 0 0");
}

TEST_CASE_METHOD(NearWorld, "ConnectionPool: what fails before anybody waits is nobody's error", "[net][pool]")
{
    open_pool();
    near.fail_next(1);

    CHECK_FALSE(dial());
    time.settle();
    CHECK(counts() == "0 0 0 0");
    auto later = start_lease(entry());
    time.settle();

    CHECK(later.get().has_value());
}

TEST_CASE_METHOD(NearWorld, "ConnectionPool: nothing is dialled past the caps, past those who wait, or for a name", "[net][pool]")
{
    near.connect_at_once();
    SECTION("the cap")
    {
        open_pool({.max_connections = 1});
        const auto held = dial();
        CHECK(held);
        CHECK_FALSE(dial());
    }
    SECTION("an idle connection elsewhere, which would have to go")
    {
        open_pool({.max_connections = 1});
        (void)lease(entry("api.test"));
        CHECK(counts() == "0 1 0 0");
        CHECK_FALSE(dial());
    }
    SECTION("who waits")
    {
        open_pool({.max_connections = 2, .max_per_origin = 1});
        const auto held = dial();
        auto waiting = start_lease(entry());
        time.settle();
        CHECK_FALSE(dial());
        waiting.cancel();
        time.settle();
    }
    SECTION("a name")
    {
        open_pool();
        there.connect_at_once();
        CHECK_FALSE(pool->try_dial(entry("api.test"), timeouts.dial, time.now()));
    }
    SECTION("a pool that is shut down")
    {
        open_pool();
        pool->shut_down();
        CHECK_FALSE(dial());
    }
    CHECK(near.connects() <= 1);
}

TEST_CASE_METHOD(NearWorld, "ConnectionPool: whom nobody else's connection serves is served by one that is up at once",
                 "[net][pool]")
{
    open_pool();
    near.connect_at_once();

    auto one = start_lease(entry());
    auto other = start_lease(entry(), unlimited, true);
    time.settle();

    CHECK(counts() == "2 0 0 0");
    CHECK(one.get().has_value());
    CHECK(other.get().has_value());
}

TEST_CASE_METHOD(NearWorld, "ConnectionPool: shut down while what takes its time is under way, it closes that", "[net][pool]")
{
    open_pool();
    near.connect_delay(1s);

    CHECK_FALSE(dial());
    pool->shut_down();
    time.settle();

    CHECK(counts() == "0 0 0 0");
    CHECK(network->open_connections() == 0);
}

} // namespace khive_tests::pool_at_once_test

// SPDX-License-Identifier: BSL-1.0
// What each of Asio's cancellation types does to a call that waits for a connection, for a dial, or for its answer.
#include "unit/net/net_world.hpp"

#include "support/catch.hpp"

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include <memory>
#include <string>
#include <tuple>
#include <utility>

namespace khive_tests::cancellation_test {

using namespace khive::testing;
using asio::cancellation_type;

namespace {

/// What a coroutine lets through: its default, which is `terminal`, or more.
enum class Enabled { by_default, partial, total };

asio::awaitable<Result<Exchanged>> fetch_that_can_be_cancelled(PoolPtr pool, Entry* entry, Enabled enabled)
{
    if (enabled == Enabled::partial) co_await asio::this_coro::reset_cancellation_state(asio::enable_partial_cancellation());
    if (enabled == Enabled::total) co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    auto fetching = fetch_from(std::move(pool), entry, std::make_shared<Sending>(a_get("/")));
    co_return co_await std::move(fetching);
}

/// How a started call ended: `answered`, or as what error.
std::string end_of(Started<Result<Exchanged>>& call)
{
    if (!call.done()) return "not at all";
    const auto result = call.get();
    if (!result) return std::string(to_string(result.error().kind()));
    return result->end.ok() ? "answered" : std::string(to_string(result->end.error.kind()));
}

struct CancellationWorld : NetWorld {
    Enabled enabled = Enabled::by_default;
    cancellation_type type = cancellation_type::none;
    bool heard = false; ///< is it one of the types that are let through?

    void choose()
    {
        std::tie(enabled, type, heard) = GENERATE(table<Enabled, cancellation_type, bool>({
            {Enabled::by_default, cancellation_type::terminal, true},
            {Enabled::by_default, cancellation_type::partial, false},
            {Enabled::by_default, cancellation_type::total, false},
            {Enabled::partial, cancellation_type::terminal, true},
            {Enabled::partial, cancellation_type::partial, true},
            {Enabled::partial, cancellation_type::total, false},
            {Enabled::total, cancellation_type::terminal, true},
            {Enabled::total, cancellation_type::partial, true},
            {Enabled::total, cancellation_type::total, true},
            {Enabled::total, cancellation_type::all, true},
        }));
    }
    [[nodiscard]] Started<Result<Exchanged>> start()
    {
        auto call = time.start(fetch_that_can_be_cancelled(pool, &entry(), enabled));
        time.settle();
        return call;
    }
};

} // namespace

TEST_CASE_METHOD(CancellationWorld, "Cancellation: every type that is let through ends an exchange and its connection", "[net][cancellation]")
{
    choose();
    open_pool();
    server->reply(delay(1s, ok("late")));
    auto call = start();
    CHECK(counts() == "1 0 0 0");

    call.cancel(type);
    time.settle();
    CHECK(call.done() == heard);
    CHECK(counts() == (heard ? "0 0 0 0" : "1 0 0 0"));
    time.run_until_idle();

    CHECK(end_of(call) == (heard ? "cancelled" : "answered"));
    CHECK(there.open_connections() == 0); // the idle time is over too
}

TEST_CASE_METHOD(CancellationWorld, "Cancellation: every type that is let through ends the wait for a connection", "[net][cancellation]")
{
    choose();
    open_pool({.max_connections = 1});
    auto held = lease(entry());
    CHECK(use(held).end.ok());
    auto call = start();
    CHECK(counts() == "1 0 0 1");

    call.cancel(type);
    time.settle();
    CHECK(counts() == (heard ? "1 0 0 0" : "1 0 0 1"));
    held.reset();
    time.run_for(1s);

    CHECK(end_of(call) == (heard ? "cancelled" : "answered"));
    CHECK(counts() == "0 1 0 0"); // the connection is not lost
    CHECK(server->connections() == 1);
}

TEST_CASE_METHOD(CancellationWorld, "Cancellation: every type that is let through ends the wait for a dial, not the dial", "[net][cancellation]")
{
    choose();
    there.connect_delay(1s);
    open_pool();
    auto call = start();
    CHECK(counts() == "0 0 1 1");

    call.cancel(type);
    time.settle();
    CHECK(counts() == (heard ? "0 0 1 0" : "0 0 1 1"));
    time.run_for(2s);

    CHECK(end_of(call) == (heard ? "cancelled" : "answered"));
    CHECK(counts() == "0 1 0 0");
}

} // namespace khive_tests::cancellation_test

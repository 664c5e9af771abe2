// SPDX-License-Identifier: BSL-1.0
// Every kind of call, interrupted in every way at every point where it is suspended.
#include "exhaustive/cancellation/call_world.hpp"

#include <khive/client/json.hpp>

#include "support/catch.hpp"

#include <boost/asio/error.hpp>

#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace khive_tests::call_test {

using namespace khive::testing;

namespace {

using Call = asio::awaitable<std::string>;

/// Answers what no kind says otherwise.
Reply usual(const ReceivedRequest& request)
{
    if (request.target == "/slow") return delay(2s, ok("slow"));
    return ok("hello");
}

void usually(CallWorld& world)
{
    world.there.server->otherwise(&usual);
}
/// Answers the first request for an item with `first`, all else as usual.
void answers(CallWorld& world, Reply first)
{
    world.there.server->otherwise([once = std::optional(std::move(first))](const ReceivedRequest& request) mutable {
        const bool now = once && request.target.starts_with("/items");
        return now ? *std::exchange(once, std::nullopt) : usual(request);
    });
}
void warm(CallWorld& world)
{
    auto first = world.client->get("/first").send();
    (void)world.time().run(std::move(first));
}

Call get(const khive::AnyAPIClient& api)
{
    return text_of(api.get("/items/{}", 7).query("page", 1).send());
}
Call post(const khive::AnyAPIClient& api)
{
    return text_of(api.post("/items").body(std::string(2500, 'x'), "text/plain").send());
}
Call read_json(const khive::AnyAPIClient& api)
{
    return name_in(api.get("/items/7").as<nlohmann::json>());
}
Call get_elsewhere(const khive::AnyAPIClient& api)
{
    return text_of(api.get("http://other.test/items").send());
}

const CallKind plain_kinds[] = {
    {"a plain GET", {}, &usually, &get},
    {"a POST in pieces, its answer in chunks and pieces",
     {.write_at_most = 900},
     [](CallWorld& world) { answers(world, ok("created").chunked(3).in_pieces(40, 1ms)); },
     &post},
    {"JSON that is decoded", {}, [](CallWorld& world) { answers(world, ok_json(R"({"name":"seven"})")); }, &read_json},
    {"an answer that is an error", {}, [](CallWorld& world) { answers(world, status(404, {}, "no such item")); }, &get, "status"},
    {"a connection used again",
     {},
     [](CallWorld& world) {
         usually(world);
         warm(world);
     },
     &get},
    {"a replay after a connection that had died",
     {},
     [](CallWorld& world) {
         answers(world, close_without_answer());
         warm(world);
     },
     &get,
     "value",
     0,
     1},
    {"a retry after a backoff", {}, [](CallWorld& world) { answers(world, status(503)); }, &get},
    {"a retry after what the server asked for", {}, [](CallWorld& world) { answers(world, too_many_requests(3s)); }, &get},
    {"a retry after a refused connect",
     {},
     [](CallWorld& world) {
         usually(world);
         world.there.address->fail_next(1);
     },
     &get},
    {"a look-up that fails each time",
     {},
     [](CallWorld& world) {
         usually(world);
         world.there.network->host("api.test").fail(asio::error::host_not_found_try_again).delay(5ms);
     },
     &get,
     "resolve",
     0,
     0,
     [](CallWorld& world) { world.there.network->host("api.test").addresses({"10.0.0.1"}); }},
    {"a call to another origin",
     {},
     [](CallWorld& world) {
         usually(world);
         world.there.network->serve("other.test", 80, world.requests).latency(1ms).connect_delay(1ms);
     },
     &get_elsewhere},
    {"a wait for a token",
     {.tokens = 1},
     [](CallWorld& world) {
         usually(world);
         world.take_token();
     },
     &get},
    {"a wait for a slot",
     {.slots = 1},
     [](CallWorld& world) {
         usually(world);
         world.occupy();
     },
     &get},
    {"a wait for a connection",
     {.connections = 1},
     [](CallWorld& world) {
         usually(world);
         world.occupy();
     },
     &get},
    {"waits for a slot and then a token",
     {.tokens = 1, .slots = 1},
     [](CallWorld& world) {
         usually(world);
         world.occupy();
     },
     &get},
    {"the probe of a breaker that is half open",
     {},
     [](CallWorld& world) {
         usually(world);
         world.open_breaker();
     },
     &get},
};

const CallKind tls_kinds[] = {
    {"a GET over TLS", {.tls = true}, &usually, &get},
    {"a POST over TLS", {.write_at_most = 900, .tls = true}, &usually, &post, "value", -1},
    {"a TLS connection used again", {.tls = true}, &warm, &get},
    {"a wait for a TLS connection",
     {.connections = 1, .tls = true},
     [](CallWorld& world) { world.occupy(); },
     &get},
};

const CallKind combined_kinds[] = {
    {"a GET through a combined policy", {.combined = true}, &usually, &get},
    {"a wait for a token of a combined policy",
     {.tokens = 1, .combined = true},
     [](CallWorld& world) {
         usually(world);
         world.take_token();
     },
     &get},
    {"a wait for a slot of a combined policy",
     {.slots = 1, .combined = true},
     [](CallWorld& world) {
         usually(world);
         world.occupy();
     },
     &get},
    {"a retry through a combined policy", {.combined = true}, [](CallWorld& world) { answers(world, status(503)); }, &get},
};

template <class Kinds>
void interrupt_all(const Kinds& kinds, How how)
{
    for (const CallKind& kind : kinds) {
        INFO(kind.name);
        const auto points = interrupt_after_every_step([&] { return std::make_unique<CallWorld>(kind, how); },
                                                       [](CallWorld& world) { world.interrupt(); });
        CHECK(points >= 5);
    }
}

} // namespace

TEST_CASE("Calls: cancelled at any point they end, and leave nothing behind", "[exhaustive][cancellation]")
{
    interrupt_all(plain_kinds, How::terminal);
}

TEST_CASE("Calls: cancelled by the weaker types they end too", "[exhaustive][cancellation]")
{
    interrupt_all(plain_kinds, GENERATE(How::partial, How::total));
}

TEST_CASE("Calls: out of time at any point they end, and leave nothing behind", "[exhaustive][cancellation]")
{
    interrupt_all(plain_kinds, How::timeout);
}

TEST_CASE("Calls: whose client is closed at any point end, and leave nothing behind", "[exhaustive][cancellation]")
{
    interrupt_all(plain_kinds, GENERATE(How::close_at_once, How::close_in_time));
}

TEST_CASE("Calls: whose client's last handle goes at any point end, and leave nothing behind", "[exhaustive][cancellation]")
{
    interrupt_all(plain_kinds, How::last_handle);
}

TEST_CASE("Calls: destroyed with their context at any point give back what they hold", "[exhaustive][cancellation]")
{
    interrupt_all(plain_kinds, GENERATE(How::context, How::owned, How::owned_strand));
}

TEST_CASE("Calls: through a combined policy leave nothing behind whatever interrupts them", "[exhaustive][cancellation]")
{
    for (const How how : every_how) interrupt_all(combined_kinds, how);
}

TEST_CASE("Calls: over TLS end, and leave nothing behind, when they are cancelled or out of time", "[exhaustive][cancellation]")
{
    interrupt_all(tls_kinds, GENERATE(How::terminal, How::timeout));
}

TEST_CASE("Calls: over TLS end, and leave nothing behind, when their client is closed", "[exhaustive][cancellation]")
{
    interrupt_all(tls_kinds, GENERATE(How::close_at_once, How::last_handle));
}

TEST_CASE("Calls: over TLS give back what they hold when they are destroyed with their context", "[exhaustive][cancellation]")
{
    interrupt_all(tls_kinds, GENERATE(How::context, How::owned, How::owned_strand));
}

TEST_CASE("Calls: that were made and never begun hold nothing", "[exhaustive][cancellation]")
{
    for (const CallKind& kind : plain_kinds) {
        INFO(kind.name);
        CallWorld world(kind, How::terminal);
        const auto before = world.client->connections();
        { const Call never_begun = kind.call(*world.client); }
        CHECK(world.client->in_flight() == (before.leased == 0 ? 0 : 1));
        CHECK(world.limiter.waiting() == 0);
        world.begin();
        world.finish();
    }
}

} // namespace khive_tests::call_test

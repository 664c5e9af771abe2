// SPDX-License-Identifier: BSL-1.0
// Every kind of call, at each of whose allocations the memory fails.
#include "exhaustive/allocation/call_world.hpp"

#include <khive/client/json.hpp>
#include <khive/client/logging.hpp>

#include "support/catch.hpp"

#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

namespace khive_tests::call_test {

using namespace khive::testing;

namespace {

using Call = asio::awaitable<std::string>;

Reply usual(const ReceivedRequest& request)
{
    return ok("hello " + request.target);
}
void usually(StarvedCall& world)
{
    world.server->otherwise(&usual);
}
void warm(StarvedCall& world)
{
    usually(world);
    auto first = world.client->get("/first").send();
    (void)world.time.run(std::move(first));
}

Call get(StarvedCall& world)
{
    return text_of(world.client->get("/items").send());
}
asio::awaitable<std::string> text_or_error(asio::awaitable<khive::Result<khive::Response>> sending)
{
    const khive::Result<khive::Response> result = co_await std::move(sending);
    if (!result) result.error().raise();
    co_return result->text();
}
Call get_result(StarvedCall& world)
{
    return text_or_error(world.client->get("/items").try_send());
}
Call get_with_everything(StarvedCall& world)
{
    return text_of(world.client->get("/items/{}/of/{}", 7, "a long name that has to be allocated / and encoded")
                       .query("page", 1)
                       .query("filter", "something that is too long to be kept in place")
                       .header("X-Request-Purpose", "a test of what happens without memory")
                       .send());
}
Call get_in_a_second(StarvedCall& world)
{
    return text_of(world.client->get("/held").timeout(1s).send());
}
Call get_held(StarvedCall& world)
{
    return text_of(world.client->get("/held").send());
}
Call get_elsewhere(StarvedCall& world)
{
    return text_of(world.client->get("http://other.test/items").send());
}
// Made beforehand: under GCC 12 an initializer_list leaks when one of its elements throws.
const nlohmann::json body = nlohmann::json::parse(R"({"name":"a name that has to be allocated","id":7})");

Call post_json(StarvedCall& world)
{
    return name_in(world.client->post("/items").json(body).as<nlohmann::json>());
}
asio::awaitable<std::string> closed_in_time(asio::awaitable<bool> closing)
{
    const bool in_time = co_await std::move(closing);
    co_return in_time ? "in time" : "not in time";
}
Call close(StarvedCall& world)
{
    return closed_in_time(world.client->close(2s));
}

void answers(StarvedCall& world, Reply first, Reply second)
{
    std::vector<Reply> replies{std::move(first), std::move(second)};
    world.server->otherwise([replies = std::move(replies), next = std::size_t{0}](const ReceivedRequest& request) mutable {
        return next < replies.size() ? replies[next++] : usual(request);
    });
}
void take_tokens(StarvedCall& world)
{
    REQUIRE(world.limiter.try_acquire(StarvedCall::tokens, world.time.now()));
    auto grant = world.combined.try_dispatch(StarvedCall::tokens, world.time.now());
    grant.value().spend();
    world.taken = StarvedCall::tokens;
}
template <class Permit>
void hold(StarvedCall& world, std::optional<Permit> permit)
{
    REQUIRE(permit);
    world.held.push_back(std::make_shared<Permit>(std::move(*permit)));
}
void let_go(StarvedCall& world)
{
    world.held.clear();
}
void release(StarvedCall& world)
{
    world.release();
}
void log_calls(StarvedCall& world)
{
    static std::ostringstream text;
    auto logger = std::make_shared<spdlog::logger>("calls", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
    logger->set_error_handler([](const std::string&) {});
    world.observer = std::make_shared<khive::SpdlogObserver>(std::move(logger));
    world.client.reset();
    world.open_client();
}

const CallKind kinds[] = {
    {"a first call", {}, &usually, &get},
    {"a first call that gives a result", {}, &usually, &get_result},
    {"a call on a pooled connection", {}, &warm, &get},
    {"a call with query, headers and template", {}, &warm, &get_with_everything},
    {"a call that is answered by 429, 503 and a value",
     {},
     [](StarvedCall& world) { answers(world, too_many_requests(3s), status(503)); },
     &get},
    {"a call to another origin",
     {},
     [](StarvedCall& world) {
         usually(world);
         world.network->simulated().serve("other.test", 80, world.front);
     },
     &get_elsewhere},
    {"a wait for a token",
     {},
     [](StarvedCall& world) {
         usually(world);
         take_tokens(world);
     },
     &get},
    {"a wait for a slot",
     {.slots = 1},
     [](StarvedCall& world) {
         usually(world);
         hold(world, world.executor.try_enter(world.time.now()));
     },
     &get,
     "value",
     &let_go},
    {"a wait for a connection",
     {.connections = 1},
     [](StarvedCall& world) {
         usually(world);
         world.occupy();
     },
     &get,
     "value",
     &release},
    {"a wait for a connection and then a token",
     {.connections = 1},
     [](StarvedCall& world) {
         usually(world);
         world.occupy();
         REQUIRE(world.limiter.try_acquire(StarvedCall::tokens - 1, world.time.now()));
         world.taken = StarvedCall::tokens - 1;
     },
     &get,
     "value",
     &release},
    {"a call that runs out of time", {}, &usually, &get_in_a_second, "timeout"},
    {"a call that is cancelled", {}, &usually, &get_held, "cancelled", [](StarvedCall& world) { world.cancel(); }},
    {"a wait for a token that is cancelled",
     {},
     [](StarvedCall& world) {
         usually(world);
         take_tokens(world);
     },
     &get,
     "cancelled",
     [](StarvedCall& world) { world.cancel(); }},
    {"a replay after a connection that had died",
     {},
     [](StarvedCall& world) {
         warm(world);
         answers(world, close_without_answer(), ok("hello"));
     },
     &get},
    {"an answer that is an error",
     {},
     [](StarvedCall& world) {
         world.server->otherwise([](const ReceivedRequest&) { return status(404, {}, "there is no such item"); });
     },
     &get,
     "status"},
    {"a POST of JSON whose answer is decoded",
     {},
     [](StarvedCall& world) {
         world.server->otherwise([](const ReceivedRequest&) {
             return ok_json(R"({"name":"a name that has to be allocated","list":[1,2,{"a":null}]})");
         });
     },
     &post_json},
    {"a call that fails and is logged",
     {},
     [](StarvedCall& world) {
         log_calls(world);
         answers(world, status(503), status(404, {}, "there is no such item"));
     },
     &get,
     "status"},
    {"a close while a call is under way",
     {},
     [](StarvedCall& world) {
         usually(world);
         world.occupy();
     },
     &close,
     "value",
     nullptr,
     true},
    {"a close that waits for a call",
     {},
     [](StarvedCall& world) {
         usually(world);
         world.occupy();
     },
     &close,
     "value",
     &release,
     true},
    {"a call through a combined policy", {.combined = true}, &warm, &get},
    {"a wait for a token of a combined policy",
     {.combined = true},
     [](StarvedCall& world) {
         usually(world);
         take_tokens(world);
     },
     &get},
    {"a wait for a slot of a combined policy",
     {.slots = 1, .combined = true},
     [](StarvedCall& world) {
         usually(world);
         hold(world, world.combined.try_dispatch(1, world.time.now()));
     },
     &get,
     "value",
     &let_go},
};

void fail_all(bool later_too)
{
    for (const CallKind& kind : kinds) {
        INFO(kind.name);
        const auto count = fail_every_allocation(later_too, [&](memory::Plan plan) { StarvedCall(kind).run(plan); });
        CHECK(count >= 3);
    }
}

} // namespace

TEST_CASE("Calls: for which one allocation fails end with an error or in spite of it, and leave nothing behind",
          "[exhaustive][allocation]")
{
    fail_all(false);
}

TEST_CASE("Calls: for which every allocation from some point on fails end, and leave nothing behind",
          "[exhaustive][allocation]")
{
    fail_all(true);
}

} // namespace khive_tests::call_test

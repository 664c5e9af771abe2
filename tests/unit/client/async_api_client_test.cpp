// SPDX-License-Identifier: BSL-1.0
#include <khive/client/async_api_client.hpp>

#include <khive/client/json.hpp>
#include <khive/core/exceptions.hpp>
#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/null_policies.hpp>
#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include "support/breaker.hpp"
#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace khive_tests::async_api_client_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::Started;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

namespace client_tests {

struct User {
    std::string name;
    int id = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(User, name, id)

} // namespace client_tests

namespace {

using client_tests::User;

asio::awaitable<void> greet(AnyAPIClient api, std::string* said)
{
    const auto user = co_await api.get("/users/{}", 42).query("expand", "teams").timeout(2s).as<User>();
    *said = "hello " + user.name;
}

/// A rate limiter of a user's own: it lets so many through and then refuses.
class Quota {
public:
    struct Token {
        explicit Token(std::shared_ptr<int> from) : left(std::move(from)) { --*left; }
        Token(Token&&) = default;
        Token& operator=(Token&&) = default;
        ~Token() { if (left) ++*left; }
        void spend() noexcept { left.reset(); }
        std::shared_ptr<int> left;
    };

    explicit Quota(int calls) : left_(std::make_shared<int>(calls)) {}
    std::optional<Token> try_take(double, TimePoint) { return *left_ > 0 ? std::optional(Token(left_)) : std::nullopt; }
    asio::awaitable<Result<Token>> take(async::WaitRequest) { co_return Error{ErrorKind::rate_limited}; }
    std::optional<Error> check_cost(double) { return std::nullopt; }
    int left() const { return *left_; }

private:
    std::shared_ptr<int> left_;
};
static_assert(RateLimiterPolicy<Quota>);

} // namespace

TEST_CASE("AsyncAPIClient: the program of the first page", "[client]")
{
    VirtualTime time;
    const ScriptedWorld world(time, {ok_json(R"({"name":"ant","id":42})")});
    std::string said;

    AsyncAPIClient api{time.context(), "http://api.test",
                       TokenBucketRateLimiter{{.rate = 20, .burst = 40}},
                       AsyncExecutor{{.max_concurrency = 64}},
                       CircuitBreaker{{.open_for = 15s}},
                       RetryWithBackoff{{.max_attempts = 4}}};
    time.run(greet(api, &said));

    CHECK(said == "hello ant");
    CHECK(world.server->requests().at(0).target == "/users/42?expand=teams");
}

TEST_CASE("AsyncAPIClient: waits exactly Retry-After before the second attempt", "[client][retry][CL-1][RT-3]")
{
    VirtualTime time;
    auto api = scripted_client(time, {too_many_requests(90s), ok()});

    const auto response = time.run(api.get("/items").send());

    CHECK(response.status() == 200);
    CHECK(time.elapsed() == 90s);
    CHECK(response.elapsed() == 90s);
    CHECK(response.ledger().size() == 2);
    CHECK(response.ledger()[1].backoff == 90s);
}

TEST_CASE("AsyncAPIClient: understands every way to ask for a pause, and never comes back earlier than its own backoff",
          "[client][retry][CL-1]")
{
    const auto [fields, pause] = GENERATE(table<std::string, Duration>({
        {"retry-after: 40\r\n", 40s},
        {"RETRY-AFTER: 2.5\r\n", 2500ms},
        {"Retry-After-Ms: 700\r\nRetry-After: 9\r\n", 700ms},
        {"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n", 30s},
        {"Date: Sunday, 06-Nov-94 08:49:37 GMT\r\nRetry-After: Sun Nov  6 08:50:07 1994\r\n", 30s},
        {"Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 500ms},
        {"Retry-After: 0.1\r\n", 500ms},
        {"Retry-After: -3\r\n", 500ms},
        {"Retry-After: soon\r\n", 500ms},
        {"", 500ms},
    }));
    const unsigned code = GENERATE(429u, 503u);
    VirtualTime time;
    auto api = scripted_client(time, {status(code, Headers::from_lines(fields)), ok()});

    CHECK(time.run(api.get("/").send()).ok());
    CHECK(time.elapsed() == pause);
}

TEST_CASE("AsyncAPIClient: a pause that does not fit in the time left ends the call at once", "[client][retry]")
{
    VirtualTime time;
    auto api = scripted_client(time, {too_many_requests(90s)});

    const auto error = time.run(api.get("/").timeout(30s).try_send()).error();

    CHECK(error.status() == 429);
    CHECK(error.retry_after() == 90s);
    CHECK(error.retryable());
    CHECK(error.ledger().stop_reason() == StopReason::deadline);
    CHECK(time.elapsed() == 0s);
}

TEST_CASE("AsyncAPIClient: a pause that is longer than the policy allows ends the call at once", "[client][retry]")
{
    VirtualTime time;
    auto api = scripted_client(time, {too_many_requests(1h)});

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK(error.retry_after() == 1h);
    CHECK(error.ledger().stop_reason() == StopReason::retry_after);
    CHECK(time.elapsed() == 0s);
}

TEST_CASE("AsyncAPIClient: repeats what may pass and is safe to repeat", "[client][retry][RT-1][RT-2]")
{
    const auto [method, code, attempts, reason] = GENERATE(table<std::string, unsigned, std::size_t, StopReason>({
        {"GET", 500, 3, StopReason::attempts},
        {"GET", 503, 3, StopReason::attempts},
        {"PUT", 502, 3, StopReason::attempts},
        {"DELETE", 504, 3, StopReason::attempts},
        {"GET", 408, 3, StopReason::attempts},
        {"GET", 400, 1, StopReason::not_retryable},
        {"GET", 401, 1, StopReason::not_retryable},
        {"GET", 404, 1, StopReason::not_retryable},
        {"GET", 409, 1, StopReason::not_retryable},
        {"GET", 501, 1, StopReason::not_retryable},
        {"POST", 500, 1, StopReason::not_replayable},
        {"POST", 503, 1, StopReason::not_replayable},
        {"PATCH", 503, 1, StopReason::not_replayable},
        {"POST", 429, 3, StopReason::attempts},
        {"POST", 422, 1, StopReason::not_retryable},
    }));
    VirtualTime time;
    auto api = scripted_client(time);
    api.server().otherwise([answer = code](const ReceivedRequest&) { return Reply(answer); });

    const auto error = time.run(api.request(method, "/").try_send()).error();

    INFO(method << " " << code);
    CHECK(error.ledger().size() == attempts);
    CHECK(api.server().requests().size() == attempts);
    CHECK(error.ledger().stop_reason() == reason);
}

TEST_CASE("AsyncAPIClient: an idempotency key makes a POST safe, and is the same on every attempt", "[client][retry][RT-2]")
{
    VirtualTime time;
    auto api = scripted_client(time, {status(503).then_close(), reset(), ok()});

    const auto response = time.run(api.post("/orders").idempotency_key("k-1").body("once").send());

    CHECK(response.ledger().size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(api.received(i).headers.get("Idempotency-Key") == "k-1");
        CHECK(api.received(i).body == "once");
    }
}

TEST_CASE("AsyncAPIClient: the caller may know better whether repeating is harmless", "[client][retry][RT-2]")
{
    VirtualTime time;
    auto api = scripted_client(time, {status(503), ok(), status(503), status(503)});

    CHECK(time.run(api.post("/").replay_safe(true).try_send()).has_value());
    CHECK(time.run(api.get("/").replay_safe(false).try_send()).error().ledger().size() == 1);
}

TEST_CASE("AsyncAPIClient: a POST that never reached the server is tried again", "[client][retry][RT-2]")
{
    VirtualTime time;
    auto api = scripted_client(time);
    api.address().fail_next(2);

    const auto response = time.run(api.post("/").send());

    CHECK(response.ledger().size() == 3);
    CHECK(response.ledger()[0].error == ErrorKind::connect);
    CHECK_FALSE(response.ledger()[0].maybe_processed);
    CHECK(api.server().requests().size() == 1);
}

TEST_CASE("AsyncAPIClient: a predicate of the retry policy decides within the client", "[client][retry]")
{
    VirtualTime time;
    const auto retry = exact_retry().retry_if([](const Failure& failure) { return failure.error().status() == 404; });
    auto api = scripted_client(time, {status(404), ok(), status(503)}, patient(), retry);

    CHECK(time.run(api.get("/").send()).ledger().size() == 2);
    CHECK(time.run(api.get("/").try_send()).error().ledger().size() == 1);
}

TEST_CASE("AsyncAPIClient: every attempt takes a token", "[client][CO-4]")
{
    VirtualTime time;
    auto api = scripted_client(time, {status(503), status(503), ok()}, patient(), exact_retry(),
                               TokenBucketRateLimiter{{.rate = 1, .period = 10s, .burst = 1}});

    const auto response = time.run(api.get("/").send());

    CHECK(time.elapsed() == 20s);
    CHECK(response.ledger()[0].rate_wait == 0s);
    CHECK(response.ledger()[1].rate_wait == 9500ms);
    CHECK(response.ledger()[2].rate_wait == 9s);
}

TEST_CASE("AsyncAPIClient: a request's cost is what the limiter charges", "[client]")
{
    VirtualTime time;
    const TokenBucketRateLimiter limiter{{.rate = 1, .period = 1h, .burst = 10}};
    auto api = scripted_client(time, {}, patient(), limiter);

    (void)time.run(api.get("/").cost(2.5).send());
    (void)time.run(api.get("/").send());

    CHECK(limiter.tokens(time.now()) == Approx(6.5));
}

TEST_CASE("AsyncAPIClient: a breaker that opens stops the retries under way", "[client][CO-5]")
{
    VirtualTime time;
    auto api = scripted_client(time, {status(503), status(503)}, patient(), exact_retry(8),
                               CircuitBreaker{{.consecutive_failures = 2, .open_for = 1min, .open_jitter = 0}});

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK(error.kind() == ErrorKind::circuit_open);
    CHECK(api.server().requests().size() == 2);
    REQUIRE(error.ledger().size() == 3);
    CHECK(error.ledger()[1].status == 503);
    CHECK(error.ledger()[2].error == ErrorKind::circuit_open);
    CHECK(error.retry_after());
    CHECK(time.elapsed() == 1500ms);
}

TEST_CASE("AsyncAPIClient: an open breaker refuses at once, and neither byte nor token is spent", "[client][CO-3]")
{
    VirtualTime time;
    const CircuitBreaker breaker{touchy};
    const TokenBucketRateLimiter limiter{{.rate = 1, .period = 1h, .burst = 5}};
    auto api = scripted_client(time, {}, patient(), breaker, limiter, exact_retry());
    breaker.isolate(time.now());

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK(error.kind() == ErrorKind::circuit_open);
    CHECK(error.ledger().size() == 1);
    CHECK(error.ledger().stop_reason() == StopReason::refused);
    CHECK(limiter.tokens(time.now()) == 5);
    CHECK(api.server().connections() == 0);
    CHECK(time.elapsed() == 0s);
}

TEST_CASE("AsyncAPIClient: a breaker that opened while the call waited for its token refuses, and the token goes back",
          "[client][CO-3]")
{
    VirtualTime time;
    const CircuitBreaker breaker{touchy};
    TokenBucketRateLimiter limiter{{.rate = 1, .period = 10s, .burst = 1}};
    const AsyncExecutor executor{{.max_concurrency = 1}};
    auto api = scripted_client(time, {}, patient(), breaker, limiter, executor);
    REQUIRE(limiter.try_acquire(1, time.now()));
    auto call = time.start(api.get("/").try_send());
    time.run_for(5s);

    breaker.isolate(time.now());
    time.run_for(5s);

    REQUIRE(call.done());
    CHECK(call.get().error().kind() == ErrorKind::circuit_open);
    CHECK(limiter.tokens(time.now()) == 1);
    CHECK(executor.stats().running == 0);
    CHECK(api.server().connections() == 0);
}

TEST_CASE("AsyncAPIClient: 429 and 4xx say nothing bad to the breaker, 5xx and broken connections do", "[client]")
{
    VirtualTime time;
    const CircuitBreaker breaker{touchy};
    auto api = scripted_client(time, {status(429), status(404), status(501), status(503).then_close(), reset()}, patient(), breaker);

    for (int i = 0; i < 3; ++i) {
        (void)time.run(api.get("/").try_send());
        CHECK(breaker.state(time.now()) == BreakerState::closed);
    }
    (void)time.run(api.get("/").try_send());
    CHECK(breaker.state(time.now()) == BreakerState::open);
    breaker.reset(time.now());
    (void)time.run(api.get("/").try_send());
    CHECK(breaker.state(time.now()) == BreakerState::open);
}

TEST_CASE("AsyncAPIClient: after its pause the breaker lets one probe through", "[client]")
{
    VirtualTime time;
    const CircuitBreaker breaker{touchy};
    auto api = scripted_client(time, {status(503), ok().after(2s), ok()}, patient(), breaker);
    (void)time.run(api.get("/").try_send());
    time.run_for(10s);

    auto probe = time.start(api.get("/").try_send());
    time.run_for(1s);
    const auto refused = time.run(api.get("/").try_send());
    time.run_for(2s);

    CHECK(refused.error().kind() == ErrorKind::circuit_open);
    CHECK(probe.get().has_value());
    CHECK(breaker.state(time.now()) == BreakerState::closed);
    CHECK(time.run(api.get("/").try_send()).has_value());
}

TEST_CASE("AsyncAPIClient: neither slot nor connection is held during the pause before another attempt", "[client]")
{
    VirtualTime time;
    ClientOptions options = patient();
    options.pool({.max_connections = 1});
    const AsyncExecutor executor{{.max_concurrency = 1}};
    auto api = scripted_client(time, {too_many_requests(100s), ok("second"), ok("first")}, options, executor, exact_retry());
    auto first = time.start(api.get("/").send());
    time.run_for(1s);

    CHECK(executor.stats().running == 0);
    CHECK(api.connections().leased == 0);
    CHECK(time.run(api.get("/").send()).body() == "second");

    CHECK(time.elapsed() == 1s);
    time.run_for(100s);
    CHECK(first.get().body() == "first");
}

TEST_CASE("AsyncAPIClient: a slot is not held while waiting for a token", "[client][CO-2]")
{
    VirtualTime time;
    const AsyncExecutor executor{{.max_concurrency = 1}};
    const TokenBucketRateLimiter limiter{{.rate = 1, .period = 10s, .burst = 5, .initial_tokens = 0}};
    auto api = scripted_client(time, {}, patient(), executor, limiter);
    auto large = time.start(api.get("/large").cost(5).send());

    time.run_for(30s);
    CHECK(executor.stats().running == 0);
    CHECK(limiter.waiting() == 1);
    time.run_for(20s);

    CHECK(large.get().ledger()[0].rate_wait == 50s);
}

TEST_CASE("AsyncAPIClient: a stall of all slots builds up no burst", "[client][CO-1]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok().after(800ms)}, patient(), AsyncExecutor{{.max_concurrency = 1}},
                               TokenBucketRateLimiter{{.rate = 50, .burst = 2}});
    api.server().otherwise([](const ReceivedRequest&) { return ok(); });

    std::vector<Started<Response>> calls;
    for (int i = 0; i < 40; ++i) calls.push_back(time.start(api.get("/").send()));
    time.run_until_idle();

    const auto& requests = api.server().requests();
    REQUIRE(requests.size() == 40);
    for (std::size_t first = 0; first < 40; ++first)
        for (std::size_t last = first; last < 40; ++last) {
            const double seconds = to_seconds(requests[last].time - requests[first].time);
            CHECK(static_cast<double>(last - first + 1) <= 2 + 50 * seconds + 1e-6);
        }
}

TEST_CASE("AsyncAPIClient: callers with what each other wants do not swap it for ever", "[client][CO-2]")
{
    VirtualTime time;
    AsyncExecutor executor{{.max_concurrency = 1}};
    const TokenBucketRateLimiter limiter{{.rate = 1, .burst = 1, .initial_tokens = 0}};
    auto api = scripted_client(time, {}, patient(), executor, limiter);
    auto for_token = time.start(api.get("/").send());
    time.settle();
    auto slot = executor.try_enter(time.now());
    auto for_slot = time.start(api.get("/").send());
    auto behind_it = time.start(api.get("/").send());
    time.settle();
    CHECK(limiter.waiting() == 1);
    CHECK(executor.stats().queued == 2);

    slot.reset();
    time.service().advance_to(time.now() + 1s); // a token, before anyone has resumed
    int steps = 0;
    while (!(for_token.done() && for_slot.done() && behind_it.done()) && ++steps < 1000) step(time);

    CHECK(steps < 1000);
    CHECK(executor.stats().running == 0);
}

TEST_CASE("AsyncAPIClient: rate and concurrency as one policy", "[client]")
{
    VirtualTime time;
    const RateLimitedExecutor both{{.rate = 1, .burst = 1, .max_concurrency = 1}};
    auto api = scripted_client(time, {ok().after(5s), ok()}, patient(), both);

    auto first = time.start(api.get("/").send());
    auto second = time.start(api.get("/").send());
    time.run_until_idle();

    CHECK(api.received(1).time - api.received(0).time == 5s);
    CHECK(second.get().ledger()[0].rate_wait == 5s);
    CHECK(both.stats().running == 0);
}

TEST_CASE("AsyncAPIClient: two clients with one limiter share its bucket", "[client]")
{
    VirtualTime time;
    const ScriptedWorld world(time);
    world.network->serve("other.test", 80, world.server);
    const TokenBucketRateLimiter limiter{{.rate = 1, .burst = 1}};
    const AsyncAPIClient one{time.context(), "http://api.test", limiter};
    const AsyncAPIClient two{time.context(), "http://other.test", limiter};

    auto a = time.start(one.get("/").send());
    auto b = time.start(two.get("/").send());
    auto c = time.start(one.get("/").send());
    time.run_until_idle();

    CHECK(a.get().ledger()[0].rate_wait == 0s);
    CHECK(b.get().ledger()[0].rate_wait == 1s);
    CHECK(c.get().ledger()[0].rate_wait == 2s);
}

TEST_CASE("AsyncAPIClient: finds each policy whatever the order, and gives it back", "[client]")
{
    VirtualTime time;
    const CircuitBreaker breaker{touchy};
    auto api = scripted_client(time, {status(503)}, patient(), AsyncExecutor{}, breaker, exact_retry(1),
                               TokenBucketRateLimiter{{.rate = 1, .period = 1h, .burst = 3}});

    (void)time.run(api.get("/").try_send());

    CHECK(api.policy<CircuitBreaker>().state(time.now()) == BreakerState::open);
    CHECK(api.policy<TokenBucketRateLimiter>().tokens(time.now()) == Approx(2));
    CHECK(api.policy<AsyncExecutor>().stats().peak == 1);
    api.policy<TokenBucketRateLimiter>().set_rate(1, 2, time.now()); // handles: what is const is not what they refer to
    CHECK(api.policy<TokenBucketRateLimiter>().tokens(time.now()) == Approx(2));
}

TEST_CASE("AsyncAPIClient: a policy of one's own takes its role", "[client]")
{
    VirtualTime time;
    const Quota quota(2);
    const CircuitBreaker breaker{touchy};
    auto api = scripted_client(time, {}, patient(), quota, breaker);

    api.address().refuse();
    (void)time.run(api.get("/").try_send());
    CHECK(quota.left() == 2);
    api.address().accept();
    breaker.reset(time.now());
    (void)time.run(api.get("/").send());
    (void)time.run(api.get("/").send());

    CHECK(time.run(api.get("/").try_send()).error().kind() == ErrorKind::rate_limited);
    CHECK(quota.left() == 0);
    CHECK(api.server().requests().size() == 2);
}

TEST_CASE("AsyncAPIClient: null policies are as none", "[client]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok(), status(503)}, patient(), NullRateLimiter{}, NullExecutor{}, NullCircuitBreaker{},
                               NullRetry{});

    CHECK(time.run(api.get("/").send()).ledger().size() == 1);
    const auto error = time.run(api.get("/").try_send()).error();
    CHECK(error.ledger().size() == 1);
    CHECK(error.ledger().stop_reason() == StopReason::attempts);
}

TEST_CASE("AsyncAPIClient: many calls at once each get their own answer", "[client]")
{
    VirtualTime time;
    ClientOptions options = patient();
    options.pool({.max_connections = 3}).timeouts({.pool_wait = 1min});
    auto api = scripted_client(time, {}, options, exact_retry());
    api.server().otherwise([](const ReceivedRequest& request) {
        return request.number % 5 == 0 ? status(503) : ok(request.target).after(std::chrono::milliseconds(request.number * 7 % 13));
    });

    std::vector<Started<Response>> calls;
    for (int i = 0; i < 60; ++i) calls.push_back(time.start(api.get("/{}", i).send()));
    time.run_until_idle();

    for (std::size_t i = 0; i < calls.size(); ++i) CHECK(calls[i].get().body() == "/" + std::to_string(i));
    CHECK(api.server().connections() == 3);
    CHECK(api.connections().leased == 0);
}

} // namespace khive_tests::async_api_client_test

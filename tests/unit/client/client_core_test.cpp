// SPDX-License-Identifier: BSL-1.0
#include <khive/client/client_core.hpp>

#include <khive/client/json.hpp>
#include <khive/core/exceptions.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <string>
#include <type_traits>

namespace khive_tests::client_core_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

namespace {

/// The same call as value and as exception, which must be of class `Thrown` and hold the same.
template <class Thrown>
Error both_ways(VirtualTime& time, const AnyAPIClient& api, const Request& request)
{
    const auto value = time.run(api.try_call(request));
    REQUIRE(value.has_error());
    try {
        (void)time.run(api.call(request));
        FAIL("did not throw");
    } catch (const Thrown& thrown) {
        const APIClientError& base = thrown;
        const Error error = value.error();
        CHECK(base.error().kind() == error.kind());
        CHECK(base.error().method() == error.method());
        CHECK(base.error().url() == error.url());
        CHECK(base.error().status() == error.status());
        CHECK(base.error().headers().lines() == error.headers().lines());
        CHECK(base.error().body() == error.body());
        CHECK(base.error().retryable() == error.retryable());
        CHECK(base.error().retry_after() == error.retry_after());
        CHECK(base.error().maybe_processed() == error.maybe_processed());
        CHECK(base.error().ledger().size() == error.ledger().size());
        CHECK(base.what() == base.error().message());
    }
    return value.error();
}

template <class Thrown>
void check_status(int code, bool retryable, bool maybe_processed)
{
    VirtualTime time;
    auto api = scripted_client(time, {}, ClientOptions("http://api.test"));
    api.server().otherwise([code](const ReceivedRequest&) {
        return status(static_cast<unsigned>(code), {}, "why").header("X-Request-Id", "r7").header("Retry-After", "2.5");
    });
    const auto error = both_ways<Thrown>(time, api, Request("POST", "/orders").query("key", "hunter2"));

    INFO("status " << code);
    CHECK(error.kind() == ErrorKind::status);
    CHECK(error.code() == make_error_code(ErrorKind::status));
    CHECK(error.status() == code);
    CHECK(error.method() == "POST");
    CHECK(error.url() == "http://api.test/orders?key=***");
    CHECK(error.headers().get("x-request-id") == "r7");
    CHECK(error.body() == "why");
    CHECK(error.retry_after() == 2500ms);
    CHECK(error.retryable() == retryable);
    CHECK(error.maybe_processed() == maybe_processed);
    REQUIRE(error.ledger().size() == 1);
    CHECK(error.ledger()[0].status == code);
    CHECK(error.ledger()[0].error == ErrorKind::status);
    CHECK(error.message().find("hunter2") == std::string::npos);
}

} // namespace

TEST_CASE("errors: each status has its class, as a value and as an exception", "[client][error]")
{
    check_status<BadRequestError>(400, false, false);
    check_status<AuthenticationError>(401, false, false);
    check_status<PermissionDeniedError>(403, false, false);
    check_status<ResourceNotFoundError>(404, false, false);
    check_status<RequestTimeoutError>(408, true, true);
    check_status<ConflictError>(409, false, false);
    check_status<APIStatusError>(418, false, false);
    check_status<UnprocessableEntityError>(422, false, false);
    check_status<RateLimitError>(429, true, false);
    check_status<ServerError>(500, true, true);
    check_status<ServerError>(501, false, false);
    check_status<ServerError>(503, true, true);
    check_status<ServerError>(599, false, true);
}

TEST_CASE("errors: a transport failure has its class, what was sent, and no status", "[client][error][CL-6]")
{
    VirtualTime time;
    auto api = scripted_client(time, {}, ClientOptions("http://api.test"));
    const Request request("POST", "/x");
    const auto answer = [&](const Reply& reply) { api.server().otherwise([reply](const ReceivedRequest&) { return reply; }); };
    const auto check = [](const Error& error, ErrorKind kind, bool retryable, bool maybe_processed) {
        INFO(error.message());
        CHECK(error.kind() == kind);
        CHECK(error.status() == 0);
        CHECK(error.retryable() == retryable);
        CHECK(error.maybe_processed() == maybe_processed);
        CHECK(error.ledger().back().error == kind);
        CHECK(error.ledger().back().maybe_processed == maybe_processed);
        CHECK(error.method() == "POST");
        CHECK(error.url() == "http://api.test/x");
    };

    answer(reset());
    check(both_ways<APIConnectionError>(time, api, request), ErrorKind::connection_lost, true, true);
    answer(close_without_answer());
    check(both_ways<APIConnectionError>(time, api, request), ErrorKind::connection_lost, true, true);
    answer(raw("SSH-2.0-OpenSSH\r\n\r\n"));
    {
        const auto error = both_ways<ProtocolError>(time, api, request);
        CHECK(error.kind() == ErrorKind::protocol);
        CHECK(error.maybe_processed());
        CHECK_FALSE(error.retryable());
    }
    answer(ok(std::string(100, 'x')).cut_after(60).then_close());
    {
        const auto error = both_ways<TruncatedBodyError>(time, api, request);
        CHECK(error.kind() == ErrorKind::truncated_body);
        CHECK(error.maybe_processed());
        CHECK(error.retryable());
    }
    api.address().refuse();
    check(both_ways<APIConnectionError>(time, api, request), ErrorKind::connect, true, false);
    api.network().host("api.test").fail();
    check(both_ways<ResolveError>(time, api, request), ErrorKind::resolve, true, false);
    CHECK(api.connections().open() == 0);
}

TEST_CASE("errors: refusals say so, and nothing was sent", "[client][error]")
{
    VirtualTime time;
    const CircuitBreaker breaker{{.consecutive_failures = 1, .open_for = 10s, .open_jitter = 0}};
    const TokenBucketRateLimiter limiter{{.rate = 1, .period = 1h, .burst = 2}};
    auto api = scripted_client(time, {}, ClientOptions("http://api.test"), breaker, limiter);
    const Request request("GET", "/");

    CHECK(both_ways<InvalidArgumentError>(time, api, Request(request).cost(3)).kind() == ErrorKind::invalid_argument);
    CHECK(both_ways<InvalidArgumentError>(time, api, Request(request).cost(0)).kind() == ErrorKind::invalid_argument);
    breaker.isolate(time.now());
    const auto isolated = both_ways<CircuitBreakerOpenError>(time, api, request);
    CHECK(isolated.kind() == ErrorKind::circuit_open);
    CHECK_FALSE(isolated.retry_after());
    breaker.reset(time.now());
    breaker.try_admit(time.now())->record(Outcome{.verdict = Verdict::failure}, time.now());
    CHECK(both_ways<CircuitBreakerOpenError>(time, api, request).retry_after() == 10s);
    breaker.reset(time.now());
    (void)time.run(api.call(Request(request).cost(2)));
    const auto limited = both_ways<LocalRateLimitError>(time, api, request);

    CHECK(limited.kind() == ErrorKind::rate_limited);
    CHECK(limited.retry_after() == 1h);
    CHECK(limited.ledger().stop_reason() == StopReason::refused);
    CHECK_FALSE(limited.maybe_processed());
    CHECK(api.server().requests().size() == 1);
}

TEST_CASE("errors: a pool without a free connection is an error of its own", "[client][error]")
{
    VirtualTime time;
    ClientOptions options("http://api.test");
    options.pool({.max_connections = 1, .max_waiting = 1}).timeouts({.pool_wait = 3s});
    auto api = scripted_client(time, {no_answer()}, options);
    auto holder = time.start(api.get("/").try_send());
    time.run_for(1s);

    auto waiter = time.start(api.get("/").try_send());
    time.settle();
    const auto full = time.run(api.get("/").try_send()).error();
    time.run_for(4s);

    CHECK(full.kind() == ErrorKind::queue_full);
    REQUIRE(waiter.done());
    const auto error = waiter.get().error();
    CHECK(error.kind() == ErrorKind::pool_timeout);
    CHECK(error.timer() == Timer::pool_wait);
    CHECK(error.timer_value() == 3s);
    CHECK(error.ledger()[0].pool_wait >= 3s);
    CHECK(error.ledger()[0].verdict == Verdict::neutral);
    CHECK_FALSE(holder.done());
}

TEST_CASE("errors: the body's excerpt is bounded", "[client][error]")
{
    VirtualTime time;
    ClientOptions options("http://api.test");
    options.max_error_body(10);
    auto api = scripted_client(time, {status(400, {}, std::string(1000, 'x')), ok_json(std::string(1000, '['))}, options);

    CHECK(time.run(api.get("/").try_send()).error().body() == std::string(10, 'x'));
    CHECK(time.run(api.get("/").try_as<nlohmann::json>()).error().body() == std::string(10, '['));
}

TEST_CASE("errors: TLS without a certificate authority is told before anything is dialled", "[client][error]")
{
    VirtualTime time;
    const ScriptedWorld world(time);
    ClientOptions options("https://api.test");
    options.tls(TlsContext().trust_nothing());
    const ScriptedClient<> api(world, time, options);

    CHECK(both_ways<NoTrustAnchorsError>(time, api, Request{}).kind() == ErrorKind::no_trust_anchors);
    CHECK(world.network->connects() == 0);
}

TEST_CASE("errors: what an earlier attempt may have done is told by the last error", "[client][error]")
{
    VirtualTime time;
    const CircuitBreaker breaker{{.consecutive_failures = 1, .open_jitter = 0}};
    const RetryWithBackoff bold{{.jitter = Jitter::none, .retry_unsafe = true}};
    auto api = scripted_client(time, {reset()}, ClientOptions("http://api.test"), breaker, bold);

    const auto error = time.run(api.post("/").try_send()).error();

    CHECK(error.kind() == ErrorKind::circuit_open);
    CHECK(error.ledger().size() == 2);
    CHECK(error.maybe_processed());
}

TEST_CASE("success: status, headers, body, elapsed time and ledger", "[client][CL-10]")
{
    VirtualTime time;
    auto api = scripted_client(time, {status(201, {}, "made").header("Location", "/7").header("Set-Cookie", "a").header("Set-Cookie", "b").after(2s)});

    const auto response = time.run(api.post("/").send());

    CHECK(response.status() == 201);
    CHECK(response.ok());
    CHECK(response.header("location") == "/7");
    CHECK(response.headers().count("Set-Cookie") == 2);
    CHECK(response.body() == "made");
    CHECK(response.text() == "made");
    CHECK(response.elapsed() == 2s);
    CHECK(response.ledger().size() == 1);
    CHECK(response.ledger().stop_reason() == StopReason::done);
}

TEST_CASE("success: an empty answer and a redirect are answers", "[client][CL-2]")
{
    VirtualTime time;
    auto api = scripted_client(time, {status(204), ok(), status(302).header("Location", "/x"), status(304)});

    for (const int code : {204, 200, 302, 304}) {
        const auto response = time.run(api.delete_("/").send());
        CHECK(response.status() == code);
        CHECK(response.body().empty());
        CHECK(response.ledger().size() == 1);
    }
    CHECK(api.server().connections() == 1);
}

} // namespace khive_tests::client_core_test

// SPDX-License-Identifier: BSL-1.0
#include <khive/client/timeouts.hpp>

#include <khive/core/exceptions.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

namespace khive_tests::timeouts_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

namespace {

ClientOptions with(const Timeouts& timeouts)
{
    ClientOptions options("http://api.test");
    options.timeouts(timeouts);
    return options;
}

void check_timeout(const Error& error, Timer timer, Duration value)
{
    CHECK(error.kind() == ErrorKind::timeout);
    CHECK(error.timer() == timer);
    CHECK(error.timer_value() == value);
    CHECK(error.message().find(std::string(to_string(timer))) != std::string::npos);
}

} // namespace

TEST_CASE("Timeouts: what makes sense is accepted, also a total shorter than the stages' defaults", "[client][timeout]")
{
    const Timeouts good = GENERATE(Timeouts{}, Timeouts{.total = 1s}, Timeouts{.total = unlimited},
                                   Timeouts{.attempt = 10s, .total = 10s}, Timeouts{.first_byte = 60s},
                                   Timeouts{.read_stall = 15min, .total = 20min}, Timeouts{.read_stall = unlimited, .total = 5s},
                                   Timeouts{.connect = 2min, .total = unlimited});

    CHECK_FALSE(good.check().failed());
}

TEST_CASE("Timeouts: contradictions are refused by name, and no timer is a hidden ceiling", "[client][timeout]")
{
    const auto [bad, name] = GENERATE(table<Timeouts, std::string>({
        {{.pool_wait = 0s}, "pool_wait"},
        {{.pool_wait = 61s}, "pool_wait"},
        {{.resolve = 0s}, "resolve"},
        {{.connect = -1s}, "connect"},
        {{.tls_handshake = 0s}, "tls_handshake"},
        {{.write_stall = 0s}, "write_stall"},
        {{.first_byte = 0s}, "first_byte"},
        {{.read_stall = 0s}, "read_stall"},
        {{.attempt = 0s}, "attempt"},
        {{.total = 0s}, "total"},
        {{.attempt = 61s}, "attempt"},
        {{.first_byte = 2s, .attempt = 1s}, "first_byte"},
        {{.first_byte = 15min}, "first_byte"},
        {{.read_stall = 15min}, "read_stall"},
        {{.write_stall = 61s}, "write_stall"},
        {{.connect = 20s, .total = 10s}, "connect"},
    }));

    const auto error = bad.check();

    REQUIRE(error.failed());
    CHECK(error.kind() == ErrorKind::configuration);
    CHECK_THAT(error.message(), contains(name));
    CHECK_THROWS_AS(with(bad), ConfigurationError);
}

TEST_CASE("Timeouts: a retry policy's limits that could never run out are refused when the client is made", "[client][timeout]")
{
    VirtualTime time;
    const RetryOptions bad = GENERATE(RetryOptions{.total_timeout = 5min}, RetryOptions{.attempt_timeout = 2min});

    CHECK_THROWS_AS(scripted_client(time, {}, ClientOptions("http://api.test"), RetryWithBackoff{bad}), ConfigurationError);
    CHECK_NOTHROW(scripted_client(time, {}, with({.total = 10min}), RetryWithBackoff{bad}));
}

TEST_CASE("Timeouts: first_byte names itself and its value", "[client][timeout]")
{
    VirtualTime time;
    auto api = scripted_client(time, {no_answer()}, with({.first_byte = 3s}));

    const auto error = time.run(api.post("/").try_send()).error();

    check_timeout(error, Timer::first_byte, 3s);
    CHECK(error.maybe_processed());
    CHECK(error.retryable());
    CHECK(time.elapsed() >= 3s);
    CHECK(time.elapsed() <= 3s + 200ms);
    CHECK(api.connections().open() == 0);
}

TEST_CASE("Timeouts: read_stall bounds a gap, not the whole", "[client][timeout]")
{
    VirtualTime time;
    auto api = scripted_client(time, {trickle(ok(std::string(20, 'x')), 10, 5s), ok(std::string(20, 'x')).cut_after(50)},
                               with({.read_stall = 6s, .total = unlimited}));

    CHECK(time.run(api.get("/").send()).body().size() == 20);
    CHECK(time.elapsed() > 6s);
    check_timeout(time.run(api.get("/").try_send()).error(), Timer::read_stall, 6s);
}

TEST_CASE("Timeouts: write_stall ends a request that nobody reads", "[client][timeout]")
{
    VirtualTime time;
    auto api = scripted_client(time, {}, with({.write_stall = 4s}));
    api.address().send_window(10).latency(1h);

    const auto error = time.run(api.put("/").body(std::string(1000, 'x')).try_send()).error();

    check_timeout(error, Timer::write_stall, 4s);
    CHECK(error.maybe_processed());
}

TEST_CASE("Timeouts: resolve and connect name themselves, and nothing was sent", "[client][timeout]")
{
    VirtualTime time;
    auto api = scripted_client(time, {}, with({.resolve = 2s, .connect = 3s}));

    api.network().host("api.test").delay(unlimited);
    const auto resolve = time.run(api.post("/").try_send()).error();
    api.network().host("api.test").delay(0s);
    api.address().black_hole();
    const auto connect = time.run(api.post("/").try_send()).error();

    check_timeout(resolve, Timer::resolve, 2s);
    CHECK_FALSE(resolve.maybe_processed());
    CHECK(connect.retryable());
    CHECK_FALSE(connect.maybe_processed());
    CHECK((connect.kind() == ErrorKind::connect || connect.timer() == Timer::connect));
}

TEST_CASE("Timeouts: a server that drips for ever is ended by total", "[client][timeout][CL-11]")
{
    VirtualTime time;
    auto api = scripted_client(time, {trickle(ok(std::string(1000, 'x')), 1, 9s)}, with({.read_stall = 10s, .total = 30s}));

    const auto error = time.run(api.get("/").try_send()).error();

    check_timeout(error, Timer::total, 30s);
    CHECK(time.elapsed() >= 30s);
    CHECK(time.elapsed() <= 30s + 200ms);
}

TEST_CASE("Timeouts: attempt bounds each attempt, total all of them with the delays between", "[client][timeout]")
{
    VirtualTime time;
    auto api = scripted_client(time, {no_answer(), no_answer(), no_answer(), ok()}, with({.attempt = 10s, .total = 25s}),
                               exact_retry(5));

    const auto error = time.run(api.get("/").try_send()).error();

    check_timeout(error, Timer::total, 25s);
    REQUIRE(error.ledger().size() == 3);
    CHECK(error.ledger()[0].timer == Timer::attempt);
    CHECK(error.ledger()[1].timer == Timer::attempt);
    CHECK(error.ledger()[2].timer == Timer::total);
    CHECK(time.elapsed() <= 25s + 200ms);
}

TEST_CASE("Timeouts: a replay on a fresh connection has what is left of its attempt", "[client][timeout]")
{
    VirtualTime time;
    const bool while_dialling = GENERATE(false, true);
    auto api = scripted_client(time, {ok(), delay(7s, reset())}, with({.attempt = 10s}), exact_retry(2));
    if (!while_dialling) api.server().reply(no_answer());
    api.server().reply(ok());
    CHECK(time.run(api.get("/").try_send()).has_value());
    if (while_dialling) api.address().connect_delay(4s);

    auto call = time.start(api.get("/").try_send());
    time.run_for(9999ms);
    CHECK_FALSE(call.done());
    time.run_until_idle();

    const auto response = call.get().value();
    REQUIRE(response.ledger().size() == 2);
    CHECK(response.ledger()[0].replayed);
    CHECK(response.ledger()[0].timer == Timer::attempt);
    CHECK(response.ledger()[0].elapsed == 10s);
}

TEST_CASE("Timeouts: the retry policy's limits count, and a request's own beat them", "[client][timeout]")
{
    VirtualTime time;
    const RetryWithBackoff retry{{.max_attempts = 1, .attempt_timeout = 2s, .total_timeout = 4s}};
    auto api = scripted_client(time, {no_answer(), ok().after(3s), ok().after(9s)}, ClientOptions("http://api.test"), retry);

    check_timeout(time.run(api.get("/").try_send()).error(), Timer::attempt, 2s);
    CHECK(time.run(api.get("/").attempt_timeout(4s).try_send()).has_value());
    CHECK(time.run(api.get("/").attempt_timeout(10s).timeout(10s).try_send()).has_value());
    api.server().reply(ok().after(9s));
    CHECK(time.run(api.get("/").timeouts({.attempt = 10s, .total = 20s}).try_send()).has_value());
    api.server().reply(ok().after(9s));
    const auto late = time.run(api.get("/").timeouts({.connect = 4s}).try_send()).error();
    check_timeout(late, Timer::attempt, 2s); // what it leaves alone stays the policy's
    CHECK(late.elapsed() == 2s);
}

TEST_CASE("Timeouts: a request's own limits replace the client's, longer or shorter", "[client][timeout]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok().after(50s), no_answer(), no_answer(), ok().after(50s)},
                               with({.first_byte = 8s, .attempt = 20s, .total = 20s}));

    CHECK(time.run(api.get("/").timeouts({.total = unlimited}).try_send()).has_value());
    check_timeout(time.run(api.get("/").timeout(5s).try_send()).error(), Timer::total, 5s);
    check_timeout(time.run(api.get("/").attempt_timeout(6s).try_send()).error(), Timer::attempt, 6s);
    check_timeout(time.run(api.get("/").timeout(10min).try_send()).error(), Timer::first_byte, 8s);
}

TEST_CASE("Timeouts: a request's own limits hold for the connection that is made for it, and for the wait for one", "[client][timeout]")
{
    VirtualTime time;
    ClientOptions options("http://api.test");
    options.pool({.max_connections = 1});
    auto api = scripted_client(time, {no_answer()}, options);

    SECTION("connect")
    {
        api.address().black_hole();
        check_timeout(time.run(api.get("/").timeouts({.connect = 20s}).try_send()).error(), Timer::connect, 20s);
        check_timeout(time.run(api.get("/").try_send()).error(), Timer::connect, 5s);
    }
    SECTION("resolve")
    {
        api.network().host("api.test").delay(1h);
        check_timeout(time.run(api.get("/").timeouts({.resolve = 7s}).try_send()).error(), Timer::resolve, 7s);
    }
    SECTION("pool_wait")
    {
        auto holder = time.start(api.get("/").timeouts({.read_stall = unlimited, .total = unlimited}).try_send());
        time.run_for(1s);
        const auto error = time.run(api.get("/").timeouts({.pool_wait = 8s}).try_send()).error();
        CHECK(error.kind() == ErrorKind::pool_timeout);
        CHECK(error.timer_value() == 8s);
        CHECK_FALSE(holder.done());
    }
}

TEST_CASE("Timeouts: waiting for a token counts, and a wait that cannot fit is refused at once", "[client][timeout]")
{
    VirtualTime time;
    auto api = scripted_client(time, {}, with({.total = 5s}),
                               TokenBucketRateLimiter{{.rate = 1, .period = 1min, .burst = 1}});
    (void)time.run(api.get("/").send());

    const auto error = time.run(api.get("/").try_send()).error();

    CHECK(error.kind() == ErrorKind::rate_limited);
    CHECK(error.retry_after() == 60s);
    CHECK(time.elapsed() == 0s);
}

TEST_CASE("Timeouts: after one the connection is not used again", "[client][timeout]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok("late").after(10s), ok("right")}, with({.first_byte = 5s}));

    CHECK(time.run(api.get("/").try_send()).has_error());
    time.run_for(20s);
    const auto next = time.run(api.get("/").send());

    CHECK(next.body() == "right");
    CHECK(api.server().connections() == 2);
}

} // namespace khive_tests::timeouts_test

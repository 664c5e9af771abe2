// SPDX-License-Identifier: BSL-1.0
// Every kind of error, made with secrets wherever a caller and a server can have any: none of them stands in any text.
#include "hostile/hostile.hpp"

#include <khive/client/json.hpp>
#include <khive/client/logging.hpp>

#include "support/scripted_client.hpp"

#include <spdlog/sinks/ostream_sink.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <utility>

namespace khive_tests::secrets_test {

namespace {

/// All secrets hold it.
const std::string mark = "hunter2";

/// What has been seen of errors, and a logger that a client writes to.
class Examiner {
public:
    [[nodiscard]] std::shared_ptr<CallObserver> observer() const { return std::make_shared<SpdlogObserver>(logger_); }

    void examine(const Error& error)
    {
        REQUIRE(error.kind() != ErrorKind{});
        INFO(to_string(error.kind()));
        kinds_.insert(error.kind());
        if (error.kind() == ErrorKind::timeout) timers_.insert(error.timer());
        check(error.message());
        check(std::string(error.reason()));
        check(std::string(error.url()));
        check(std::string(error.method()));
        check(error.cause().message());
        check(error.ledger().summary());
        try {
            error.raise();
        } catch (const std::exception& thrown) {
            check(thrown.what());
        }
    }
    template <class T>
    void examine(const Result<T>& result)
    {
        REQUIRE(result.has_error());
        examine(result.error());
    }
    /// What `make` throws.
    void examine_thrown(const std::function<void()>& make)
    {
        try {
            make();
            FAIL("nothing was thrown");
        } catch (const APIClientError& thrown) {
            examine(thrown.error());
        }
    }
    void check_log() const { check(log_.str()); }

    [[nodiscard]] const std::set<ErrorKind>& kinds() const noexcept { return kinds_; }
    [[nodiscard]] const std::set<Timer>& timers() const noexcept { return timers_; }

private:
    static void check(const std::string& text) { CHECK_THAT(text, !contains(mark)); }

    std::ostringstream log_;
    std::shared_ptr<spdlog::logger> logger_ =
        std::make_shared<spdlog::logger>("secrets", std::make_shared<spdlog::sinks::ostream_sink_mt>(log_));
    std::set<ErrorKind> kinds_;
    std::set<Timer> timers_;
};

Timeouts all_short()
{
    Timeouts timeouts;
    timeouts.pool_wait = 1s;
    timeouts.resolve = 1s;
    timeouts.connect = 1s;
    timeouts.tls_handshake = 1s;
    timeouts.write_stall = 1s;
    timeouts.first_byte = 1s;
    timeouts.read_stall = 1s;
    timeouts.total = 30s;
    return timeouts;
}

ClientOptions secretive(const Examiner& examiner,
                        const std::string& base = "http://user-hunter2:password-hunter2@api.test/v1")
{
    ClientOptions options(base);
    options.header("X-Tenant-Token", "tenant-hunter2").secret_header("X-Api-Key", Secret("key-hunter2"));
    options.timeouts(all_short()).observer(examiner.observer());
    return options;
}

/// A request with a secret in every place that has room for one.
RequestBuilder secret_request(const AnyAPIClient& api, std::string_view method = "POST")
{
    auto request = api.request(method, "/things/{}?signature=signed-hunter2", 42);
    request.query("token", "query-hunter2").header("Cookie", "session=cookie-hunter2").bearer(Secret("bearer-hunter2"));
    request.header("X-Signature", "header-hunter2").idempotency_key("idempotent-hunter2").body("body-hunter2", "text/plain");
    return request;
}

/// What a server says that knows secrets.
Reply telling(Reply reply)
{
    return reply.header("Set-Cookie", "session=set-hunter2").header("Location", "http://api.test/?token=location-hunter2");
}

/// Reads nothing.
class Deaf final : public SimulatedServer {
    void on_connection(SimulatedPeer peer) override { peer.stop_reading(); }
    void on_bytes(SimulatedPeer, std::string_view) override {}
};

/// Makes calls against a simulated server, one world each.
struct World {
    explicit World(const Examiner& examiner, std::initializer_list<Reply> replies = {}, const std::string& base = {})
        : api(base.empty() ? scripted_client(time, replies, secretive(examiner))
                           : scripted_client(time, replies, secretive(examiner, base)))
    {}
    [[nodiscard]] Result<Response> call() { return time.run(secret_request(api).try_send()); }

    VirtualTime time;
    ScriptedClient<> api;
};

void examine_answers(Examiner& examiner)
{
    const std::vector<Reply> replies{
        raw("SSH-2.0-hunter2\r\n\r\n"),
        raw("HTTP/1.1 hunter2 OK\r\n\r\n"),
        raw("HTTP/1.1 200 OK\r\nhunter2 : x\r\n\r\n"),
        raw("HTTP/1.1 200 OK\r\nContent-Length: hunter2\r\n\r\n"),
        raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: hunter2\r\n\r\n"),
        raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhunter2\r\n"),
        raw("HTTP/1.1 200 OK\r\nX: hunter2\nY: z\r\n\r\n"),
        ok(std::string(10'000, 'x') + mark).cut_after(200).then_close(),
        ok(mark).header("X-Long-hunter2", repeated(mark, 20'000)),
        telling(status(401, {}, "denied for hunter2")).header("WWW-Authenticate", "Bearer realm=\"hunter2\""),
        telling(status(429, {}, "hunter2")).header("Retry-After", mark),
        telling(status(500, {}, "{\"error\":\"hunter2\"}")).reason("hunter2"),
        reset(),
        no_answer(),
        ok(mark).cut_after(30),
    };
    for (const Reply& reply : replies) {
        World world(examiner, {reply});
        INFO(reply.bytes().substr(0, 100));
        examiner.examine(world.call());
    }
    World decoding(examiner, {ok_json("{\"a\":\"hunter2\"}"), ok("\"hunter2")});
    examiner.examine(decoding.time.run(secret_request(decoding.api).try_as<int>()));
    examiner.examine(decoding.time.run(secret_request(decoding.api).try_as<nlohmann::json>()));
    World large(examiner, {ok(repeated(mark, 100))});
    ClientOptions small = secretive(examiner);
    small.limits({.max_body_bytes = 10});
    const AsyncAPIClient limited{large.time.context(), small};
    examiner.examine(large.time.run(secret_request(limited).try_send()));
}

void examine_connections(Examiner& examiner)
{
    World refusing(examiner);
    refusing.api.address().refuse();
    examiner.examine(refusing.call());
    World unreachable(examiner);
    unreachable.api.address().black_hole();
    examiner.examine(unreachable.call());
    World nameless(examiner);
    nameless.api.network().host("api.test").fail();
    examiner.examine(nameless.call());
    World slow(examiner);
    slow.api.network().host("api.test").delay(10s);
    examiner.examine(slow.call());
    World stalled(examiner);
    stalled.api.network().serve("api.test", 80, std::make_shared<Deaf>()).send_window(10);
    examiner.examine(stalled.call());
    World silent(examiner, {no_answer()}, "https://user-hunter2:password-hunter2@api.test:80/v1");
    examiner.examine(silent.call()); // no trust anchors, or a handshake that nobody answers

    const auto server = make_server(Transport::tls);
    asio::io_context io;
    for (const bool trusts : {true, false}) {
        ClientOptions options =
            secretive(examiner, "https://user-hunter2:password-hunter2@localhost:" + std::to_string(server->port()));
        TlsContext nobody;
        options.timeouts({.total = 30s}); // it is to hear of the certificate
        options.tls(trusts ? trusting(TestIdentity().root) : nobody.trust_nothing());
        const AsyncAPIClient api{io, options};
        examiner.examine(run(io, secret_request(api).try_send()));
    }
    server->on_accept(no_answer());
    ClientOptions options =
        secretive(examiner, "https://user-hunter2:password-hunter2@localhost:" + std::to_string(server->port()));
    Timeouts hasty = all_short();
    hasty.tls_handshake = 50ms;
    options.tls(trusting(test_identity().root)).timeouts(hasty);
    const AsyncAPIClient api{io, options};
    examiner.examine(run(io, secret_request(api).try_send()));
}

void examine_limits(Examiner& examiner)
{
    World world(examiner);
    const auto call_with = [&](auto policy, std::string_view method = "POST") {
        const AsyncAPIClient api{world.time.context(), secretive(examiner), policy};
        return world.time.run(secret_request(api, method).try_send());
    };
    const CircuitBreaker breaker = CircuitBreaker{}.named("breaker");
    breaker.isolate(world.time.now());
    examiner.examine(call_with(breaker));
    examiner.examine(call_with(TokenBucketRateLimiter{{.rate = 1, .period = 1h, .initial_tokens = 0}}));
    examiner.examine(call_with(TokenBucketRateLimiter{{.rate = 1, .initial_tokens = 0, .max_waiters = 0}}));
    AsyncExecutor busy{{.max_concurrency = 1}};
    const auto slot = busy.try_enter(world.time.now());
    examiner.examine(call_with(busy)); // until the total time is up, in the queue

    World narrow(examiner, {ok().after(20s), no_answer()});
    VirtualTime& time = narrow.time;
    ClientOptions one = secretive(examiner);
    one.pool({.max_connections = 1});
    one.timeouts({.pool_wait = 1s, .attempt = 3s});
    const AsyncAPIClient api{time.context(), one};
    auto first = time.start(secret_request(api).try_send());
    time.settle();
    examiner.examine(time.run(secret_request(api).try_send()));
    time.run_for(5s);
    examiner.examine(first.get());

    auto cancelled = time.start(secret_request(api).try_send());
    time.settle();
    cancelled.cancel();
    time.settle();
    examiner.examine(cancelled.get());
    time.run(api.close(1s));
    examiner.examine(time.run(secret_request(api).try_send()));
}

void examine_mistakes(Examiner& examiner)
{
    World world(examiner);
    const auto call = [&](const std::function<void(RequestBuilder&)>& spoil, std::string_view method = "GET",
                          std::string_view path = "/") {
        auto request = world.api.request(method, path);
        spoil(request);
        return world.time.run(std::move(request).try_send());
    };
    examiner.examine(call([](RequestBuilder& request) { request.header("X-Token", "hunter2\r\n"); }));
    examiner.examine(call([](RequestBuilder& request) { request.bearer(Secret("hunter2\n")); }));
    examiner.examine(call([](RequestBuilder& request) { request.idempotency_key("hunter2\r"); }));
    for (const char* path : {"http://u:hunter2@[::1", "http://u:hunter2@host:99999/", "http://u:hunter2@host/\r\n",
                             "/?token=hunter2\r\n", "http://u:hunter2@/", "http://u:hunter2@a@b/"}) {
        INFO(path);
        examiner.examine(call([](RequestBuilder&) {}, "GET", path));
    }

    for (const char* base : {"http://user:hunter2@", "http://user:hunter2@host:x/", "ftp://user:hunter2@host/",
                             "http://user:hunter2@ho st/", "http://host/?token=hunter2 "})
        examiner.examine_thrown([&] { (void)ClientOptions(base); });
    examiner.examine_thrown([&] { ClientOptions("http://h").header("X-Key", "hunter2\r\n"); });
    examiner.examine_thrown([&] { ClientOptions("http://h").secret_header("X-Key", Secret("hunter2\r\n")); });
    examiner.examine_thrown([&] { ClientOptions("http://h").basic_auth("user:hunter2", Secret("x")); });
    examiner.examine_thrown([&] { ClientOptions("http://h").bearer(Secret("hunter2\n")); });
    ClientOptions contradictory = secretive(examiner);
    examiner.examine_thrown([&] {
        contradictory.timeouts({.attempt = 5s, .total = 1s});
        const AsyncAPIClient api{world.time.context(), contradictory};
    });
}

} // namespace

TEST_CASE("Hostile: no error of any kind, and no record of it, holds a secret", "[hostile][secrets]")
{
    Examiner examiner;
    examine_answers(examiner);
    examine_connections(examiner);
    examine_limits(examiner);
    examine_mistakes(examiner);
    examiner.check_log();

    for (int kind = static_cast<int>(ErrorKind::invalid_argument); kind <= static_cast<int>(ErrorKind::closed); ++kind) {
        INFO(to_string(static_cast<ErrorKind>(kind)));
        CHECK(examiner.kinds().contains(static_cast<ErrorKind>(kind)));
    }
    for (const Timer timer : {Timer::resolve, Timer::connect, Timer::tls_handshake, Timer::write_stall, Timer::first_byte,
                              Timer::read_stall, Timer::attempt, Timer::total}) {
        INFO(to_string(timer));
        CHECK(examiner.timers().contains(timer));
    }
}

} // namespace khive_tests::secrets_test

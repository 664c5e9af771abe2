// SPDX-License-Identifier: BSL-1.0
#include "unit/net/net_world.hpp"

#include "support/catch.hpp"
#include "support/tls_front.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace khive_tests::connection_test {

using namespace khive::testing;

namespace {

/// Remembers what it is told.
struct Keeper final : net::ConnectionKeeper {
    std::optional<Error> dial_end;
    void on_dialled(net::Connection&, Error error) noexcept override { dial_end = std::move(error); }
    void on_idle_ended(net::Connection&) noexcept override {}
};

struct ConnectionWorld : NetWorld {
    DialTimeouts dial_timeouts;
    http::ReaderLimits limits;
    net::TlsContext tls;
    std::shared_ptr<Keeper> keeper = std::make_shared<Keeper>();
    net::ConnectionPtr connection;
    TimePoint began{};

    void make()
    {
        const net::ConnectionSetupPtr setup(new net::ConnectionSetup(origin, time.executor(), network, tls, limits, keeper));
        connection.reset(new net::Connection(setup));
    }
    net::ConnectionPtr& dial()
    {
        make();
        REQUIRE_FALSE(connection->dial(dial_timeouts));
        return connection;
    }
    /// Dials and waits for the end.
    Error dialled()
    {
        dial();
        time.run_until_idle();
        began = time.now();
        return keeper->dial_end.value();
    }
    /// Since `dialled`.
    [[nodiscard]] Duration elapsed() { return time.now() - began; }
    [[nodiscard]] Started<Exchanged> start(const Sending& sending)
    {
        return time.start(exchange_on(connection, std::make_shared<Sending>(sending)));
    }
    [[nodiscard]] Exchanged exchange(const Sending& sending = a_get("/"))
    {
        return time.run(exchange_on(connection, std::make_shared<Sending>(sending)));
    }
    /// The answer to one request on a new connection.
    [[nodiscard]] Exchanged answer(Reply reply, const Sending& sending = a_get("/"))
    {
        server->reply(std::move(reply));
        REQUIRE(dialled().kind() == ErrorKind{});
        return exchange(sending);
    }
};

/// Answers as soon as it has seen the first bytes of a request, and goes on reading or does not.
class HastyServer final : public SimulatedServer {
public:
    HastyServer(std::string answer, bool reads) : answer_(std::move(answer)), reads_(reads) {}
    void on_bytes(SimulatedPeer peer, std::string_view bytes) override
    {
        received += bytes.size();
        if (std::exchange(answered_, true)) return;
        peer.send(answer_);
        if (!reads_) peer.stop_reading();
    }

    std::size_t received = 0;

private:
    std::string answer_;
    bool reads_;
    bool answered_ = false;
};

/// Takes nothing of a request; says why and breaks the connection.
class Refuser final : public SimulatedServer {
public:
    explicit Refuser(std::string answer) : answer_(std::move(answer)) {}
    void on_connection(SimulatedPeer peer) override { peer.stop_reading().pause(5ms).send(answer_).reset(); }
    void on_bytes(SimulatedPeer, std::string_view) override {}

private:
    std::string answer_;
};

/// With a server that speaks TLS.
struct TlsWorld : ConnectionWorld {
    TlsWorld()
    {
        origin.tls = true;
        there.serve(front);
        tls = trusting(identity.root).server_name("localhost");
    }

    const TestIdentity identity;
    std::shared_ptr<TlsFront> front =
        std::make_shared<TlsFront>(identity.server, [](const ReceivedRequest&) { return ok("hello"); });
};

} // namespace

// --- Dialling ---------------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(ConnectionWorld, "Connection: dials, and says how long each stage took", "[net][connection]")
{
    network->host("api.test").delay(30ms);
    there.connect_delay(20ms);

    CHECK(dialled().kind() == ErrorKind{});

    CHECK(connection->dial_times().resolve == 30ms);
    CHECK(connection->dial_times().connect == 20ms);
    CHECK(connection->peer().to_string() == "10.0.0.1:80");
    CHECK(connection->uses() == 0);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: a lookup that takes too long is named", "[net][connection]")
{
    network->host("api.test").delay(1h);
    dial_timeouts.resolve = 3s;

    dial();
    time.run_for(2999ms);
    CHECK_FALSE(keeper->dial_end.has_value());
    time.run_for(1ms);

    REQUIRE(keeper->dial_end.has_value());
    CHECK(keeper->dial_end->kind() == ErrorKind::timeout);
    CHECK(keeper->dial_end->timer() == Timer::resolve);
    CHECK(keeper->dial_end->timer_value() == 3s);
    CHECK(keeper->dial_end->retryable());
    CHECK_FALSE(keeper->dial_end->maybe_processed());
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: a lookup that answers after its time changes nothing", "[net][connection]")
{
    network->host("api.test").delay(10s);
    dial_timeouts.resolve = 3s;

    CHECK(dialled().timer() == Timer::resolve);

    CHECK(network->connects() == 0);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: a connect that takes too long is named", "[net][connection]")
{
    there.black_hole();
    dial_timeouts.connect = 4s;

    const Error error = dialled();

    CHECK(error.kind() == ErrorKind::timeout);
    CHECK(error.timer() == Timer::connect);
    CHECK(error.timer_value() == 4s);
    CHECK(time.elapsed() == 4s);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: tries address by address", "[net][connection]")
{
    network->host("api.test").addresses({"10.1.0.1", "10.1.0.2", "10.1.0.3"});
    network->address("10.1.0.2", 80).fail(asio::error::network_unreachable);
    network->address("10.1.0.3", 80).serve(server);

    CHECK(dialled().kind() == ErrorKind{});

    CHECK(connection->peer().to_string() == "10.1.0.3:80");
    CHECK(network->connects() == 3);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: an address that does not answer leaves time for the next", "[net][connection]")
{
    network->host("api.test").addresses({"10.1.0.1", "10.1.0.2"});
    network->address("10.1.0.1", 80).black_hole();
    network->address("10.1.0.2", 80).serve(server);
    dial_timeouts.connect = 4s;

    CHECK(dialled().kind() == ErrorKind{});

    CHECK(time.elapsed() >= 2s);
    CHECK(connection->dial_times().connect == 2s);
    CHECK(connection->peer().to_string() == "10.1.0.2:80");
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: an address that answers just as its share of time ends is not used", "[net][connection]")
{
    network->host("api.test").addresses({"10.1.0.1", "10.1.0.2"});
    network->address("10.1.0.1", 80).serve(server).connect_delay(2s);
    network->address("10.1.0.2", 80).serve(server);
    dial_timeouts.connect = 4s;

    CHECK(dialled().kind() == ErrorKind{});

    CHECK(exchange().end.ok());
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: a request that says it is the last is", "[net][connection]")
{
    REQUIRE(dialled().kind() == ErrorKind{});
    Sending last = a_get("/");
    last.closes = true;

    const auto got = exchange(last);

    CHECK(got.end.ok());
    CHECK_FALSE(got.reusable);
    CHECK(there.open_connections() == 0);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: when no address can be reached the error names each", "[net][connection]")
{
    network->host("api.test").addresses({"10.1.0.1", "10.1.0.2", "::1"});
    network->address("10.1.0.1", 80).black_hole();

    const Error error = dialled();

    CHECK(error.kind() == ErrorKind::connect);
    CHECK(error.retryable());
    CHECK_FALSE(error.maybe_processed());
    CHECK(error.cause() == boost::system::error_code(asio::error::connection_refused));
    for (const char* peer : {"10.1.0.1:80", "10.1.0.2:80", "1]:80"})
        CHECK_THAT(error.message(), contains(peer));
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: a name that is not found is an error of its own", "[net][connection]")
{
    origin.host = "nowhere.test";

    const Error error = dialled();

    CHECK(error.kind() == ErrorKind::resolve);
    CHECK(error.cause() == boost::system::error_code(asio::error::host_not_found));
    CHECK_THAT(error.message(), contains("nowhere.test"));
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: a name without addresses is not found", "[net][connection]")
{
    network->host("api.test").addresses({});

    CHECK(dialled().kind() == ErrorKind::resolve);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: closed at each stage of a dial, the dial ends once with that reason", "[net][connection]")
{
    network->host("api.test").delay(1s);
    there.connect_delay(1s);
    const auto when = GENERATE(0ms, 500ms, 1000ms, 1500ms);
    dial();
    time.run_for(when);

    connection->close(Error{ErrorKind::cancelled});
    time.run_until_idle();

    REQUIRE(keeper->dial_end.has_value());
    CHECK(keeper->dial_end->kind() == ErrorKind::cancelled);
    CHECK(there.open_connections() == 0);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: closed before its dial begins, it dials nobody", "[net][connection]")
{
    make();
    connection->close();

    REQUIRE_FALSE(connection->dial(dial_timeouts));
    time.run_until_idle();

    REQUIRE(keeper->dial_end.has_value());
    CHECK(keeper->dial_end->kind() == ErrorKind::closed);
    CHECK(network->connects() == 0);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: TLS on a port that does not speak it is an error of TLS", "[net][connection][tls]")
{
    origin.tls = true;
    server->greet_with(raw("HTTP/1.1 400 Bad Request\r\n\r\n"));

    const Error error = dialled();

    CHECK(error.kind() == ErrorKind::tls);
    CHECK(there.open_connections() == 0);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: a TLS handshake that gets no answer ends in its own time", "[net][connection][tls]")
{
    origin.tls = true;
    auto mute = std::make_shared<SimulatedServerFunction>([](SimulatedPeer, std::string_view) {});
    there.serve(mute);
    dial_timeouts.tls_handshake = 2s;

    const Error error = dialled();

    CHECK(error.kind() == ErrorKind::timeout);
    CHECK(error.timer() == Timer::tls_handshake);
    CHECK(error.timer_value() == 2s);
    CHECK(time.elapsed() == 2s);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: a TLS handshake that is broken off is retryable", "[net][connection][tls]")
{
    origin.tls = true;
    const bool with_reset = GENERATE(false, true);
    there.serve(std::make_shared<SimulatedServerFunction>([=](SimulatedPeer peer, std::string_view) {
        if (with_reset)
            peer.reset();
        else
            peer.close();
    }));

    const Error error = dialled();

    CHECK(error.kind() == ErrorKind::tls);
    CHECK(error.retryable());
    CHECK_FALSE(error.maybe_processed());
}

TEST_CASE_METHOD(TlsWorld, "Connection: the end of a TLS handshake goes out with the first request",
                 "[net][connection][tls]")
{
    front->only(TLS1_3_VERSION);
    REQUIRE(dialled().kind() == ErrorKind{});
    CHECK(front->pieces() == 1);
    CHECK(front->finished_handshakes() == 0);

    const auto got = exchange();

    CHECK(front->pieces() == 2);
    CHECK(got.body == "hello");
    REQUIRE(got.reusable);
    CHECK(exchange().body == "hello");
    CHECK(front->pieces() == 3);
}

TEST_CASE_METHOD(TlsWorld, "Connection: the end of a TLS handshake goes out when no request follows",
                 "[net][connection][tls]")
{
    front->only(TLS1_3_VERSION);
    REQUIRE(dialled().kind() == ErrorKind{});

    connection->watch();
    time.settle();
    CHECK(front->finished_handshakes() == 1);

    const auto got = exchange();
    CHECK(got.body == "hello");
    CHECK(got.reusable);
    CHECK(front->pieces() == 3);
}

TEST_CASE_METHOD(TlsWorld, "Connection: closed before any request, a TLS connection has ended its handshake",
                 "[net][connection][tls]")
{
    front->only(TLS1_3_VERSION);
    REQUIRE(dialled().kind() == ErrorKind{});

    connection->close(Error{ErrorKind::closed});
    time.settle();

    CHECK(front->pieces() == 2);
}

TEST_CASE_METHOD(TlsWorld, "Connection: TLS in pieces of any size makes the same answer", "[net][connection][tls]")
{
    const auto version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
    const auto size = GENERATE(1u, 7u, 90u, 1000u);
    const bool idles_first = GENERATE(false, true);
    front->only(version);
    there.read_at_most(size).write_at_most(size);
    REQUIRE(dialled().kind() == ErrorKind{});
    const bool settles = GENERATE(false, true);
    if (idles_first) connection->watch();
    if (settles) time.settle();
    INFO("version " << version << ", pieces of " << size << ", idles first " << idles_first << ", settles " << settles);

    for (int i = 0; i < 2; ++i) {
        const auto got = exchange(a_post("/items", "0123456789"));
        CHECK(got.end.ok());
        CHECK(got.body == "hello");
        CHECK(got.reusable);
    }
}

// --- Exchanging -------------------------------------------------------------------------------------------------------

TEST_CASE_METHOD(ConnectionWorld, "Connection: sends a request and reads its answer", "[net][connection]")
{
    there.latency(10ms);

    const auto got = answer(ok("hello"), a_post("/items", "body"));

    CHECK(got.end.ok());
    CHECK(got.status == 200);
    CHECK(got.body == "hello");
    CHECK(got.reusable);
    CHECK(got.attempt.status == 200);
    CHECK(got.attempt.first_byte == 20ms);
    CHECK(server->requests().at(0).body == "body");
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: pieces of any size make the same answer", "[net][connection]")
{
    const auto size = GENERATE(1u, 2u, 3u, 7u, 1000u);
    there.read_at_most(size).write_at_most(size);
    server->reply(ok("hello").chunked(2));
    REQUIRE(dialled().kind() == ErrorKind{});

    const auto got = exchange(a_post("/items", "0123456789"));

    CHECK(got.body == "hello");
    CHECK(got.reusable);
    CHECK(server->requests().at(0).body == "0123456789");
}

TEST_CASE_METHOD(ConnectionWorld,
                 "Connection: what the first read has no room for makes the same answer, and the next one too",
                 "[net][connection]")
{
    // Around the room of the first read, of a body's buffer, and of what is read at once.
    const auto size = GENERATE(800u, 1023u, 1024u, 1025u, 8192u, 65'536u, 262'144u, 1'100'000u);
    const std::string body(size - GENERATE(0u, 100u, 200u), 'x');
    server->reply(GENERATE(true, false) ? ok(body) : ok(body).chunked(5000)).reply(ok("hello"));
    REQUIRE(dialled().kind() == ErrorKind{});

    const auto got = exchange();
    CHECK(got.body == body);
    REQUIRE(got.reusable);
    CHECK(got.attempt.bytes_received > body.size());
    CHECK(exchange().body == "hello");
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: an end that follows a read that was filled ends the answer",
                 "[net][connection]")
{
    const std::string head = "HTTP/1.1 200 OK\r\n\r\n";
    const auto size = GENERATE(1023u, 1024u, 1025u, 2048u);
    const std::string body(size - head.size(), 'x');

    const auto whole = answer(raw(head + body).then_close());
    CHECK(whole.body == body);
    CHECK_FALSE(whole.reusable);
    CHECK(answer(raw(head + body).then_reset()).end.error.kind() == ErrorKind::truncated_body);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: each timer of an exchange ends it by its name and value", "[net][connection]")
{
    const int which = GENERATE(0, 1, 2, 3, 4);
    const std::string body(1000, 'x');
    Sending sending = a_post("/", body);
    sending.timeouts = {7s, 8s, 9s};
    const Timer expected[] = {Timer::write_stall, Timer::first_byte, Timer::read_stall, Timer::read_stall, Timer::attempt};
    const Duration value[] = {7s, 8s, 9s, 9s, 2s};
    const Reply replies[] = {ok(), no_answer(), ok("hello").cut_after(10), ok("hello").cut_after(40), no_answer()};
    server->reply(replies[which]);
    if (which == 0) {
        there.serve(std::make_shared<SimulatedServerFunction>([](SimulatedPeer peer, std::string_view) { peer.stop_reading(); }));
        there.send_window(100);
    }
    REQUIRE(dialled().kind() == ErrorKind{});
    if (which == 4) sending.deadline = {time.now() + 2s, Timer::attempt, 2s};

    const auto got = exchange(sending);

    CHECK(got.end.error.kind() == ErrorKind::timeout);
    CHECK(got.end.error.timer() == expected[which]);
    CHECK(got.end.error.timer_value() == value[which]);
    CHECK(elapsed() == value[which]);
    CHECK(got.end.error.maybe_processed());
    CHECK_FALSE(got.reusable);
    time.run_until_idle();
    CHECK(there.open_connections() == 0);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: progress restarts the stall timers, not the total one", "[net][connection]")
{
    server->reply(trickle(ok("hello"), 1, 5s));
    REQUIRE(dialled().kind() == ErrorKind{});
    Sending patient = a_get("/");
    patient.timeouts.read_stall = 6s;

    SECTION("a slow drip is no stall")
    {
        CHECK(exchange(patient).body == "hello");
        CHECK(elapsed() > 60s);
    }
    SECTION("but it ends with the total time")
    {
        patient.deadline = {time.now() + 30s, Timer::total, 30s};
        const auto got = exchange(patient);
        CHECK(got.end.error.timer() == Timer::total);
        CHECK_FALSE(got.end.error.retryable());
        CHECK(elapsed() == 30s);
    }
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: no hidden ceiling on the first byte", "[net][connection]")
{
    const auto got = answer(delay(15min, ok("at last")));

    CHECK(got.body == "at last");
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: cancelled at any moment, the exchange ends once and the connection with it", "[net][connection]")
{
    there.latency(10ms);
    const auto when = GENERATE(0ms, 1ms, 10ms, 15ms, 20ms, 25ms, 30ms);
    server->reply(trickle(ok("hello"), 10, 5ms));
    REQUIRE(dialled().kind() == ErrorKind{});
    auto running = start(a_get("/"));
    time.settle();
    time.run_for(when);

    running.cancel();
    time.settle();

    REQUIRE(running.done());
    const auto got = running.get();
    CHECK(got.end.error.kind() == ErrorKind::cancelled);
    CHECK(got.end.error.maybe_processed());
    CHECK_FALSE(got.reusable);
    time.run_until_idle();
    CHECK(there.open_connections() == 0);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: cancelled before the system has told of the write, it may have been processed", "[net][connection]")
{
    REQUIRE(dialled().kind() == ErrorKind{});
    const auto serial = connection->next_serial();
    auto running = start(a_get("/"));
    time.context().restart();
    while (connection->next_serial() == serial) REQUIRE(time.context().poll_one() == 1); // until the exchange has begun

    connection->cancel_exchange(serial);
    time.run_until_idle();

    REQUIRE(running.done());
    CHECK(running.get().end.error.kind() == ErrorKind::cancelled);
    CHECK(running.get().end.error.maybe_processed());
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: a late cancellation does not touch the next exchange", "[net][connection]")
{
    server->reply(ok("one")).reply(delay(1s, ok("two")));
    REQUIRE(dialled().kind() == ErrorKind{});
    const auto serial = connection->next_serial();
    CHECK(exchange().body == "one");
    auto second = start(a_get("/"));
    time.settle();

    connection->cancel_exchange(serial);
    time.run_until_idle();

    CHECK(second.get().body == "two");
}

TEST_CASE_METHOD(
    ConnectionWorld,
    "Connection: an end that came together with the last answer is found before any timer ends the next exchange",
    "[net][connection]")
{
    server->reply(ok("one").then_end()).reply(no_answer());
    REQUIRE(dialled().kind() == ErrorKind{});
    CHECK(exchange().body == "one");

    const Exchanged second = exchange();

    CHECK(second.end.stale(true));
    CHECK(elapsed() < 300ms);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: an answer that takes longer than the second look is waited for",
                 "[net][connection]")
{
    server->reply(ok("one")).reply(delay(10s, ok("two")));
    REQUIRE(dialled().kind() == ErrorKind{});
    CHECK(exchange().body == "one");

    CHECK(exchange().body == "two");
    CHECK(elapsed() == 10s);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: an early answer ends the upload and the connection", "[net][connection]")
{
    const bool reads = GENERATE(true, false);
    auto hasty = std::make_shared<HastyServer>("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig", reads);
    there.serve(hasty).send_window(1000).write_at_most(500).latency(1ms);
    REQUIRE(dialled().kind() == ErrorKind{});

    const auto got = exchange(a_post("/", std::string(100'000, 'x')));

    CHECK(got.end.ok());
    CHECK(got.status == 413);
    CHECK(got.body == "big");
    CHECK_FALSE(got.reusable);
    CHECK(hasty->received < 100'000);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: an answer is read though the upload fails", "[net][connection]")
{
    there.serve(std::make_shared<Refuser>("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"));
    there.send_window(1000).write_at_most(500).read_at_most(5);
    dial();
    time.run_for(1ms);
    REQUIRE(keeper->dial_end->kind() == ErrorKind{});

    const auto got = exchange(a_post("/", std::string(100'000, 'x')));

    INFO(got.end.error.message());
    REQUIRE(got.end.ok());
    CHECK(got.status == 413);
    CHECK_FALSE(got.reusable);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: an upload that fails without an answer is a lost connection", "[net][connection]")
{
    there.serve(std::make_shared<SimulatedServerFunction>([](SimulatedPeer peer, std::string_view) { peer.reset(); }));
    there.send_window(1000).write_at_most(500).latency(1ms);
    REQUIRE(dialled().kind() == ErrorKind{});

    const auto got = exchange(a_post("/", std::string(100'000, 'x')));

    CHECK(got.end.error.kind() == ErrorKind::connection_lost);
    CHECK(got.end.error.maybe_processed());
    CHECK(got.end.error.retryable());
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: a server that closes without an answer loses the connection", "[net][connection]")
{
    const auto got = answer(close_without_answer());

    CHECK(got.end.error.kind() == ErrorKind::connection_lost);
    CHECK(got.end.error.maybe_processed());
    CHECK_FALSE(got.end.any_answer);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: a body cut short is truncated, by FIN and by RST, wherever it is cut", "[net][connection]")
{
    const bool with_reset = GENERATE(true, false);
    const bool chunked = GENERATE(true, false);
    Reply whole = ok("hello world");
    if (chunked) whole.chunked(4);
    const std::size_t size = whole.bytes().size();
    const std::size_t head = whole.bytes().find("\r\n\r\n") + 4;
    for (std::size_t cut = 0; cut < size; ++cut) {
        Reply reply = whole;
        reply.cut_after(cut);
        if (with_reset)
            reply.then_reset();
        else
            reply.then_close();

        const auto got = answer(reply);

        INFO("cut after " << cut << " of " << size << ", head " << head);
        CHECK(got.end.error.kind() == (cut < head ? ErrorKind::connection_lost : ErrorKind::truncated_body));
        CHECK(got.end.error.maybe_processed());
        CHECK(got.end.any_answer == (cut != 0));
        CHECK_FALSE(got.reusable);
    }
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: a body that ends with the connection is whole by FIN, not by RST", "[net][connection]")
{
    CHECK(answer(ok("hello").until_close()).body == "hello");
    CHECK(answer(ok("hello").until_close().then_reset()).end.error.kind() == ErrorKind::truncated_body);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: an answer that is none is a protocol error, and the connection is closed", "[net][connection]")
{
    const auto bytes = GENERATE(as<std::string>{}, "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
                                "HTTP/1.1 101 Switching\r\n\r\n", "HTTP/1.1 200 OK\nContent-Length: 0\n\n");

    const auto got = answer(raw(bytes));

    CHECK(got.end.error.kind() == ErrorKind::protocol);
    CHECK_FALSE(got.end.error.retryable());
    time.run_until_idle();
    CHECK(there.open_connections() == 0);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: bytes behind the answer end the connection", "[net][connection]")
{
    const auto got = answer(ok("hello").followed_by("x"));

    CHECK(got.body == "hello");
    time.settle();
    CHECK_FALSE(connection->wake(true));
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: an answer before the first request ends the connection", "[net][connection][hostile]")
{
    server->greet_with(raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"));
    server->reply(no_answer());
    REQUIRE(dialled().kind() == ErrorKind{});

    const auto got = exchange();

    CHECK(got.body == "forged");
    CHECK_FALSE(got.reusable);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: HEAD has no body whatever the answer says", "[net][connection]")
{
    Sending head = a_get("/");
    head.head.replace(0, 3, "HEAD");
    head.head_method = true;

    const auto got = answer(raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"), head);

    CHECK(got.end.ok());
    CHECK(got.body.empty());
    CHECK(got.reusable);
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: an exchange on a closed connection is refused and writes nothing", "[net][connection]")
{
    REQUIRE(dialled().kind() == ErrorKind{});
    connection->close();

    const auto got = exchange();

    CHECK(got.end.error.kind() == ErrorKind::closed);
    CHECK_FALSE(got.end.wrote);
    CHECK(server->requests().empty());
}

TEST_CASE_METHOD(ConnectionWorld, "Connection: awake only as long as the stream is", "[net][connection]")
{
    REQUIRE(dialled().kind() == ErrorKind{});
    CHECK(exchange().end.ok());
    CHECK(connection->wake(true));

    server->do_to_all(close_without_answer());
    time.run_until_idle();

    CHECK_FALSE(connection->wake(true));
}

} // namespace khive_tests::connection_test

// SPDX-License-Identifier: BSL-1.0
#include <khive/net/wire.hpp>
#include <khive/testing/event_recorder.hpp>
#include <khive/testing/scripted_server.hpp>
#include <khive/testing/simulated_network.hpp>

#include "support/catch.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <span>
#include <string>
#include <string_view>

namespace khive_tests::simulated_network_test {

using namespace khive;
using namespace std::chrono_literals;
using namespace khive::testing;
using khive::testing::VirtualTime;

namespace {

/// Drives one wire by hand and notes what it is told.
class Probe final : public net::WireListener {
public:
    Probe(VirtualTime& time, SimulatedNetwork& network, EventRecorder& events)
        : time_(time), events_(events), wire_(network.open(time.executor()))
    {}

    void on_resolved(boost::system::error_code error, net::Endpoints found) override
    {
        std::string text = error ? "error" : "";
        for (std::size_t i = 0; i < found.size(); ++i) text += found[i].peer().to_string() + " ";
        events_.record(text);
    }
    void on_connected(boost::system::error_code error) override { note("connected", error); }
    void on_written(boost::system::error_code error, std::size_t bytes) override
    {
        written += bytes;
        note("written " + std::to_string(bytes), error);
    }
    std::span<char> read_buffer() override { return buffer_; }
    void on_read(boost::system::error_code error, std::size_t bytes) override
    {
        received.append(buffer_, bytes);
        note("read " + std::to_string(bytes), error);
    }
    void on_readable(boost::system::error_code error) override { note("readable", error); }
    void on_abandoned() noexcept override { events_.record("abandoned"); }

    void connect(const net::Endpoint& to) { REQUIRE_FALSE(wire().connect(to, this)); }
    void read(net::Look look = net::Look::now) { wire().read_some(this, look); }
    void write(std::string_view bytes) { wire().write_some({std::span<const char>(bytes), {}}, this); }
    void wait() { wire().wait_readable(this); }
    std::size_t try_write(std::string_view bytes)
    {
        boost::system::error_code error;
        const std::size_t taken = wire().try_write({std::span<const char>(bytes), {}}, error);
        if (error) note("not written", error);
        return taken;
    }
    [[nodiscard]] net::Wire& wire() { return *wire_; }
    void drop_wire() { wire_.reset(); }

    std::string received;
    std::size_t written = 0;

private:
    void note(std::string what, boost::system::error_code error)
    {
        const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time_.elapsed()).count();
        if (error == asio::error::operation_aborted)
            what += " aborted";
        else if (error == asio::error::eof)
            what += " eof";
        else if (error)
            what += std::string{" "} + error.message();
        events_.record(what + "@" + std::to_string(ms));
    }

    VirtualTime& time_;
    EventRecorder& events_;
    net::WirePtr wire_;
    char buffer_[64];
};

struct World {
    VirtualTime time;
    std::shared_ptr<SimulatedNetwork> network = SimulatedNetwork::install(time);
    EventRecorder events;
    net::Endpoint there{*asio::ip::tcp::endpoint(asio::ip::make_address("10.0.0.1"), 80).data()};

    boost::intrusive_ptr<Probe> probe() { return new Probe(time, *network, events); }
    boost::intrusive_ptr<Probe> connected()
    {
        auto made = probe();
        made->connect(there);
        time.settle();
        events.clear();
        return made;
    }
    SimulatedAddress& serve(std::shared_ptr<SimulatedServer> server)
    {
        return network->address(there).serve(std::move(server));
    }
    SimulatedAddress& echo()
    {
        return serve(std::make_shared<SimulatedServerFunction>(
            [](SimulatedPeer peer, std::string_view bytes) { peer.send(std::string{bytes}); }));
    }
    SimulatedAddress& answer(std::function<void(SimulatedPeer&)> what)
    {
        return serve(std::make_shared<SimulatedServerFunction>(
            [what = std::move(what)](SimulatedPeer peer, std::string_view) { what(peer); }));
    }
};

} // namespace

TEST_CASE_METHOD(World, "SimulatedNetwork: is the network of the context that it was installed in", "[testing]")
{
    CHECK(net::network_service(time.executor()).network().get() == network.get());
}

TEST_CASE_METHOD(World, "SimulatedNetwork: bytes go to the server and back after the latency of both ways", "[testing]")
{
    echo().connect_delay(5ms).latency(10ms);
    auto client = probe();
    client->connect(there);
    time.run_until_idle();
    client->write("hello");
    client->read();
    time.run_until_idle();

    CHECK(client->received == "hello");
    CHECK(events.text() == "connected@5, written 5@5, read 5@25");
}

TEST_CASE_METHOD(World, "SimulatedNetwork: a listener is never called from inside the call that started it", "[testing]")
{
    echo();
    auto client = connected();
    client->write("x");
    time.settle();
    events.clear();

    client->read();
    client->wait();
    client->wire().cancel();
    CHECK(events.size() == 0);

    time.settle();
    CHECK(events.text() == "read 1@0, readable aborted@0");
}

TEST_CASE_METHOD(World, "SimulatedNetwork: connects are refused, fail, or get no answer", "[testing]")
{
    auto client = probe();
    SECTION("an address that nobody set up refuses")
    {
        client->connect(there);
        time.settle();
        CHECK(events.text() == "connected Connection refused@0");
    }
    SECTION("an error comes after the connect delay")
    {
        network->address(there).fail(asio::error::host_unreachable).connect_delay(3s);
        client->connect(there);
        time.run_until_idle();
        CHECK(events.text() == "connected No route to host@3000");
    }
    SECTION("a black hole says nothing until the connect is cancelled")
    {
        echo().black_hole();
        client->connect(there);
        time.run_for(1h);
        CHECK(events.size() == 0);
        client->wire().cancel();
        time.settle();
        CHECK(events.text() == "connected aborted@3600000");
    }
    SECTION("only the next one fails")
    {
        echo().fail_next(1);
        client->connect(there);
        time.settle();
        client->connect(there);
        time.settle();
        CHECK(events.text() == "connected Connection refused@0, connected@0");
        CHECK(network->connects() == 2);
        CHECK(network->address(there).accepted() == 1);
    }
}

TEST_CASE_METHOD(World, "SimulatedNetwork: cancel ends every pending operation once", "[testing]")
{
    echo();
    auto client = connected();
    client->read();
    client->wait();

    client->wire().cancel();
    client->wire().cancel();
    time.settle();

    CHECK(events.text() == "read 0 aborted@0, readable aborted@0");
}

TEST_CASE_METHOD(World, "SimulatedNetwork: closing or dropping a wire ends its operations and tells the server", "[testing]")
{
    auto server = std::make_shared<ScriptedServer>();
    serve(server);
    auto client = connected();
    CHECK(server->open_connections() == 1);
    CHECK(network->open_connections() == 1);
    client->read();

    SECTION("close")
    {
        client->wire().close();
    }
    SECTION("drop")
    {
        client->drop_wire();
    }
    time.settle();

    CHECK(events.text() == "read 0 aborted@0");
    CHECK(server->open_connections() == 0);
    CHECK(network->open_connections() == 0);
}

TEST_CASE_METHOD(World, "SimulatedNetwork: operations on a wire that is not connected end with an error", "[testing]")
{
    auto client = probe();
    client->read();
    client->write("x");
    client->wait();
    time.settle();

    CHECK(events.text() == "read 0 Bad file descriptor@0, written 0 Bad file descriptor@0, readable Bad file descriptor@0");
    CHECK(client->try_write("x") == 0);
    CHECK(client->wire().readable_now());
}

TEST_CASE_METHOD(World, "SimulatedNetwork: what arrived before an end or a reset is read first", "[testing]")
{
    SECTION("half-close: end of stream, and the client may go on writing")
    {
        answer([](SimulatedPeer& peer) { peer.send("last").end(); });
        auto client = connected();
        client->write("x");
        client->read();
        time.settle();
        client->read();
        time.settle();
        client->write("more");
        time.settle();
        CHECK(events.text() == "written 1@0, read 4@0, read 0 eof@0, written 4@0");
    }
    SECTION("reset: told once, then the stream is over")
    {
        answer([](SimulatedPeer& peer) { peer.send("last").reset(); });
        auto client = connected();
        client->write("x");
        time.settle();
        client->read();
        time.settle();
        client->read();
        time.settle();
        client->write("y");
        time.settle();
        CHECK(events.text() == "written 1@0, read 4@0, read 0 Connection reset by peer@0, written 0 Broken pipe@0");
    }
}

TEST_CASE_METHOD(World, "SimulatedNetwork: an end that came with the bytes before it is not told of, but found", "[testing]")
{
    answer([](SimulatedPeer& peer) { peer.send("last").end(); });
    auto client = connected();
    client->write("x");
    time.settle();
    client->read();
    time.settle();
    events.clear();

    client->read(net::Look::when_told);
    time.run_for(1h);
    CHECK(events.size() == 0);

    client->wire().look_again();
    time.settle();
    CHECK(events.text() == "read 0 aborted@3600000");
    client->read();
    time.settle();
    CHECK(events.text() == "read 0 aborted@3600000, read 0 eof@3600000");
}

TEST_CASE_METHOD(
    World, "SimulatedNetwork: what comes between two reads is told of, and where nothing came a second look changes nothing",
    "[testing]")
{
    std::optional<SimulatedPeer> peer;
    serve(std::make_shared<SimulatedServerFunction>([&](SimulatedPeer from, std::string_view) { peer = from.send("one"); }));
    auto client = connected();
    client->write("x");
    time.settle();
    client->read();
    time.settle();
    SECTION("before the second is begun")
    {
        peer->send("two");
        time.settle();
        client->read(net::Look::when_told);
    }
    SECTION("after it")
    {
        client->read(net::Look::when_told);
        client->wire().look_again();
        time.settle();
        peer->send("two");
    }
    time.settle();

    CHECK(client->received == "onetwo");
    CHECK(events.text() == "written 1@0, read 3@0, read 3@0");
}

TEST_CASE_METHOD(World, "SimulatedNetwork: bytes for a server that has closed are answered with a reset", "[testing]")
{
    answer([](SimulatedPeer& peer) { peer.close(); }).latency(1ms);
    auto client = connected();
    client->write("x");
    time.run_until_idle();
    client->write("y");
    time.run_until_idle();
    client->read();
    time.settle();

    CHECK(events.text() == "written 1@0, written 1@2, read 0 Connection reset by peer@4");
}

TEST_CASE_METHOD(World, "SimulatedNetwork: a server's pauses delay what follows and nothing overtakes", "[testing]")
{
    answer([](SimulatedPeer& peer) { peer.send("a").pause(1s).send("b").pause(1s).end(); });
    auto client = connected();
    client->write("x");
    for (int i = 0; i < 3; ++i) {
        client->read();
        time.run_for(1s);
    }

    CHECK(client->received == "ab");
    CHECK(events.text() == "written 1@0, read 1@0, read 1@1000, read 0 eof@2000");
}

TEST_CASE_METHOD(World, "SimulatedNetwork: unsolicited bytes and ends wake who waits for them", "[testing]")
{
    auto server = std::make_shared<ScriptedServer>();
    serve(server);
    auto client = connected();
    client->wait();
    time.settle();
    CHECK(events.size() == 0);
    CHECK_FALSE(client->wire().readable_now());

    SECTION("bytes")
    {
        server->do_to_all(raw("HTTP/1.1 408 Request Timeout\r\n\r\n"));
    }
    SECTION("close")
    {
        server->do_to_all(close_without_answer());
    }
    SECTION("reset")
    {
        server->do_to_all(reset());
    }
    SECTION("the server dies")
    {
        network->address(there).reset_connections();
    }
    time.settle();

    CHECK(events.text() == "readable@0");
    CHECK(client->wire().readable_now());
}

TEST_CASE_METHOD(World, "SimulatedNetwork: reads and writes may be partial", "[testing]")
{
    echo().read_at_most(2).write_at_most(3);
    auto client = connected();
    client->write("hello");
    client->read();
    time.settle();

    CHECK(events.text() == "written 3@0, read 2@0");
    CHECK(client->received == "he");
    CHECK(client->try_write("again") == 3);
}

TEST_CASE_METHOD(World, "SimulatedNetwork: a write waits while the window is full", "[testing]")
{
    std::optional<SimulatedPeer> peer;
    auto server = std::make_shared<SimulatedServerFunction>([&](SimulatedPeer from, std::string_view) { peer = from; });
    serve(server).send_window(4);
    auto client = connected();
    client->write("x");
    time.settle();
    peer->stop_reading();
    client->write("123456");
    time.settle();
    client->write("56");
    time.run_for(1h);
    CHECK(events.text() == "written 1@0, written 4@0");
    CHECK(client->try_write("x") == 0);

    peer->resume_reading();
    time.settle();

    CHECK(events.text() == "written 1@0, written 4@0, written 2@3600000");
}

TEST_CASE_METHOD(World, "SimulatedNetwork: names are found, not found, late or never", "[testing]")
{
    const auto look_up = [&](const std::string& name) {
        network->resolve(time.executor(), name, 443, net::ListenerPtr(new Probe(time, *network, events)));
    };
    SECTION("several addresses, in order")
    {
        network->host("api.test").addresses({"10.1.0.1", "fd00::1"}).delay(2s);
        look_up("api.test");
        time.settle();
        CHECK(events.size() == 0);
        time.run_for(2s);
        CHECK(events.text() == "10.1.0.1:443 [fd00::1]:443 ");
        CHECK(network->host("api.test").lookups() == 1);
    }
    SECTION("a literal is its own address")
    {
        look_up("10.9.9.9");
        time.settle();
        CHECK(events.text() == "10.9.9.9:443 ");
    }
    SECTION("unknown")
    {
        look_up("nobody.test");
        time.settle();
        CHECK(events.text() == "error");
    }
    SECTION("failing")
    {
        network->host("api.test").addresses({"10.1.0.1"}).fail(asio::error::host_not_found_try_again);
        look_up("api.test");
        time.settle();
        CHECK(events.text() == "error");
    }
    SECTION("never")
    {
        network->host("api.test").addresses({"10.1.0.1"}).delay(unlimited);
        look_up("api.test");
        time.run_until_idle();
        CHECK(events.size() == 0);
    }
}

TEST_CASE("SimulatedNetwork: the end of the context abandons what is pending", "[testing]")
{
    EventRecorder events;
    boost::intrusive_ptr<Probe> reading;
    boost::intrusive_ptr<Probe> told;
    {
        World world;
        world.echo();
        reading = new Probe(world.time, *world.network, events);
        told = new Probe(world.time, *world.network, events);
        reading->connect(world.there);
        told->connect(world.there);
        world.time.settle();
        reading->read();
        reading->wait();
        told->read();
        told->wire().cancel();
        told->drop_wire();
    }
    CHECK(events.text() == "connected@0, connected@0, abandoned, abandoned, abandoned");
    reading->drop_wire();
}

TEST_CASE("SimulatedNetwork: a seed decides the order and the jitter, and repeats them", "[testing]")
{
    const auto run = [](std::uint64_t seed) {
        World world;
        world.network->shuffle(seed);
        world.echo().jitter(20ms);
        auto first = world.connected();
        auto second = world.connected();
        for (const auto& client : {first, second}) {
            client->write("x");
            client->read();
        }
        world.time.run_until_idle();
        return world.events.text();
    };

    CHECK(run(1) == run(1));
    CHECK(run(2) == run(2));
    CHECK(run(1) != run(2));
}

} // namespace khive_tests::simulated_network_test

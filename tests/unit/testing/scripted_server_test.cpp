// SPDX-License-Identifier: BSL-1.0
#include <khive/testing/scripted_server.hpp>
#include <khive/testing/simulated_network.hpp>

#include "support/catch.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <span>
#include <stdexcept>
#include <string>

namespace khive_tests::scripted_server_test {

using namespace khive;
using namespace std::chrono_literals;
using namespace khive::testing;
using khive::testing::VirtualTime;

namespace {

/// Sends bytes to a server on a connection of its own and collects what comes back, until the connection ends.
class RawClient final : public net::WireListener {
public:
    RawClient(VirtualTime& time, SimulatedNetwork& network, const net::Endpoint& to, std::string bytes)
        : wire_(network.open(time.executor())), bytes_(std::move(bytes))
    {
        REQUIRE_FALSE(wire_->connect(to, this)); // it takes its time
    }

    void on_connected(boost::system::error_code) override
    {
        if (!bytes_.empty()) send();
        wire_->read_some(this, net::Look::now);
    }
    std::span<char> read_buffer() override { return buffer_; }
    void on_written(boost::system::error_code, std::size_t) override {}
    void on_read(boost::system::error_code error, std::size_t bytes) override
    {
        received.append(buffer_, bytes);
        if (!error) return wire_->read_some(this, net::Look::now);
        end = error;
        wire_.reset();
    }
    void on_readable(boost::system::error_code) override {}
    void on_abandoned() noexcept override {}

    std::string received;
    boost::system::error_code end;

private:
    void send() { wire_->write_some({std::span<const char>(bytes_), {}}, this); }

    net::WirePtr wire_;
    std::string bytes_;
    char buffer_[256];
};

struct World {
    VirtualTime time;
    std::shared_ptr<SimulatedNetwork> network = SimulatedNetwork::install(time);
    net::Endpoint there{*asio::ip::tcp::endpoint(asio::ip::make_address("10.0.0.1"), 80).data()};

    /// What a client gets that sends `bytes` to `server` and reads until nothing happens any more.
    boost::intrusive_ptr<RawClient> talk(std::shared_ptr<SimulatedServer> server, std::string bytes)
    {
        network->serve("api.test", 80, std::move(server));
        boost::intrusive_ptr<RawClient> client = new RawClient(time, *network, there, std::move(bytes));
        time.run_until_idle();
        return client;
    }
};

const std::string get = "GET /a?b=c HTTP/1.1\r\nHost: api.test\r\n\r\n";
const std::string empty_ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

} // namespace

TEST_CASE_METHOD(World, "ScriptedServer: remembers what it received", "[testing]")
{
    auto server = std::make_shared<ScriptedServer>();
    time.run_for(5s);

    talk(server, "POST /items HTTP/1.1\r\nHost: api.test\r\nContent-Length: 4\r\n\r\nbody" + get);

    REQUIRE(server->requests().size() == 2);
    const auto& post = server->requests()[0];
    CHECK(post.method == "POST");
    CHECK(post.headers.get("host") == "api.test");
    CHECK(post.body == "body");
    CHECK(post.number == 1);
    CHECK(post.connection == 1);
    CHECK(post.time == time.now());
    CHECK(server->requests()[1].target == "/a?b=c");
    CHECK(server->requests()[1].path() == "/a");
    CHECK(server->connections() == 1);
}

TEST_CASE_METHOD(World, "ScriptedServer: gives its replies in order, then asks the handler", "[testing]")
{
    auto server = std::make_shared<ScriptedServer>(status(404), ok("two"));
    server->otherwise([](const ReceivedRequest& request) { return ok("for " + request.target); });

    const auto client = talk(server, get + get + get);

    CHECK(client->received == "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
                              "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo"
                              "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfor /a?b=c");
    CHECK(server->replies_left() == 0);
}

TEST_CASE_METHOD(World, "ScriptedServer: a request beyond the script is an error of the test", "[testing]")
{
    auto server = std::make_shared<ScriptedServer>(ok());

    CHECK_THROWS_WITH(talk(server, get + get), "no reply left in the script for request 2: GET /a?b=c");
}

TEST_CASE_METHOD(World, "ScriptedServer: delays and pieces take virtual time", "[testing]")
{
    auto server = std::make_shared<ScriptedServer>(trickle(delay(10s, raw("abcde")), 2, 1s).then_close());

    const auto client = talk(server, get);

    CHECK(client->received == "abcde");
    CHECK(client->end == asio::error::eof);
    CHECK(time.elapsed() == 12s);
}

TEST_CASE_METHOD(World, "ScriptedServer: ends a connection as its reply says", "[testing]")
{
    using Row = std::tuple<const char*, Reply, std::string, boost::system::error_code>;
    const auto [name, reply, received, end] = GENERATE_COPY(values<Row>({
        {"reset", reset(), "", asio::error::connection_reset},
        {"reset after", reset_after(8, ok()), "HTTP/1.1", asio::error::connection_reset},
        {"close", close_without_answer(), "", asio::error::eof},
        {"half-close", ok().then_end(), empty_ok, asio::error::eof},
        {"no answer", no_answer(), "", {}},
        {"keep", ok(), empty_ok, {}},
        {"followed", ok().followed_by("junk"), empty_ok + "junk", {}},
    }));
    CAPTURE(name);

    const auto client = talk(std::make_shared<ScriptedServer>(reply), get);

    CHECK(client->received == received);
    CHECK(client->end == end);
}

TEST_CASE_METHOD(World, "ScriptedServer: closes when the request asked for it", "[testing]")
{
    const auto client = talk(std::make_shared<ScriptedServer>(ok()), "GET / HTTP/1.1\r\nConnection: close\r\n\r\n");

    CHECK(client->received == empty_ok);
    CHECK(client->end == asio::error::eof);
}

TEST_CASE_METHOD(World, "ScriptedServer: can speak first", "[testing]")
{
    auto server = std::make_shared<ScriptedServer>();
    server->greet_with(raw("SSH-2.0-x\r\n"));

    CHECK(talk(server, "")->received == "SSH-2.0-x\r\n");
}

TEST_CASE_METHOD(World, "ScriptedServer: bytes that are no request are an error of the test", "[testing]")
{
    CHECK_THROWS_AS(talk(std::make_shared<ScriptedServer>(), "hello\r\n\r\n"), std::runtime_error);
}

} // namespace khive_tests::scripted_server_test

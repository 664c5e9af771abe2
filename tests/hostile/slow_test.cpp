// SPDX-License-Identifier: BSL-1.0
// Who stalls, and who sends just enough to be no stall: each ends with the timer that was set for it.
#include "hostile/hostile.hpp"

#include <boost/asio/ip/tcp.hpp>

#include <algorithm>
#include <cstddef>
#include <optional>

namespace khive_tests::slow_test {

using namespace std::string_literals;

namespace {

/// A part of an answer, by the bytes before it and bytes that are part of it.
struct Phase {
    std::string name;
    std::string before;
    std::string within;
};

std::vector<Phase> phases()
{
    const std::string line = "HTTP/1.1 200 OK\r\n";
    const std::string many(100, 'x');
    return {
        {"the status line", "", "HTTP/1.1 200 O" + many},
        {"a field's name", line, many},
        {"a field's value", line + "X: ", many},
        {"many fields", line, repeated("X: y\r\n", 20)},
        {"an interim answer", "", "HTTP/1.1 103 Early" + many},
        {"many interim answers", "", repeated("HTTP/1.1 103 H\r\n\r\n", 10)},
        {"a body by length", line + "Content-Length: 1000\r\n\r\nhello", many},
        {"a chunk's size", line + "Transfer-Encoding: chunked\r\n\r\n", "0000000000000005"},
        {"a chunk's extension", line + "Transfer-Encoding: chunked\r\n\r\n5;", many},
        {"a chunk's data", line + "Transfer-Encoding: chunked\r\n\r\n3e8\r\n", many},
        {"many chunks", line + "Transfer-Encoding: chunked\r\n\r\n", repeated("1\r\nx\r\n", 20)},
        {"a trailer", line + "Transfer-Encoding: chunked\r\n\r\n0\r\nT: ", many},
        {"a body until the end", line + "\r\nhello", many},
    };
}

using Results = std::vector<std::shared_ptr<std::optional<Result<Response>>>>;

/// All at once: one call for each of so many phases, named by its path.
Results call_all(const AnyAPIClient& api, asio::io_context& io, std::size_t count, const Timeouts& timeouts)
{
    Results results;
    for (std::size_t i = 0; i < count; ++i) {
        results.push_back(std::make_shared<std::optional<Result<Response>>>());
        asio::co_spawn(io, keep_in(api.get("/{}", i).timeouts(timeouts).try_send(), results.back()), asio::detached);
    }
    io.restart();
    io.run();
    return results;
}

std::size_t number_of(const ReceivedRequest& request)
{
    return std::stoul(request.path().substr(1));
}

void check_phases(const std::vector<Reply>& replies, const Timeouts& timeouts, Timer expected)
{
    const auto transport = GENERATE(Transport::tcp, Transport::tls);
    const auto server = make_server(transport, [&](const ReceivedRequest& request) {
        return request.path() == "/next" ? ok(own_body) : replies.at(number_of(request));
    });
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};

    const auto results = call_all(api, io, replies.size(), timeouts);

    for (std::size_t i = 0; i < replies.size(); ++i) {
        INFO("row: " << phases()[i].name << ", over " << to_text(transport));
        REQUIRE(results[i]->has_value());
        CHECK(fate_of(**results[i], api) == times_out(expected));
        const Error error = (*results[i])->error();
        CHECK(error.elapsed() < 8s);
        CHECK(error.maybe_processed());
    }
    CHECK(api.connections().open() == 0);
    check_still_sound(io, api);
}

} // namespace

TEST_CASE("Hostile: a stall within an answer ends with read_stall", "[hostile][slow]")
{
    std::vector<Reply> replies;
    for (const Phase& phase : phases()) replies.push_back(raw(phase.before + phase.within.substr(0, 3)));

    check_phases(replies, {.tls_handshake = 9s, .read_stall = 250ms, .total = 10s}, Timer::read_stall);
}

TEST_CASE("Hostile: a drip within an answer ends with the total time, which progress does not restart", "[hostile][slow]")
{
    std::vector<Reply> replies;
    for (const Phase& phase : phases())
        replies.push_back(raw(phase.before + phase.within).at_once(phase.before.size()).in_pieces(1, 300ms));

    check_phases(replies, {.tls_handshake = 3s, .read_stall = 3s, .total = 3s}, Timer::total);
}

TEST_CASE("Hostile: a drip within an attempt ends with its time", "[hostile][slow]")
{
    const auto server = make_server(GENERATE(Transport::tcp, Transport::tls));
    server->reply(ok(std::string(100, 'x')).in_pieces(1, 30ms)).reply(ok(own_body));
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};

    const auto result = run(io, api.get("/").attempt_timeout(200ms).try_send());

    CHECK(fate_of(result, api) == times_out(Timer::attempt));
    check_still_sound(io, api);
}

TEST_CASE("Hostile: silence after a request ends with first_byte, or with the total time", "[hostile][slow]")
{
    const auto [timeouts, expected] =
        GENERATE(table<Timeouts, Timer>({{{.first_byte = 200ms}, Timer::first_byte}, {{.total = 3s}, Timer::total}}));
    const auto server = make_server(GENERATE(Transport::tcp, Transport::tls));
    server->reply(no_answer()).reply(ok(own_body));
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};

    const auto result = run(io, api.get("/").timeouts(timeouts).try_send());

    CHECK(fate_of(result, api) == times_out(expected));
    check_still_sound(io, api);
}

TEST_CASE("Hostile: a request that nobody reads ends with the timer that was set for it", "[hostile][slow]")
{
    const auto [timeouts, expected] =
        GENERATE(table<Timeouts, Timer>({{{.write_stall = 250ms}, Timer::write_stall}, {{.total = 3s}, Timer::total}}));
    const auto server = make_server(GENERATE(Transport::tcp, Transport::tls));
    server->on_request_bytes(no_answer().linger(30s)).reply(ok(own_body));
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};

    const auto result = run(io, api.put("/").body(std::string(32u << 20, 'x')).timeouts(timeouts).try_send());

    CHECK(fate_of(result, api) == times_out(expected));
    check_still_sound(io, api);
}

TEST_CASE("Hostile: an address that answers nothing ends with the time for connecting", "[hostile][slow]")
{
    asio::io_context others; // not run: those who wait there wait for minutes
    asio::ip::tcp::acceptor full(others, asio::ip::tcp::v4());
    full.bind({asio::ip::address_v4::loopback(), 0});
    full.listen(0);
    std::vector<asio::ip::tcp::socket> before; // on Linux the first fills the queue, and what comes then is dropped
    before.reserve(17);
    before.emplace_back(others).connect(full.local_endpoint());
    for (int i = 0; i < 16; ++i) before.emplace_back(others).async_connect(full.local_endpoint(), asio::detached);
    asio::io_context io;
    const AsyncAPIClient api{io, "http://127.0.0.1:" + std::to_string(full.local_endpoint().port())};

    const auto result = run(io, api.get("/").timeouts({.connect = 250ms}).try_send());

    CHECK(fate_of(result, api) == times_out(Timer::connect));
    CHECK(api.connections().open() == 0);
}

TEST_CASE("Hostile: a connection that is accepted and left alone ends with the time of its stage", "[hostile][slow]")
{
    const auto transport = GENERATE(Transport::tcp, Transport::tls);
    const auto server = make_server(transport);
    server->on_accept(no_answer()).reply(ok(own_body));
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};

    const auto result = run(io, api.get("/").timeouts({.tls_handshake = 200ms, .first_byte = 200ms}).try_send());

    CHECK(fate_of(result, api) == times_out(transport == Transport::tls ? Timer::tls_handshake : Timer::first_byte));
    check_still_sound(io, api);
}

TEST_CASE("Hostile: a TLS handshake that stalls or drips ends with its time, which progress does not restart",
          "[hostile][slow][tls]")
{
    const std::string record = "\x16\x03\x03\x00\x7a\x02\x00\x00\x76\x03\x03"s + std::string(100, 'x');
    const auto [name, fault, after_hello] = GENERATE_COPY(table<std::string, Reply, bool>({
        {"silence after the ClientHello", no_answer(), true},
        {"a byte, then silence", raw(record.substr(0, 1)), true},
        {"half a record, then silence", raw(record.substr(0, 60)), true},
        {"a drip of a record", raw(record).in_pieces(1, 30ms), true},
        {"a drip of a record, before the ClientHello", raw(record).in_pieces(1, 30ms), false},
    }));
    INFO("row: " << name);
    const auto server = make_server(Transport::tls);
    after_hello ? server->on_first_bytes(fault) : server->on_accept(fault);
    server->reply(ok(own_body));
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};

    const auto result = run(io, api.get("/").timeouts({.tls_handshake = 200ms}).try_send());

    CHECK(fate_of(result, api) == times_out(Timer::tls_handshake));
    REQUIRE(result.has_error());
    CHECK_FALSE(result.error().maybe_processed());
    check_still_sound(io, api);
}

} // namespace khive_tests::slow_test

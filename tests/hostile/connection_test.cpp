// SPDX-License-Identifier: BSL-1.0
// Connections that end, speak before they are asked, or go on speaking afterwards: nobody gets what was meant for another.
#include "hostile/hostile.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace khive_tests::connection_test {

using namespace std::string_literals;

namespace {

const std::string forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";

using Results = std::vector<std::shared_ptr<std::optional<Result<Response>>>>;

/// All at once: GET /0, and on in steps.
Results get_all(const AnyAPIClient& api, asio::io_context& io, std::size_t end, std::size_t step)
{
    Results results;
    for (std::size_t at = 0; at < end; at += step) {
        results.push_back(std::make_shared<std::optional<Result<Response>>>());
        asio::co_spawn(io, keep_in(api.get("/{}", at).try_send(), results.back()), asio::detached);
    }
    io.restart();
    io.run();
    return results;
}

/// How the bytes of a connection end.
enum class Ending { end, half, reset, end_of_wire };

const char* to_text(Ending ending)
{
    switch (ending) {
    case Ending::end: return "an end in good order";
    case Ending::half: return "an end of one side";
    case Ending::reset: return "a reset";
    case Ending::end_of_wire: break;
    }
    return "an end without close_notify";
}

std::unique_ptr<FaultServer> make_cutting_server(Transport transport, Ending ending, const std::string& answer)
{
    const auto handler = [answer, ending](const ReceivedRequest& request) {
        Reply reply = raw(answer).cut_after(std::stoul(request.path().substr(1)));
        if (ending == Ending::half) return reply.then_end();
        return ending == Ending::reset ? reply.then_reset() : reply.then_close();
    };
    if (transport == Transport::tcp) return make_server(transport, handler);
    auto identity = server_identity();
    if (ending == Ending::end_of_wire) identity.without_close_notify();
    return std::make_unique<FaultServer>(identity, handler);
}

/// Lets real time pass for the client's connections: a call to somebody else, who takes that long. 5 ms are longer than any trust
/// in idle ones lasts, and after 70 ms they are watched.
void pass_time(asio::io_context& io, Duration time)
{
    FaultServer elsewhere([time](const ReceivedRequest&) { return ok().after(time); });
    const AsyncAPIClient api{io, elsewhere.url()};
    REQUIRE(run(io, api.get("/").try_send()).has_value());
}

} // namespace

TEST_CASE("Hostile: an answer that is cut anywhere is never taken for a whole one", "[hostile][connection]")
{
    const auto [name, head, body] = GENERATE(table<std::string, std::string, std::string>({
        {"by length", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "hello"},
        {"in chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "5;x\r\nhello\r\n0\r\nT: x\r\n\r\n"},
        {"until the end", "HTTP/1.1 200 OK\r\n\r\n", "hello"},
        {"behind an interim one", "HTTP/1.1 103 H\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "hello"},
    }));
    const auto [transport, ending] = GENERATE(table<Transport, Ending>({
        {Transport::tcp, Ending::end},
        {Transport::tcp, Ending::half},
        {Transport::tcp, Ending::reset},
        {Transport::tls, Ending::end},
        {Transport::tls, Ending::reset},
        {Transport::tls, Ending::end_of_wire},
    }));
    const auto server = make_cutting_server(transport, ending, head + body);
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};
    const std::size_t whole = head.size() + body.size();
    const std::size_t step = transport == Transport::tls ? 3 : 1; // handshakes take time

    const auto results = get_all(api, io, whole, step);

    for (std::size_t i = 0; i < results.size(); ++i) {
        const std::size_t at = i * step;
        INFO("row: " << name << " with " << to_text(ending) << " after " << at << " bytes, over "
                     << khive_tests::to_text(transport));
        REQUIRE(results[i]->has_value());
        const auto& result = **results[i];
        if (name == "until the end" && at >= head.size() && (ending == Ending::end || ending == Ending::half)) {
            CHECK(fate_of(result, api) == accepted_once(body.substr(0, at - head.size()))); // nobody can tell
        } else if (ending == Ending::reset) {                                               // which overtakes bytes
            const bool told = kind_of(result) == ErrorKind::connection_lost || kind_of(result) == ErrorKind::truncated_body;
            CHECK(told);
        } else {
            CHECK(fate_of(result, api) ==
                  refused(at < head.size() ? ErrorKind::connection_lost : ErrorKind::truncated_body));
        }
        if (!result) {
            CHECK(result.error().retryable());
            CHECK(result.error().maybe_processed());
        }
    }
    CHECK(api.connections().open() == 0);
}

TEST_CASE("Hostile: what comes on an idle connection is nobody's answer, and retires it", "[hostile][connection]")
{
    const std::vector<std::pair<std::string, Reply>> deeds = {
        {"a whole answer", raw(forged)},
        {"many answers", raw(repeated(forged, 100))},
        {"408 and the end",
         raw("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").then_close()},
        {"an interim answer", raw("HTTP/1.1 100 Continue\r\n\r\n")},
        {"half a head", raw("HTTP/1.1 200 OK\r\nX: ")},
        {"one byte", raw("H")},
        {"an empty line", raw("\r\n")},
        {"many bytes", raw(std::string(50'000, 'x'))},
        {"the end", close_without_answer()},
        {"the end of one side", raw("").then_end()},
        {"a reset", reset()},
        {"an answer and the end", raw(forged).then_close()},
        {"an answer from outside of TLS", raw("").then_inject(forged)},
        {"half a TLS record", raw("").then_inject("\x17\x03\x03\x00\x50"s)},
        {"a TLS alert in the clear", raw("").then_inject("\x15\x03\x03\x00\x02\x01\x00"s)},
    };
    const auto transport = GENERATE(Transport::tcp, Transport::tls);
    const auto [method, waits] =
        GENERATE(table<std::string, Duration>({{"POST", 0ms}, {"POST", 5ms}, {"GET", 5ms}, {"POST", 70ms}}));
    const auto server = make_server(transport);
    for (const auto& [name, deed] : deeds) {
        INFO("row: " << name << ", then " << method << " after " << waits.count() / 1'000'000 << " ms, over "
                     << khive_tests::to_text(transport));
        server->reply(ok("first")).reply(ok(own_body));
        asio::io_context io;
        const AsyncAPIClient api{io, options_for(*server)};
        const std::size_t connections = server->connections();
        REQUIRE(run(io, api.get("/").try_send()).has_value());
        REQUIRE(api.connections().idle == 1);

        server->do_to_idle(deed);
        if (waits != 0ms) pass_time(io, waits);
        const auto result = run(io, api.request(method, "/").try_send());

        CHECK(fate_of(result, api) == accepted(own_body));
        CHECK(server->connections() - connections == 2);
        if (result) CHECK_FALSE(result->ledger().back().reused);
    }
}

TEST_CASE("Hostile: bytes before the request are no answer, or cost the connection", "[hostile][connection]")
{
    const auto [name, greeting, expected] = GENERATE(table<std::string, Reply, Fate>({
        {"a banner", raw("SSH-2.0-x\r\n"), refused(ErrorKind::protocol)},
        {"an empty line", raw("\r\n"), refused(ErrorKind::protocol)},
        {"an answer that is the last", raw("HTTP/1.1 503 Busy\r\nContent-Length: 4\r\nConnection: close\r\n\r\nbusy"),
         accepted_once("busy", 503)},
        {"an answer and the end", raw("HTTP/1.1 503 Busy\r\n\r\nbusy").then_close(), accepted_once("busy", 503)},
        {"two answers", raw(forged + forged), accepted_once("forged")},
        {"the end", close_without_answer(), refused(ErrorKind::connection_lost)},
    }));
    const auto transport = GENERATE(Transport::tcp, Transport::tls);
    INFO("row: " << name << ", over " << khive_tests::to_text(transport));
    const auto server = make_server(transport);
    server->greet_with(greeting);
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};

    const auto result = run(io, api.get("/").try_send());

    if (name == "an answer and the end" && !result) // the end may break the request
        CHECK(kind_of(result) == ErrorKind::connection_lost);
    else
        CHECK(fate_of(result, api) == expected);
    CHECK(api.connections().leased == 0);
}

TEST_CASE("Hostile: an answer before the request does not shift the answers that follow", "[hostile][connection]")
{
    const auto server = make_server(GENERATE(Transport::tcp, Transport::tls));
    server->greet_with(raw(forged)).otherwise([](const ReceivedRequest& request) { return ok(request.path()); });
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};

    for (int i = 0; i < 5; ++i) {
        // Only what is in front of the request on the very same connection can pass for its answer.
        const auto result = run(io, api.post("/{}", i).body("x").try_send());
        REQUIRE(result.has_value());
        CHECK(result->body() == "forged");
        server->wait_for_requests(static_cast<std::size_t>(i) + 1);
        server->do_to_idle(no_answer()); // the true answer is under way by the time this returns
    }
    CHECK(server->connections() == 5);
}

TEST_CASE("Hostile: an answer while the request is still going out is given, and costs the connection",
          "[hostile][connection]")
{
    const auto [name, early, expected] = GENERATE(table<std::string, Reply, Fate>({
        {"a refusal", raw("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig"), accepted_once("big", 413)},
        {"a refusal that is the last", raw("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"),
         accepted_once("big", 413)},
        {"a success", raw(forged), accepted_once("forged")},
        {"in chunks", raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
         accepted_once("hello")},
        {"interim and final", raw("HTTP/1.1 100 Continue\r\n\r\n" + forged), accepted_once("forged")},
        {"two answers", raw(forged + forged), accepted_once("forged")},
        {"no HTTP", raw("SSH-2.0-x\r\n"), refused(ErrorKind::protocol)},
        {"a switch of protocols", raw("HTTP/1.1 101 Switching\r\n\r\n"), refused(ErrorKind::protocol)},
        {"a flood", raw("HTTP/1.1 200 OK\r\nX: " + std::string(2u << 20, 'x')), refused(ErrorKind::header_too_large)},
        {"the end", close_without_answer(), refused(ErrorKind::connection_lost)},
        {"a reset", reset(), refused(ErrorKind::connection_lost)},
        {"half a head and the end", raw("HTTP/1.1 200 OK\r\nX: ").then_close(), refused(ErrorKind::connection_lost)},
    }));
    const auto transport = GENERATE(Transport::tcp, Transport::tls);
    INFO("row: " << name << ", over " << khive_tests::to_text(transport));
    const auto server = make_server(transport);
    server->on_request_bytes(early).otherwise([](const ReceivedRequest&) { return ok(own_body); });
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};

    const auto result = run(io, api.post("/").body(std::string(16u << 20, 'x')).try_send());

    CHECK(fate_of(result, api) == expected);
    check_still_sound(io, api);
    CHECK(server->request_count() == 1); // the upload came never whole, and never again
}

TEST_CASE("Hostile: a connection that dies under a POST is reported and the POST not repeated", "[hostile][connection]")
{
    const auto transport = GENERATE(Transport::tcp, Transport::tls);
    const auto deed = GENERATE(as<Reply>{}, reset(), close_without_answer(), ok().cut_after(5).then_close());
    const auto server = make_server(transport);
    server->reply(ok()).reply(deed).reply(ok(own_body));
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};
    REQUIRE(run(io, api.get("/").try_send()).has_value());

    const auto result = run(io, api.post("/").body("x").try_send());

    CHECK(fate_of(result, api) == refused(ErrorKind::connection_lost));
    REQUIRE(result.has_error());
    CHECK(result.error().maybe_processed());
    CHECK(server->request_count() == 2);
    check_still_sound(io, api);
}

TEST_CASE("Hostile: an answer that comes after its call has given up is nobody's", "[hostile][connection]")
{
    const auto server = make_server(GENERATE(Transport::tcp, Transport::tls));
    server->reply(ok()).reply(raw(forged).after(2s)).reply(ok(own_body).after(2500ms)); // it comes while the next call waits
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};
    REQUIRE(run(io, api.get("/").try_send()).has_value());

    const auto late = run(io, api.get("/").timeout(100ms).try_send());

    CHECK(fate_of(late, api) == times_out(Timer::total));
    check_still_sound(io, api);
}

TEST_CASE("Hostile: where an answer points is not followed, and its cookies are not kept", "[hostile][connection]")
{
    std::vector<Row> rows;
    for (const auto& location : {"http://evil.test/", "//evil.test/", "/", "javascript:alert(1)", "file:///etc/passwd",
                                 "http://localhost:99999/", "http://me:hunter2@localhost/", ""})
        rows.push_back({"to "s + location, Reply(302, "moved").header("Location", location), accepted("moved", 302)});
    for (const unsigned status : {300u, 301u, 303u, 307u, 308u})
        rows.push_back({std::to_string(status), Reply(status, "moved").header("Location", "/"),
                        accepted("moved", static_cast<int>(status))});
    for (const unsigned status : {301u, 302u, 303u, 307u})
        rows.push_back({std::to_string(status) + " to POST", Reply(status, "moved").header("Location", "/"),
                        accepted("moved", static_cast<int>(status)), "POST"});
    rows.push_back({"far", Reply(302, "moved").header("Location", "/" + std::string(70'000, 'x')),
                    refused(ErrorKind::header_too_large)});
    check_rows(rows);

    FaultServer server;
    server.reply(ok().header("Set-Cookie", "a=b; Path=/"));
    server.otherwise([](const ReceivedRequest&) { return ok(own_body); });
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(server)};
    REQUIRE(run(io, api.get("/").try_send()).has_value());
    check_still_sound(io, api);
    CHECK_FALSE(server.requests().back().headers.contains("Cookie"));
    CHECK_FALSE(server.requests().back().headers.contains("Referer"));
}

TEST_CASE("Hostile: what an attempt got before it failed is no part of the next one's answer", "[hostile][connection]")
{
    const auto transport = GENERATE(Transport::tcp, Transport::tls);
    const auto [name, cut] = GENERATE(table<std::string, Reply>({
        {"by length", answer("X-First: 1\r\nContent-Length: 50\r\n", "forged").then_close()},
        {"in chunks", chunks("6\r\nforged\r\n").then_close()},
        {"interim answers", raw(repeated("HTTP/1.1 103 Hints\r\n\r\n", 16)).then_close()},
        {"half a head", raw("HTTP/1.1 200 OK\r\nX-First: 1\r\n").then_close()},
    }));
    INFO("row: " << name << ", over " << khive_tests::to_text(transport));
    const auto server = make_server(transport);
    server->reply(cut).reply(ok("hello"));
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server),
                             RetryWithBackoff{{.max_attempts = 2, .base_delay = 1ms, .max_delay = 2ms}}};
    const std::string upload(100'000, 'x');

    const auto result = run(io, api.put("/").body(upload).try_send());

    CHECK(fate_of(result, api) == accepted("hello"));
    REQUIRE(result.has_value());
    CHECK_FALSE(result->headers().contains("X-First"));
    REQUIRE(server->request_count() == 2);
    CHECK(server->requests()[0].body == upload);
    CHECK(server->requests()[1].body == upload);
}

TEST_CASE("Hostile: a pause that is too long ends the call, and one that is no number changes nothing",
          "[hostile][connection]")
{
    const auto server = make_server(GENERATE(Transport::tcp, Transport::tls));
    const auto [name, value, again] = GENERATE(table<std::string, std::string, bool>({
        {"too long", "86400", false},
        {"as long as is understood", "999999999", false},
        {"a date far away", "Fri, 31 Dec 9999 23:59:59 GMT", false},
        // More digits than are understood are no number: the caller's own backoff applies.
        {"above 2^32", "4294967297", true},
        {"above 2^63", "9223372036854775809", true},
        {"above 2^64", "18446744073709551617", true},
        {"negative", "-1", true},
        {"no number", "soon", true},
        {"a date long past", "Thu, 01 Jan 1970 00:00:00 GMT", true},
        {"empty", "", true},
    }));
    INFO("row: " << name);
    server->reply(Reply(503).header("Retry-After", value)).reply(ok(own_body));
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server).raise_for_status(true),
                             RetryWithBackoff{{.max_attempts = 2, .base_delay = 1ms, .max_delay = 2ms}}};

    const auto result = run(io, api.get("/").try_send());

    CHECK(result.has_value() == again);
    CHECK(server->request_count() == (again ? 2u : 1u));
}

TEST_CASE("Hostile: credentials stay where they were given for, at any change of scheme, host or port",
          "[hostile][connection]")
{
    FaultServer other;
    FaultServer server;
    for (FaultServer* each : {&other, &server}) each->otherwise([](const ReceivedRequest&) { return ok(own_body); });
    const std::string authority = "localhost:" + std::to_string(server.port());
    for (const auto& [base, where] : std::vector<std::pair<std::string, std::string>>{
             {"https://" + authority, server.url("localhost")},      // scheme
             {other.url("localhost"), server.url("localhost")},      // port
             {"http://" + authority, server.url("127.0.0.1")},       // host
             {"https://api.test", server.url("localhost") + "/x?y"}, // all of them
         }) {
        INFO("from " << base << " to " << where);
        asio::io_context io;
        const AsyncAPIClient api{io, ClientOptions(base)
                                         .bearer(Secret("hunter2"))
                                         .secret_header("X-Api-Key", Secret("hunter2"))
                                         .header("Cookie", "hunter2")
                                         .header("Proxy-Authorization", "hunter2")};
        const auto result = run(io, api.get(where).try_send());
        REQUIRE(result.has_value());
        CHECK(result->text() == own_body);
        CHECK_THAT(server.requests().back().headers.lines(), !khive_tests::contains("hunter2"));
    }
    CHECK(other.connections() == 0);
}

TEST_CASE("Hostile: a request that meets a dying connection is sent once more and no oftener", "[hostile][connection]")
{
    const auto transport = GENERATE(Transport::tcp, Transport::tls);
    const auto again = GENERATE(false, true);
    for (const auto& [name, deed] :
         std::vector<std::pair<std::string, Reply>>{{"a reset", reset()}, {"the end", close_without_answer()}}) {
        INFO("row: " << name << (again ? " twice" : "") << ", over " << khive_tests::to_text(transport));
        const auto server = make_server(transport);
        server->reply(ok("first")).reply(deed);
        if (again) server->reply(deed);
        server->otherwise([](const ReceivedRequest&) { return ok(own_body); });
        asio::io_context io;
        const AsyncAPIClient api{io, options_for(*server)};
        REQUIRE(run(io, api.get("/").try_send()).has_value());

        const auto result = run(io, api.get("/").try_send());

        CHECK(fate_of(result, api) == (again ? refused(ErrorKind::connection_lost) : accepted(own_body)));
        CHECK(server->requests().size() == 3);
    }
}

} // namespace khive_tests::connection_test

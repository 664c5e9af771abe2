// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "integration/real_world.hpp"
#include "support/catch.hpp"
#include "support/certificates.hpp"

#include <khive/testing/fault_server.hpp>

#include <memory>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// A server that means harm, and what is expected of a client that meets it. What should come out stands in a table before it is
// tried; every row is tried over TCP and over TLS, and a row that fails is named.
namespace khive_tests {

using namespace khive::testing;

/// What becomes of a call.
struct Fate {
    ErrorKind kind{};          ///< zero for an answer
    Timer timer = Timer::none; ///< of a timeout
    int status = 0;            ///< of an answer
    std::string body;          ///< of an answer
    bool reusable = false;     ///< is the connection kept?
};

inline Fate refused(ErrorKind kind)
{
    return {kind, Timer::none, 0, {}, false};
}
inline Fate times_out(Timer timer)
{
    return {ErrorKind::timeout, timer, 0, {}, false};
}
inline Fate accepted(std::string body = {}, int status = 200)
{
    return {{}, Timer::none, status, std::move(body), true};
}
/// The answer is good and the connection is not.
inline Fate accepted_once(std::string body = {}, int status = 200)
{
    return {{}, Timer::none, status, std::move(body), false};
}

inline bool operator==(const Fate& a, const Fate& b)
{
    return a.kind == b.kind && a.timer == b.timer && a.status == b.status && a.body == b.body && a.reusable == b.reusable;
}

inline std::ostream& operator<<(std::ostream& out, const Fate& fate)
{
    if (fate.kind != ErrorKind{}) {
        out << to_string(fate.kind);
        if (fate.timer != Timer::none) out << ' ' << to_string(fate.timer);
    } else {
        out << fate.status << " [" << escape_untrusted(fate.body) << ']';
    }
    return out << (fate.reusable ? " reusable" : " closed");
}

/// What the server does to one request, and what should come of it.
struct Row {
    std::string name;
    Reply reply;
    Fate expected;
    std::string method = "GET";
};

enum class Transport : std::uint8_t { tcp, tls };

inline const char* to_text(Transport transport)
{
    return transport == Transport::tls ? "TLS" : "TCP";
}

/// Made once: keys take time.
inline const TestIdentity& test_identity()
{
    static const TestIdentity identity;
    return identity;
}

inline FaultServerTls server_identity()
{
    return {test_identity().server.chain_pem(), test_identity().server.key_pem()};
}

inline std::unique_ptr<FaultServer> make_server(Transport transport, Script::Handler handler = {})
{
    return transport == Transport::tls ? std::make_unique<FaultServer>(server_identity(), std::move(handler))
                                       : std::make_unique<FaultServer>(std::move(handler));
}

/// For the server at `localhost`, with time enough that only what a case is about can run out.
inline ClientOptions options_for(const FaultServer& server)
{
    ClientOptions options(server.url("localhost"));
    options.tls(trusting(test_identity().root))
        .timeouts({.connect = 15s, .tls_handshake = 15s, .total = 20s})
        .raise_for_status(false);
    return options;
}

inline Fate fate_of(const Result<Response>& result, const AnyAPIClient& api)
{
    Fate fate;
    if (result) {
        fate.status = result->status();
        fate.body = result->text();
    } else {
        fate.kind = result.error().kind();
        fate.timer = result.error().timer();
    }
    fate.reusable = api.connections().idle != 0;
    return fate;
}

/// An answer that only the call it belongs to may get.
inline const std::string own_body = "the answer of its own";

/// What a client may never do, whatever has been done to it: keep a lease, or give the next call what is not that call's.
inline void check_still_sound(asio::io_context& io, const AnyAPIClient& api)
{
    CHECK(api.connections().leased == 0);
    CHECK(api.in_flight() == 0);
    const auto next = run(io, api.request("POST", "/next").body("x").try_send());
    REQUIRE(next.has_value());
    CHECK(next->status() == 200);
    CHECK(next->body() == own_body);
}

/// Does each row to a client of its own, over both transports.
inline void check_rows(const std::vector<Row>& rows, const ReaderLimits& limits = {})
{
    const auto transport = GENERATE(Transport::tcp, Transport::tls);
    const auto server = make_server(transport);
    for (const Row& row : rows) {
        INFO("row: " << row.name << ", over " << to_text(transport));
        server->reply(row.reply).reply(ok(own_body));
        asio::io_context io;
        const AsyncAPIClient api{io, options_for(*server).limits(limits)};
        const std::size_t connections = server->connections();

        const auto result = run(io, api.request(row.method, "/").try_send());

        CHECK(fate_of(result, api) == row.expected);
        if (!result) {
            CHECK_FALSE(result.error().message().empty());
            CHECK(result.error().elapsed() < 10s); // of 20
        }
        check_still_sound(io, api);
        CHECK(server->connections() - connections == (row.expected.reusable ? 1u : 2u));
    }
}

inline std::string repeated(std::string_view text, std::size_t times)
{
    std::string all;
    all.reserve(text.size() * times);
    for (; times != 0; --times) all.append(text);
    return all;
}

/// An answer of these fields and this body, as they are.
inline Reply answer(const std::string& fields, const std::string& body = {})
{
    return raw("HTTP/1.1 200 OK\r\n" + fields + "\r\n" + body);
}

inline Reply chunks(const std::string& body)
{
    return answer("Transfer-Encoding: chunked\r\n", body);
}

} // namespace khive_tests

// SPDX-License-Identifier: BSL-1.0
#include <khive/testing/reply.hpp>

#include "support/catch.hpp"

namespace khive_tests::reply_test {

using namespace khive;
using namespace khive::testing;
using namespace std::chrono_literals;

namespace {

/// The actions as one line: `send(5) pause(10) reset`.
std::string text(const std::vector<PeerAction>& actions)
{
    std::string line;
    for (const auto& action : actions) {
        if (!line.empty()) line += ' ';
        switch (action.kind) {
        case PeerAction::Kind::send: line += "send(" + std::to_string(action.bytes.size()) + ")"; break;
        case PeerAction::Kind::pause:
            line +=
                "pause(" + std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(action.pause).count()) + ")";
            break;
        case PeerAction::Kind::end: line += "end"; break;
        case PeerAction::Kind::close: line += "close"; break;
        case PeerAction::Kind::reset: line += "reset"; break;
        }
    }
    return line;
}

} // namespace

TEST_CASE("Reply: is framed by Content-Length unless told otherwise", "[testing]")
{
    CHECK(ok("hello").bytes() == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    CHECK(ok_json("{}").bytes() == "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}");
    CHECK(ok("hello").header("content-length", "7").bytes() == "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nhello");
    CHECK(ok("hello").chunked(3).bytes() ==
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n");
    CHECK(ok("hello").until_close().bytes() == "HTTP/1.1 200 OK\r\n\r\nhello");
    CHECK(status(204).bytes() == "HTTP/1.1 204 No Content\r\n\r\n");
    CHECK(ok("hello").bytes("HEAD") == "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    CHECK(raw("anything").bytes("HEAD") == "anything");
}

TEST_CASE("Reply: has the head that was asked for", "[testing]")
{
    Headers headers;
    headers.set("etag", "\"1\"");

    CHECK(status(503, headers, "x").bytes() ==
          "HTTP/1.1 503 Service Unavailable\r\netag: \"1\"\r\nContent-Length: 1\r\n\r\nx");
    CHECK(status(299).reason("Whatever").bytes() == "HTTP/1.1 299 Whatever\r\nContent-Length: 0\r\n\r\n");
    CHECK(status(204).preceded_by("HTTP/1.1 103 Early Hints\r\n\r\n").followed_by("!").bytes() ==
          "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n!");
}

TEST_CASE("Reply: Retry-After is rounded up to seconds", "[testing]")
{
    const auto [duration, field] = GENERATE(table<Duration, std::string>({
        {0s, "Retry-After: 0\r\n"},
        {1ms, "Retry-After: 1\r\n"},
        {90s, "Retry-After: 90\r\n"},
    }));
    CHECK_THAT(too_many_requests(duration).bytes(), khive_tests::contains(field));
    CHECK(too_many_requests(duration).status() == 429);
}

TEST_CASE("Reply: is delivered as told", "[testing]")
{
    CHECK(text(raw("abc").actions()) == "send(3)");
    CHECK(text(no_answer().actions()) == "");
    CHECK(text(reset().actions()) == "reset");
    CHECK(text(close_without_answer().actions()) == "close");
    CHECK(text(delay(2s, delay(1s, raw("abc"))).actions()) == "pause(3000) send(3)");
    CHECK(text(trickle(raw("abcde"), 2, 10ms).actions()) == "send(2) pause(10) send(2) pause(10) send(1)");
    CHECK(text(raw("abcde").in_pieces(1, 5ms).at_once(3).actions()) == "send(3) pause(5) send(1) pause(5) send(1)");
    CHECK(text(raw("abc").at_once(9).actions()) == "send(3)");
    CHECK(text(raw("abc").then_inject("de").then_close().actions()) == "send(3) send(2) close");
    CHECK(text(reset_after(2, raw("abc")).actions()) == "send(2) reset");
    CHECK(text(reset_after(9, raw("abc")).linger(5ms).actions()) == "send(3) pause(5) reset");
    CHECK(text(raw("abc").then_end().actions()) == "send(3) end");
    CHECK(text(ok().until_close().actions()) == "send(19) close");
}

TEST_CASE("Reply: closes the connection when request or answer say so", "[testing]")
{
    CHECK(text(raw("abc").actions("GET", true)) == "send(3) close");
    CHECK(text(status(204).header("Connection", "Close").actions()) == "send(46) close");
    CHECK(text(no_answer().actions("GET", true)) == "");
}

} // namespace khive_tests::reply_test

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "unit/http/reading.hpp"

#include <khive/http/response_reader.hpp>

#include <limits>

namespace khive_tests::response_reader_test {

using namespace khive;
using http::ReadStep;
using namespace std::chrono_literals;

namespace {

const std::string plain = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX: y\r\n\r\nhello";
const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/// Starts the reader and gives it `bytes`, all of which it must take.
ReadStep read_next(Reader& reader, std::string_view bytes, bool to_head = false)
{
    reader.start(to_head);
    const auto step = feed(reader, bytes);
    REQUIRE(bytes.empty());
    return step;
}

} // namespace

TEST_CASE("ResponseReader: an answer reads the same however its bytes are cut", "[http][reader]")
{
    const auto [bytes, expected] = GENERATE(table<std::string, std::string>({
        {plain, "200 reusable [Content-Length: 5\r\nX: y\r\n] [hello] []"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 reusable [Content-Length: 0\r\n] [] []"},
        {"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx", "200 reusable [Content-Length: 1\r\n] [x] []"},
        {"HTTP/1.1 204 No Content\r\n\r\n", "204 reusable [] [] []"},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 reusable [Content-Length: 5\r\n] [] []"},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + plain,
         "200 reusable [Content-Length: 5\r\nX: y\r\n] [hello] []"},
        {chunked + "5\r\nhello\r\n1;a=b\r\n!\r\n0\r\n\r\n", "200 reusable [Transfer-Encoding: chunked\r\n] [hello!] []"},
        {chunked + "000a\r\n0123456789\r\n0;x\r\nT: 1\r\nU:2\r\n\r\n",
         "200 reusable [Transfer-Encoding: chunked\r\n] [0123456789] [T: 1\r\nU:2\r\n]"},
        {"HTTP/1.1 200 OK\r\ntransfer-encoding:  CHUNKED \r\n\r\n0\r\n\r\n",
         "200 reusable [transfer-encoding:  CHUNKED \r\n] [] []"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\ncontent-length: 5\r\n\r\nhello",
         "200 reusable [Content-Length: 5, 5\r\ncontent-length: 5\r\n] [hello] []"},
        {"HTTP/1.1 500 Oh\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno",
         "500 closing [Connection: close\r\nContent-Length: 2\r\n] [no] []"},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", "200 closing [Content-Length: 2\r\n] [ok] []"},
        {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
         "200 reusable [Connection: Keep-Alive\r\nContent-Length: 2\r\n] [ok] []"},
        {plain + "HTTP/1.1 200 OK\r\n", "200 closing [Content-Length: 5\r\nX: y\r\n] [hello] []"},
        {chunked + "0\r\n\r\nx", "200 closing [Transfer-Encoding: chunked\r\n] [] []"},
        {"HTTP/1.1 204 No Content\r\n\r\nbody", "204 closing [] [] []"},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", "204 reusable [Content-Length: 0\r\n] [] []"},
        {"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n", "204 closing [Content-Length: 4\r\n] [] []"},
        {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n",
         "204 closing [Transfer-Encoding: chunked\r\n] [] []"},
        {"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n", "999 reusable [Content-Length: 0\r\n] [] []"},
        {"HTTP/1.1 200 OK\r\nX:\r\nY: \xff caf\xc3\xa9\r\nContent-Length: 0\r\n\r\n",
         "200 reusable [X:\r\nY: \xff caf\xc3\xa9\r\nContent-Length: 0\r\n] [] []"},
    }));

    CHECK(read_every_way({bytes}) == expected);
}

TEST_CASE("ResponseReader: with the head that another has learnt it reads what it would have read without", "[http][reader]")
{
    const std::string other = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
    Reader first;
    REQUIRE(read_next(first, plain) == ReadStep::done);
    Reader second;
    second.use_head_memory(first.take_head_memory());

    for (Reader* const reader : {&first, &second}) {
        for (int i = 0; i < 2; ++i) {
            CHECK(read_next(*reader, plain) == ReadStep::done);
            CHECK(reader->status() == 200);
            CHECK(reader->reusable());
            CHECK(reader->content.headers.get_or("x", {}) == "y");
            CHECK(reader->content.body.view() == "hello");

            CHECK(read_next(*reader, other) == ReadStep::done);
            CHECK(reader->status() == 404);
            CHECK_FALSE(reader->reusable());
            CHECK(reader->content.body.view() == "no");
        }
    }
}

TEST_CASE("ResponseReader: a body without length ends with the connection and is never reused", "[http][reader]")
{
    const std::string bytes = "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\nsome body";

    CHECK(read_every_way({bytes, Then::clean_end}) == "200 closing [Connection: keep-alive\r\n] [some body] []");
    CHECK(read_every_way({bytes, Then::silence}) == "more");
    CHECK(read_every_way({bytes, Then::broken_end}) == "truncated_body: the connection ended before the body did");
}

TEST_CASE("ResponseReader: the answer to HEAD has no body whatever it announces", "[http][reader]")
{
    const auto head = GENERATE(as<std::string>{}, "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n",
                               "Content-Length: 99999999999\r\n", "X: y\r\n");
    const auto bytes = "HTTP/1.1 200 OK\r\n" + head + "\r\n";

    CHECK(read_every_way({bytes, Then::silence, true}) == "200 reusable [" + head + "] [] []");
    CHECK(read_every_way({bytes + "hello", Then::silence, true}) == "200 closing [" + head + "] [] []");
}

TEST_CASE("ResponseReader: an answer cut short anywhere is an error", "[http][reader]")
{
    const auto bytes = GENERATE(as<std::string>{}, plain, chunked + "5;a\r\nhello\r\n0\r\nT: 1\r\n\r\n");
    const auto end = GENERATE(Then::clean_end, Then::broken_end);
    const auto head_size = bytes.find("\r\n\r\n") + 4;

    for (std::size_t size = 0; size < bytes.size(); ++size) {
        const auto result = read_bytewise({bytes.substr(0, size), end});
        const std::string expected = size == 0 ? "connection_lost: the connection ended before any byte of the answer"
                                     : size < head_size
                                         ? "connection_lost: the connection ended inside the head of the answer"
                                         : "truncated_body: the connection ended before the body did";
        CHECK(result == expected);
    }
}

TEST_CASE("ResponseReader: an end after interim answers is a lost connection that had answered", "[http][reader]")
{
    Reader reader;
    CHECK(read_next(reader, "HTTP/1.1 100 Continue\r\n\r\n") == ReadStep::more);

    CHECK(reader.any_byte());
    CHECK_FALSE(reader.head_done());
    CHECK(reader.end_of_stream(true) == ReadStep::failed);
    CHECK(reader.error().kind() == ErrorKind::connection_lost);
    CHECK(reader.error().retryable());
}

TEST_CASE("ResponseReader: knows whether any byte has come", "[http][reader]")
{
    Reader reader;
    reader.start(false);
    CHECK_FALSE(reader.any_byte());
    CHECK(reader.commit(0) == ReadStep::more);
    CHECK_FALSE(reader.any_byte());

    reader.prepare()[0] = 'H';
    CHECK(reader.commit(1) == ReadStep::more);
    CHECK(reader.any_byte());
}

TEST_CASE("ResponseReader: an end of the stream after the answer changes nothing", "[http][reader]")
{
    Reader reader;
    REQUIRE(read_next(reader, plain) == ReadStep::done);

    CHECK(reader.end_of_stream(false) == ReadStep::done);
    CHECK(reader.prepare().empty());
    CHECK(reader.error().kind() == ErrorKind{});
}

TEST_CASE("ResponseReader: reads the next answer with all state of the last one gone", "[http][reader]")
{
    Reader reader;
    REQUIRE(
        read_next(reader, "HTTP/1.1 500 Oh\r\nKeep-Alive: timeout=5\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx") ==
        ReadStep::done);
    REQUIRE_FALSE(reader.reusable());
    REQUIRE(read_next(reader, "nonsense") == ReadStep::failed);
    CHECK(reader.status() == 0);

    CHECK(read_next(reader, plain) == ReadStep::done);
    CHECK(reader.status() == 200);
    CHECK(reader.reusable());
    CHECK_FALSE(reader.keep_alive_timeout());
    CHECK(reader.content.headers.lines() == "Content-Length: 5\r\nX: y\r\n");
    CHECK(reader.content.body.view() == "hello");
    CHECK(reader.error().kind() == ErrorKind{});
}

TEST_CASE("ResponseReader: a head that is the last one's but for a byte is read for itself", "[http][reader]")
{
    const std::string head = "HTTP/1.1 200 OK\r\nKeep-Alive: timeout=5\r\nContent-Length: 5\r\nX: y\r\n\r\n";
    for (std::size_t at = 0; at < head.size(); ++at) {
        for (const char other : {'3', ' ', '\r', '\n', 'x', '\0'}) {
            std::string changed = head;
            changed[at] = other;
            Reader knowing;
            (void)read_next(knowing, head + "hello");
            knowing.start(false);
            std::string_view again = changed;
            const auto step = feed(knowing, again);
            const auto timeout = knowing.keep_alive_timeout();
            Reader fresh;
            fresh.start(false);
            std::string_view bytes = changed;
            const auto expected = feed(fresh, bytes);

            REQUIRE(describe(knowing, step, !again.empty()) == describe(fresh, expected, !bytes.empty()));
            REQUIRE(timeout == fresh.keep_alive_timeout());
        }
    }
}

TEST_CASE("ResponseReader: a head too long to remember is read again and again", "[http][reader]")
{
    const std::string answer = "HTTP/1.1 200 OK\r\nX: " + std::string(2000, 'x') + "\r\nContent-Length: 2\r\n\r\nok";
    CHECK(read_every_way({answer}).ends_with("[ok] []"));
}

TEST_CASE("ResponseReader: an answer given up half-way leaves nothing to the next", "[http][reader]")
{
    const auto half = GENERATE(as<std::string>{}, "HTTP/1.1 200 \r\nA", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nxx",
                               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe", "HTTP/1.1 200 OK\r\n\r\nxx");
    Reader reader;
    REQUIRE(read_next(reader, half) == ReadStep::more);

    // A blank stands where the line of the half head began.
    CHECK(read_next(reader, "HTTP/1.1 200 OK a\r\nContent-Length: 1\r\n\r\nx") == ReadStep::done);
    CHECK(reader.content.body.view() == "x");
    CHECK(reader.reusable());
}

TEST_CASE("ResponseReader: a head after an interim one is searched from its own beginning", "[http][reader]")
{
    CHECK(read_every_way({"HTTP/1.1 100 \r\n\r\nHTTP/1.1 200 OK a\r\nContent-Length: 0\r\n\r\n"}) ==
          "200 reusable [Content-Length: 0\r\n] [] []");
}

TEST_CASE("ResponseReader: a body without length is never given room far beyond the limit", "[http][reader][hostile]")
{
    http::ReaderLimits limits;
    limits.max_body_bytes = 100;
    Reader reader(limits);
    REQUIRE(read_next(reader, "HTTP/1.1 200 OK\r\n\r\nabc") == ReadStep::more);

    CHECK(reader.prepare().size() == 98);
    CHECK(reader.commit(97) == ReadStep::more);
    CHECK(reader.prepare().size() == 1);
    CHECK(reader.commit(1) == ReadStep::failed);
    CHECK(reader.error().kind() == ErrorKind::body_too_large);
}

TEST_CASE("ResponseReader: interim answers do not use up the limit of the head that follows", "[http][reader]")
{
    http::ReaderLimits limits;
    limits.max_header_bytes = plain.find("\r\n\r\n") + 4;

    CHECK(read_every_way({"HTTP/1.1 100 Continue\r\n\r\n" + plain, Then::silence, false, limits}).starts_with("200"));
}

TEST_CASE("ResponseReader: memory that is there is used", "[http][reader]")
{
    Reader reader;
    reader.content.body.reserve(4096);
    reader.content.headers = Headers::from_lines(std::string(512, 'x'));
    const char* const body_at = reader.content.body.data();
    const char* const headers_at = reader.content.headers.lines().data();

    REQUIRE(read_next(reader, plain) == ReadStep::done);

    CHECK(reader.content.body.data() == body_at);
    CHECK(reader.content.headers.lines().data() == headers_at);
    CHECK(reader.content.body.view() == "hello");
}

TEST_CASE("ResponseReader: a body of known length is read into its place, with room for one byte that does not belong there", "[http][reader]")
{
    Reader reader;
    REQUIRE(read_next(reader, "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n") == ReadStep::more);

    CHECK(reader.head_done());
    CHECK(reader.prepare().size() == 301);
    CHECK(reader.commit(100) == ReadStep::more);
    CHECK(reader.prepare().size() == 201);
    CHECK(reader.commit(200) == ReadStep::done);
    CHECK(reader.reusable());
    CHECK(reader.content.body.size() == 300);
}

TEST_CASE("ResponseReader: a byte behind a body of known length costs the connection and is not in the body", "[http][reader][hostile]")
{
    const std::size_t size = GENERATE(1u, 2u, 300u, (1u << 20) - 1u, 1u << 20, (1u << 20) + 1u, (2u << 20) + 1u, (2u << 20) + 2u);
    const std::size_t first_piece = GENERATE(0u, 1u, 298u, 299u, (1u << 20) - 2u, 1u << 20, 2u << 20);
    if (first_piece >= size) return;
    Reader reader;
    REQUIRE(read_next(reader, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n") == ReadStep::more);
    const std::string sent(size + 1, 'x');
    std::string_view first = std::string_view(sent).substr(0, first_piece);
    std::string_view rest = std::string_view(sent).substr(first_piece);
    REQUIRE(feed(reader, first) == ReadStep::more);

    INFO("size " << size << ", first " << first_piece);
    CHECK(feed(reader, rest) == ReadStep::done);

    CHECK(rest.empty());
    CHECK_FALSE(reader.reusable());
    CHECK(reader.content.body.view() == std::string(size, 'x'));
    CHECK(read_next(reader, plain) == ReadStep::done); // and it does not stick
    CHECK(reader.reusable());
}

TEST_CASE("ResponseReader: an announced length is not allocated before its bytes come", "[http][reader][hostile]")
{
    http::ReaderLimits limits;
    limits.max_body_bytes = std::numeric_limits<std::uint64_t>::max();
    Reader reader(limits);
    REQUIRE(read_next(reader, "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n") == ReadStep::more);

    std::size_t received = 0;
    for (int reads = 0; reads < 3; ++reads) {
        const auto room = reader.prepare();
        CHECK(room.size() <= (1u << 20) + 1 + received);
        received += room.size();
        CHECK(reader.commit(room.size()) == ReadStep::more);
    }
}

TEST_CASE("ResponseReader: a chunked body that comes in large reads gets a larger buffer", "[http][reader]")
{
    Reader reader;
    REQUIRE(read_next(reader, chunked + "100000\r\n") == ReadStep::more);
    const auto small = reader.prepare().size();

    std::size_t largest = 0;
    for (int reads = 0; reads < 6; ++reads) {
        const auto room = reader.prepare();
        largest = std::max(largest, room.size());
        std::fill(room.begin(), room.end(), 'x');
        CHECK(reader.commit(room.size()) == ReadStep::more);
    }

    CHECK(largest >= 4 * small);
    CHECK(largest <= 128u << 10); // a spare block may be twice as large as wanted
}

TEST_CASE("ResponseReader: gives the memory of its buffer back and reads on", "[http][reader]")
{
    Reader reader;
    REQUIRE(read_next(reader, plain) == ReadStep::done);
    reader.release_memory();

    CHECK(reader.reusable());
    CHECK(read_next(reader, plain) == ReadStep::done);
    CHECK(reader.reusable());
}

TEST_CASE("ResponseReader: bytes left over stay left over when the buffer is given back", "[http][reader][hostile]")
{
    Reader reader;
    REQUIRE(read_next(reader, plain + "HTTP/1.1 200 poison") == ReadStep::done);
    reader.release_memory();

    CHECK_FALSE(reader.reusable());
}

TEST_CASE("ResponseReader: reads what the server says about keeping the connection", "[http][reader]")
{
    using Seconds = std::optional<Duration>;
    using Count = std::optional<unsigned>;
    const auto [field, timeout, max] = GENERATE(table<std::string, Seconds, Count>({
        {"Keep-Alive: timeout=5, max=100", 5s, 100u},
        {"keep-alive: MAX=7 , Timeout = 15", 15s, 7u},
        {"Keep-Alive: timeout=0", 0s, std::nullopt},
        {"Keep-Alive: timeout=-5, max=+3", std::nullopt, std::nullopt},
        {"Keep-Alive: timeout=99999999999999999999", std::nullopt, std::nullopt},
        {"Keep-Alive: timeout, =, max=,,", std::nullopt, std::nullopt},
        {"X: timeout=5", std::nullopt, std::nullopt},
    }));
    Reader reader;

    CHECK(read_next(reader, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + field + "\r\n\r\n") == ReadStep::done);

    CHECK(reader.keep_alive_timeout() == timeout);
    CHECK(reader.keep_alive_max() == max);
}

TEST_CASE("ResponseReader: the connection is kept as version and Connection say", "[http][reader]")
{
    const auto [line, field, kept] = GENERATE(table<std::string, std::string, bool>({
        {"HTTP/1.1", "", true},
        {"HTTP/1.1", "Connection: keep-alive\r\n", true},
        {"HTTP/1.1", "Connection: Close\r\n", false},
        {"HTTP/1.1", "connection: x, close ,y\r\n", false},
        {"HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", false},
        {"HTTP/1.1", "Connection: close\r\nConnection: keep-alive\r\n", false},
        {"HTTP/1.1", "Connection: closed\r\n", true},
        {"HTTP/1.0", "", false},
        {"HTTP/1.0", "Connection: keep-alive\r\n", true},
        {"HTTP/1.0", "Connection: keep-alive, close\r\n", false},
    }));
    Reader reader;

    CHECK(read_next(reader, line + " 200 OK\r\n" + field + "Content-Length: 0\r\n\r\n") == ReadStep::done);

    CHECK(reader.reusable() == kept);
}

} // namespace khive_tests::response_reader_test

// SPDX-License-Identifier: BSL-1.0
// What servers must not do, class by class. Every case is also cut in every way: the error is the same, and comes from the bytes,
// not from a timer.
#include "support/catch.hpp"
#include "unit/http/reading.hpp"

#include <khive/http/response_reader.hpp>

namespace khive_tests::response_reader_hostile_test {

using namespace khive;

namespace {

const std::string ok = "HTTP/1.1 200 OK\r\n";
const std::string chunked = ok + "Transfer-Encoding: chunked\r\n\r\n";

std::string repeated(std::string_view text, std::size_t times)
{
    std::string out;
    for (; times != 0; --times) out.append(text);
    return out;
}

void check_protocol_error(const std::string& bytes)
{
    CAPTURE(escape_untrusted(bytes));
    CHECK_THAT(read_every_way({bytes}), khive_tests::contains("protocol: "));
}

} // namespace

TEST_CASE("ResponseReader: a Content-Length that is not a plain number is an error", "[http][reader][hostile]")
{
    const auto value =
        GENERATE(as<std::string>{}, "", " ", "+5", "-5", "0x5", "5 5", "5;", "5.0", "5e0", "five", "5,", ",5", "5,,5",
                 "5, 6", "18446744073709551616", "99999999999999999999999999", "\xd9\xa5", "5\x0b", "\"5\"", "1_000");

    check_protocol_error(ok + "Content-Length: " + value + "\r\n\r\nhello");
}

TEST_CASE("ResponseReader: two lengths that differ are an error", "[http][reader][hostile]")
{
    check_protocol_error(ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!");
    check_protocol_error(ok + "Content-Length: 5\r\nX: y\r\ncontent-length: 05, 7\r\n\r\nhello!");
}

TEST_CASE("ResponseReader: any Transfer-Encoding beside a Content-Length is an error", "[http][reader][hostile]")
{
    const auto coding = GENERATE(as<std::string>{}, "chunked", "identity", "gzip", "xchunked", "chunked, identity",
                                 "\x0b"
                                 "chunked");

    check_protocol_error(ok + "Content-Length: 5\r\nTransfer-Encoding: " + coding + "\r\n\r\n0\r\n\r\n");
    check_protocol_error(ok + "Transfer-Encoding: " + coding + "\r\nContent-Length: 5\r\n\r\n0\r\n\r\n");
}

TEST_CASE("ResponseReader: a Transfer-Encoding other than chunked alone is an error", "[http][reader][hostile]")
{
    const auto field = GENERATE(as<std::string>{}, "Transfer-Encoding: identity", "Transfer-Encoding: gzip",
                                "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, chunked",
                                "Transfer-Encoding: chunked, identity",
                                "Transfer-Encoding:", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked;q=1",
                                "Transfer-Encoding: chunked,", "Transfer-Encoding: x chunked", "Transfer-Encoding : chunked",
                                "Transfer_Encoding\t: chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                                "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked");

    check_protocol_error(ok + field + "\r\n\r\n0\r\n\r\n");
}

TEST_CASE("ResponseReader: chunked in HTTP/1.0 is an error", "[http][reader][hostile]")
{
    check_protocol_error("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
}

TEST_CASE("ResponseReader: a chunk size that is not a plain hex number is an error before any data",
          "[http][reader][hostile]")
{
    const auto size = GENERATE(as<std::string>{}, "", " 5", "5 ", "+5", "-5", "0x5", "5x", "g", "5\t", "00000000000000005",
                               "10000000000000000", "fffffffffffffffff", "5\n", "\r\n5", "5,5", "5\x0b");

    check_protocol_error(chunked + size + "\r\nhello\r\n0\r\n\r\n");
}

TEST_CASE("ResponseReader: no chunk size is not a last chunk", "[http][reader][hostile]")
{
    check_protocol_error(chunked + "\r\n\r\n");
    check_protocol_error(chunked + ";x\r\n\r\n");
}

TEST_CASE("ResponseReader: chunk sizes do not wrap", "[http][reader][hostile]")
{
    const auto size = GENERATE(as<std::string>{}, "ffffffff", "100000005", "7fffffffffffffff", "8000000000000005",
                               "ffffffffffffffff", "FFFFFFFFFFFFFFFE");

    CHECK(read_every_way({chunked + size + "\r\nhello\r\n0\r\n\r\n"}) == "body_too_large: body is over the limit");
    CHECK(read_every_way({chunked + "5\r\nhello\r\n" + size + "\r\nhello\r\n0\r\n\r\n"}) ==
          "body_too_large: body is over the limit");
}

TEST_CASE("ResponseReader: chunk lines and data end in CRLF and nothing else", "[http][reader][hostile]")
{
    const auto body = GENERATE(as<std::string>{}, "5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello0\r\n\r\n",
                               "5\r\nhelloXX0\r\n\r\n", "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n0\r\n\n",
                               "5\rhello\r\n0\r\n\r\n", "5\r\nhello\r\r\n0\r\n\r\n", "5;a\nb\r\nhello\r\n0\r\n\r\n",
                               "5;a\rb\r\nhello\r\n0\r\n\r\n", "0\r\nT: 1\n\r\n", "0\r\n\rX");

    check_protocol_error(chunked + body);
}

TEST_CASE("ResponseReader: a trailer is a header field or an error", "[http][reader][hostile]")
{
    using namespace std::string_literals;
    const auto line = GENERATE(as<std::string>{}, "no colon", ": x", "T : x", " folded", "T: a\0b"s, "T: a\x7f", "T\x01: a",
                               "T: a\r\n folded");

    check_protocol_error(chunked + "0\r\n" + line + "\r\n\r\n");
}

TEST_CASE("ResponseReader: trailers never become headers or change the framing", "[http][reader][hostile]")
{
    CHECK(
        read_every_way({chunked + "1\r\nx\r\n0\r\nContent-Length: 9\r\nConnection: close\r\nSet-Cookie: a=b\r\n\r\n"}) ==
        "200 reusable [Transfer-Encoding: chunked\r\n] [x] [Content-Length: 9\r\nConnection: close\r\nSet-Cookie: a=b\r\n]");
}

TEST_CASE("ResponseReader: extensions are bounded per line and in sum", "[http][reader][hostile]")
{
    http::ReaderLimits limits;
    limits.max_chunk_line_bytes = 20;
    limits.max_extension_bytes = 50;
    const auto line = "1;" + repeated("e", 19) + "\r\nx\r\n";

    CHECK(read_every_way({chunked + line + line + "0\r\n\r\n", Then::silence, false, limits}).ends_with("[xx] []"));
    CHECK(read_every_way({chunked + "1;" + repeated("e", 20) + "\r\nx\r\n", Then::silence, false, limits}) ==
          "protocol: chunk line is over the limit");
    CHECK(read_every_way({chunked + line + line + line, Then::silence, false, limits}) ==
          "protocol: chunk extensions are over the limit");
}

TEST_CASE("ResponseReader: a flood of extensions or trailers ends at the default limits", "[http][reader][hostile]")
{
    CHECK_THAT(read_whole({chunked + "1;" + repeated("e", 1u << 20)}), khive_tests::contains("protocol: chunk line"));
    CHECK_THAT(read_whole({chunked + repeated("1;" + repeated("e", 100) + "\r\nx\r\n", 10'000)}),
               khive_tests::contains("protocol: chunk ext"));
    CHECK_THAT(read_whole({chunked + "0\r\n" + repeated("a: b\r\n", 100'000)}),
               khive_tests::contains("header_too_large: trailers"));
    CHECK_THAT(read_whole({chunked + "0\r\n" + repeated("a", 1u << 20)}),
               khive_tests::contains("header_too_large: trailers"));
}

TEST_CASE("ResponseReader: what does not begin like HTTP/1 fails at its first wrong byte", "[http][reader][hostile]")
{
    using namespace std::string_literals;
    const auto bytes =
        GENERATE(as<std::string>{}, "<html>", "SSH-2.0-OpenSSH_9.2\r\n", "\x15\x03\x03\x00\x02\x02\x28"s,
                 "\0\0\x12\x04\0\0\0\0\0"s, "220 mail ESMTP\r\n", "\r\nHTTP/1.1 200 OK\r\n", " HTTP/1.1 200 OK",
                 "http/1.1 200 OK", "HTTP/2 200\r\n", "HTTP/0.9 200", "HTTP 200", "ICY 200 OK\r\n", "HTTQ");

    CHECK(read_every_way({bytes}) == "protocol: this is not an HTTP/1 answer");
}

TEST_CASE("ResponseReader: a status line that is not as it must be is an error", "[http][reader][hostile]")
{
    using namespace std::string_literals;
    const auto line =
        GENERATE(as<std::string>{}, "HTTP/1.2 200 OK", "HTTP/1.10 200 OK", "HTTP/1. 200 OK", "HTTP/1.1200 OK",
                 "HTTP/1.1  200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 +20 OK", "HTTP/1.1 2x0 OK",
                 "HTTP/1.1 099 OK", "HTTP/1.1 000 OK", "HTTP/1.1\t200 OK", "HTTP/1.1 200 O\0K"s, "HTTP/1.1 200 O\x01K",
                 "HTTP/1.1 200 O\rK", "HTTP/1.1", "HTTP/1.1 ", "HTTP/1.1 -200 OK");

    check_protocol_error(line + "\r\nContent-Length: 0\r\n\r\n");
}

TEST_CASE("ResponseReader: a header field that is not as it must be is an error", "[http][reader][hostile]")
{
    using namespace std::string_literals;
    const auto field = GENERATE(as<std::string>{}, "no colon", "X : y", "X\t: y", ": y", " X: y", "X: a\0b"s, "X: a\x01",
                                "X: a\x7f", "X: a\rb", "X\x80: y", "X Y: z", "X(: y", "X: a\r\n folded", "X: a\r\n\tfolded",
                                "X: a\nY: b", "X:\r\n \r\n", "\x0bX: y");

    check_protocol_error(ok + field + "\r\nContent-Length: 0\r\n\r\n");
}

TEST_CASE("ResponseReader: bare LF line ends fail at once", "[http][reader][hostile]")
{
    CHECK(read_every_way({"HTTP/1.1 200 OK\nContent-Length: 0\n\n"}) == "protocol: a line ends in a bare LF");
    CHECK(read_every_way({ok + "Content-Length: 0\r\n\n"}) == "protocol: a line ends in a bare LF");
}

TEST_CASE("ResponseReader: a head ends at its limit", "[http][reader][hostile]")
{
    const std::string head = ok + "X: " + repeated("y", 50) + "\r\nContent-Length: 0\r\n\r\n";
    http::ReaderLimits limits;
    limits.max_header_bytes = head.size();
    CHECK(read_every_way({head, Then::silence, false, limits}).starts_with("200 reusable"));

    limits.max_header_bytes = head.size() - 1;
    CHECK(read_every_way({head, Then::silence, false, limits}) ==
          "header_too_large: the head of the answer is over the limit");
}

TEST_CASE("ResponseReader: endless heads end at the default limits", "[http][reader][hostile]")
{
    const auto flood =
        GENERATE(as<std::string>{}, "HTTP/1.1 200 " + repeated("O", 1u << 17), ok + "X: " + repeated("y", 1u << 17),
                 ok + repeated("n", 1u << 17), ok + repeated("X: " + repeated("y", 1000) + "\r\n", 100));

    CHECK(read_whole({flood}) == "header_too_large: the head of the answer is over the limit");
    CHECK(read_whole({ok + repeated("X: y\r\n", 1u << 15)}) == "header_too_large: too many header fields");
}

TEST_CASE("ResponseReader: the number of fields is limited", "[http][reader][hostile]")
{
    http::ReaderLimits limits;
    limits.max_header_count = 3;
    const std::string three = ok + "Content-Length: 0\r\nA: 1\r\nB: 2\r\n";

    CHECK(read_every_way({three + "\r\n", Then::silence, false, limits}).starts_with("200"));
    CHECK(read_every_way({three + "C: 3\r\n\r\n", Then::silence, false, limits}) ==
          "header_too_large: too many header fields");
}

TEST_CASE("ResponseReader: a body over the limit is an error whatever its framing", "[http][reader][hostile]")
{
    const auto [head, five, six, end] = GENERATE(table<std::string, std::string, std::string, Then>({
        {"Content-Length: ", "5\r\n\r\nhello", "6\r\n\r\n", Then::silence},
        {"Transfer-Encoding: chunked\r\n\r\n", "4\r\nhell\r\n1\r\no\r\n0\r\n\r\n", "4\r\nhell\r\n2\r\n", Then::silence},
        {"\r\n", "hello", "hello!", Then::clean_end},
    }));
    http::ReaderLimits limits;
    limits.max_body_bytes = 5;

    CHECK(read_every_way({ok + head + five, end, false, limits}).ends_with("[hello] []"));
    CHECK_THAT(read_every_way({ok + head + six, Then::silence, false, limits}), khive_tests::contains("body_too_large: "));
}

TEST_CASE("ResponseReader: interim answers are skipped up to a limit", "[http][reader][hostile]")
{
    http::ReaderLimits limits;
    limits.max_interim = 2;
    const std::string interim = "HTTP/1.1 102 Processing\r\n\r\n";
    const std::string last = "HTTP/1.1 204 No Content\r\n\r\n";

    CHECK(read_every_way({interim + interim + last, Then::silence, false, limits}) == "204 reusable [] [] []");
    CHECK(read_every_way({interim + interim + interim, Then::silence, false, limits}) ==
          "protocol: too many interim answers");
    CHECK(read_whole({repeated(interim, 10'000)}) == "protocol: too many interim answers");
}

TEST_CASE("ResponseReader: switching protocols unasked is an error", "[http][reader][hostile]")
{
    CHECK(read_every_way({"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"}) ==
          "protocol: the server switches protocols unasked");
}

} // namespace khive_tests::response_reader_hostile_test

// SPDX-License-Identifier: BSL-1.0
// Where an answer ends, and what two readers could disagree about.
#include "hostile/hostile.hpp"

namespace khive_tests::framing_test {

using namespace std::string_literals;

namespace {

constexpr auto protocol = ErrorKind::protocol;

/// Rows of bytes that are all refused as no answer.
std::vector<Row> no_answers(const std::vector<std::pair<std::string, std::string>>& named)
{
    std::vector<Row> rows;
    for (const auto& [name, bytes] : named) rows.push_back({name, raw(bytes), refused(protocol)});
    return rows;
}

/// Rows of fields that are all refused, each before a body of five bytes and a length that would fit it.
std::vector<Row> bad_fields(const std::vector<std::pair<std::string, std::string>>& named)
{
    std::vector<Row> rows;
    for (const auto& [name, fields] : named)
        rows.push_back({name, answer(fields + "Content-Length: 5\r\n", "hello"), refused(protocol)});
    return rows;
}

/// Rows of Content-Length fields before `hello`.
std::vector<Row> bad_lengths(const std::vector<std::string>& values)
{
    std::vector<Row> rows;
    for (const auto& value : values)
        rows.push_back({"Content-Length: " + escape_untrusted(value), answer("Content-Length:" + value + "\r\n", "hello"),
                        refused(protocol)});
    return rows;
}

std::vector<Row> bad_codings(const std::vector<std::string>& fields)
{
    std::vector<Row> rows;
    for (const auto& field : fields)
        rows.push_back({escape_untrusted(field), answer(field + "\r\n", "5\r\nhello\r\n0\r\n\r\n"), refused(protocol)});
    return rows;
}

std::vector<Row> bad_chunks(const std::vector<std::string>& bodies)
{
    std::vector<Row> rows;
    for (const auto& body : bodies) rows.push_back({"chunks " + escape_untrusted(body), chunks(body), refused(protocol)});
    return rows;
}

} // namespace

TEST_CASE("Hostile: what speaks another protocol, or none, is refused", "[hostile][framing]")
{
    check_rows(no_answers({
        {"SSH", "SSH-2.0-OpenSSH_9.2p1\r\n"},
        {"SMTP", "220 mail.example ESMTP\r\n"},
        {"FTP", "220-welcome\r\n220 ready\r\n"},
        {"TLS alert", "\x15\x03\x03\x00\x02\x02\x28"s},
        {"SOCKS", "\x05\x00"s},
        {"HTTP/2 settings", "\x00\x00\x12\x04\x00\x00\x00\x00\x00"s},
        {"HTTP/2 in words", "HTTP/2 200\r\n\r\n"},
        {"HTTP/2 with a dot", "HTTP/2.0 200 OK\r\n\r\n"},
        {"HTTP/3", "HTTP/3 200 OK\r\n\r\n"},
        {"HTTP/0.9, a body alone", "<html>hello</html>"},
        {"HTTP/0.9 in words", "HTTP/0.9 200 OK\r\n\r\n"},
        {"Icecast", "ICY 200 OK\r\n\r\n"},
        {"RTSP", "RTSP/1.0 200 OK\r\n\r\n"},
        {"a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
        {"zeros", std::string(64, '\0')},
        {"an empty line first", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
        {"a space first", " HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
        {"a byte order mark first", "\xef\xbb\xbfHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
    }));
}

TEST_CASE("Hostile: a status line that is not as it must be is refused", "[hostile][framing]")
{
    std::vector<Row> rows;
    for (const auto& line : {"http/1.1 200 OK"s,
                             "Http/1.1 200 OK"s,
                             "HTTP /1.1 200 OK"s,
                             "HTTP/1.2 200 OK"s,
                             "HTTP/1.10 200 OK"s,
                             "HTTP/01.1 200 OK"s,
                             "HTTP/1. 200 OK"s,
                             "HTTP/1.1200 OK"s,
                             "HTTP/1.1  200 OK"s,
                             "HTTP/1.1\t200 OK"s,
                             "HTTP/1.1 20 OK"s,
                             "HTTP/1.1 2000 OK"s,
                             "HTTP/1.1 +20 OK"s,
                             "HTTP/1.1 -200 OK"s,
                             "HTTP/1.1 2x0 OK"s,
                             "HTTP/1.1 0x200 OK"s,
                             "HTTP/1.1 099 OK"s,
                             "HTTP/1.1 000 OK"s,
                             "HTTP/1.1 200\tOK"s,
                             "HTTP/1.1 200"s,
                             "HTTP/1.1 "s,
                             "HTTP/1.1"s,
                             "HTTP/1.1 200 O\0K"s,
                             "HTTP/1.1 200 \x01"s,
                             "HTTP/1.1 200 \x7f"s,
                             "HTTP/1.1 200 O\rK"s,
                             "HTTP/1.1 200 OK\r"s,
                             "HTTP/1.1 \xd9\xa2\xd9\xa0\xd9\xa0 OK"s,
                             "HTTP/1.1 200 OK\nX: y"s})
        rows.push_back({escape_untrusted(line), raw(line + "\r\nContent-Length: 0\r\n\r\n"), refused(protocol)});
    rows.push_back({"lines that end in LF", raw("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), refused(protocol)});
    rows.push_back({"lines that end in CR", raw("HTTP/1.1 200 OK\rContent-Length: 0\r\r\n"), refused(protocol)});
    rows.push_back({"lines that end in LF CR", raw("HTTP/1.1 200 OK\n\rContent-Length: 0\n\r\n\r"), refused(protocol)});

    check_rows(rows);
}

TEST_CASE("Hostile: odd status lines that mean one thing are taken", "[hostile][framing]")
{
    const std::string five = "\r\nContent-Length: 5\r\n\r\nhello";
    check_rows({
        {"no reason", raw("HTTP/1.1 200 " + five), accepted("hello")},
        {"a reason of other letters", raw("HTTP/1.1 200 \xc3\xa9t\xe9" + five), accepted("hello")},
        {"a reason like a status line", raw("HTTP/1.1 200 HTTP/1.1 404 Not Found" + five), accepted("hello")},
        {"a status nobody knows", raw("HTTP/1.1 999 Odd" + five), accepted("hello", 999)},
        {"HTTP/1.0", raw("HTTP/1.0 200 OK" + five), accepted_once("hello")},
        {"HTTP/1.0 that stays", raw("HTTP/1.0 200 OK\r\nConnection: keep-alive" + five), accepted("hello")},
    });
}

TEST_CASE("Hostile: a header field that is not as it must be is refused", "[hostile][framing]")
{
    check_rows(bad_fields({
        {"no colon", "nothing\r\n"},
        {"no name", ": x\r\n"},
        {"space before the colon", "X : y\r\n"},
        {"tab before the colon", "X\t: y\r\n"},
        {"space before the colon of a length", "Content-Length : 3\r\n"},
        {"space before the colon of a coding", "Transfer-Encoding : chunked\r\n"},
        {"space in the name", "X Y: z\r\n"},
        {"folded with a space", "X: y\r\n z\r\n"},
        {"folded with a tab", "X: y\r\n\tz\r\n"},
        {"folded to an empty line", "X: y\r\n \r\n"},
        {"a fold that hides a coding", "X: y\r\n Transfer-Encoding: chunked\r\n"},
        {"a coding that is folded", "Transfer-Encoding:\r\n chunked\r\n"},
        {"first line folded", " X: y\r\n"},
        {"NUL in the value", "X: a\0b\r\n"s},
        {"NUL in the name", "X\0: a\r\n"s},
        {"NUL at the end", "X: a\0\r\n"s},
        {"control byte in the value", "X: \x01\r\n"},
        {"vertical tab in the value", "X: a\x0b\r\n"},
        {"form feed before the value", "X:\x0c y\r\n"},
        {"DEL in the value", "X: \x7f\r\n"},
        {"escape sequence in the value", "X: \x1b[2J\r\n"},
        {"bare CR in the value", "X: a\rY: b\r\n"},
        {"bare CR before CR LF", "X: a\r\r\n"},
        {"bare CR for a line end", "X: a\rContent-Length: 3\r"},
        {"bare LF for a line end", "X: a\n"},
        {"bare LF in the value, with a field behind", "X: a\nTransfer-Encoding: chunked\r\n"},
        {"bytes beyond ASCII in the name", "X\xc3\xa9: y\r\n"},
        {"quotes in the name", "\"X\": y\r\n"},
        {"brackets in the name", "X[]: y\r\n"},
        {"a status line again", "HTTP/1.1 200 OK\r\n"},
    }));
    check_rows(
        {{"an empty line that ends in LF", raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n"), refused(protocol)},
         {"an empty line that is CR alone", raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\rX\r\n\r\n"), refused(protocol)}});
}

TEST_CASE("Hostile: odd header fields that mean one thing are taken as text", "[hostile][framing]")
{
    const auto five = [](const std::string& fields) { return answer(fields + "Content-Length: 5\r\n", "hello"); };
    check_rows({
        {"no value", five("X:\r\n"), accepted("hello")},
        {"tabs in the value", five("X:\t a\tb \t\r\n"), accepted("hello")},
        {"bytes beyond ASCII in the value", five("X: \xff\xfe\r\n"), accepted("hello")},
        {"line ends that are escaped", five("X: a%0d%0aContent-Length: 3%0d%0a\r\n"), accepted("hello")},
        {"line ends in other alphabets",
         five("X: a\xc4\x8d\xc4\x8a"
              "Content-Length: 3\r\n"),
         accepted("hello")},
        {"a name that nearly is a coding", five("Transfer_Encoding: chunked\r\n"), accepted("hello")},
        {"another that nearly is one", five("X-Transfer-Encoding: chunked\r\n"), accepted("hello")},
        {"coding of the content, twice", five("Content-Encoding: chunked\r\nContent-Encoding: gzip\r\n"), accepted("hello")},
        {"a location that nobody follows", five("Location: http://127.0.0.1:1/\r\n"), accepted("hello")},
        {"Connection that names framing", five("Connection: content-length\r\n"), accepted("hello")},
        {"a multipart type that frames itself", five("Content-Type: multipart/byteranges; boundary=x\r\n"),
         accepted("hello")},
        {"close among others", five("Connection: foo, Close\r\n"), accepted_once("hello")},
        {"close in a second field", five("Connection: keep-alive\r\nConnection: close\r\n"), accepted_once("hello")},
        {"no request more", five("Keep-Alive: timeout=5, max=0\r\n"), accepted_once("hello")},
    });
}

TEST_CASE("Hostile: a length that is not a plain number is refused", "[hostile][framing]")
{
    check_rows(bad_lengths({"",
                            " ",
                            " +5",
                            " -5",
                            " -0",
                            " 0x5",
                            " 5h",
                            " 5 5",
                            " 5;",
                            " 5.0",
                            " 5e0",
                            " five",
                            " \"5\"",
                            " 5,",
                            " ,5",
                            " 5,,5",
                            " 5, 6",
                            " 5; 5",
                            " 5\x0b",
                            " \x0c"
                            "5",
                            " 1_0",
                            " 18446744073709551616",
                            " 18446744073709551621",
                            " 99999999999999999999999999",
                            " \xd9\xa5",
                            " \xef\xbc\x95",
                            " 5\r\nContent-Length: 6",
                            " 6\r\nContent-Length: 5",
                            " 5\r\ncontent-length: 5, 7",
                            " 5\r\nContent-Length:",
                            " 5\r\nContent-Length: -5"}));
}

TEST_CASE("Hostile: a length is kept to, whatever comes", "[hostile][framing]")
{
    const auto hello = [](const std::string& length) { return answer("Content-Length: " + length + "\r\n", "hello"); };
    check_rows({
        {"equal lengths in a list", hello("5, 5"), accepted("hello")},
        {"equal lengths in two fields", hello("5\r\nX: y\r\nCONTENT-LENGTH: 5"), accepted("hello")},
        {"zeros in front", hello("0000000000000000000005"), accepted("hello")},
        {"too short, then the end", hello("6").then_close(), refused(ErrorKind::truncated_body)},
        {"too short, then the end of one side", hello("6").then_end(), refused(ErrorKind::truncated_body)},
        {"too long by a byte", hello("4"), accepted_once("hell")},
        {"zero", hello("0"), accepted_once()},
        {"another answer behind", answer("Content-Length: 0\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"),
         accepted_once()},
        {"an empty line behind", answer("Content-Length: 5\r\n", "hello\r\n"), accepted_once("hello")},
        {"half a head behind", answer("Content-Length: 5\r\n", "helloHTTP/1.1 200 OK\r\nX: "), accepted_once("hello")},
        {"an interim answer behind", answer("Content-Length: 5\r\n", "helloHTTP/1.1 100 Continue\r\n\r\n"),
         accepted_once("hello")},
        {"says close and stays", answer("Connection: close\r\nContent-Length: 5\r\n", "hello"), accepted_once("hello")},
        {"says close among others", answer("Connection: keep-alive, Close\r\nContent-Length: 5\r\n", "hello"),
         accepted_once("hello")},
        {"serves no more", answer("Keep-Alive: max=0\r\nContent-Length: 5\r\n", "hello"), accepted_once("hello")},
        {"above 2^32", hello("4294967301"), refused(ErrorKind::body_too_large)},
        {"2^63 - 1", hello("9223372036854775807"), refused(ErrorKind::body_too_large)},
        {"2^63", hello("9223372036854775808"), refused(ErrorKind::body_too_large)},
        {"2^64 - 1", hello("18446744073709551615"), refused(ErrorKind::body_too_large)},
    });
}

TEST_CASE("Hostile: a coding other than chunked alone, or beside a length, is refused", "[hostile][framing]")
{
    check_rows(bad_codings({
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
        "Content-Length: 5\r\nTransfer-Encoding: identity",
        "Content-Length: 5\r\nTransfer-Encoding: xchunked",
        "Content-Length: 5\r\nTransfer-Encoding:",
        "Content-Length: 5\r\nTransfer-Encoding: \x0b"
        "chunked",
        "Transfer-Encoding:",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: chunked, identity",
        "Transfer-Encoding: identity, chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: chunked,",
        "Transfer-Encoding: ,chunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: \"chunked\"",
        "Transfer-Encoding: 'chunked'",
        "Transfer-Encoding: x chunked",
        "Transfer-Encoding: chunked x",
        "Transfer-Encoding: chunk",
        "Transfer-Encoding: chunked\x0b",
        "Transfer-Encoding: \xff"
        "chunked",
        "Transfer-Encoding: chun\xc5\xbf"
        "ed",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        "Transfer-Encoding: chunked\r\ntransfer-encoding: cow",
    }));
    check_rows({
        {"chunked in HTTP/1.0", raw("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), refused(protocol)},
        {"chunked in capitals", answer("TRANSFER-ENCODING: \t CHUNKED \r\n", "5\r\nhello\r\n0\r\n\r\n"), accepted("hello")},
    });
}

TEST_CASE("Hostile: chunks that are not as they must be are refused", "[hostile][framing]")
{
    check_rows(bad_chunks({
        "\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\t\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "5x\r\nhello\r\n0\r\n\r\n",
        "5h\r\nhello\r\n0\r\n\r\n",
        "g\r\nhello\r\n0\r\n\r\n",
        "5,5\r\nhello\r\n0\r\n\r\n",
        "5_0\r\nhello\r\n0\r\n\r\n",
        "\xd9\xa5\r\nhello\r\n0\r\n\r\n",
        "5\0\r\nhello\r\n0\r\n\r\n"s,
        ";x\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "10000000000000000\r\n",
        "10000000000000005\r\nhello\r\n0\r\n\r\n",
        "ffffffffffffffffffff\r\n",
        // Line ends.
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloXX0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "4\r\nhello\r\n0\r\n\r\n",
        "6\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\r\n\rX",
        // Extensions.
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;\n5\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\r\nhello\"\r\n0\r\n\r\n",
        "5;a=\0\r\nhello\r\n0\r\n\r\n"s,
        "5;\x80\r\nhello\r\n0\r\n\r\n",
        "5 ;a=b\r\nhello\r\n0\r\n\r\n",
        // Trailers.
        "0\r\nno colon\r\n\r\n",
        "0\r\n: x\r\n\r\n",
        "0\r\nT : x\r\n\r\n",
        "0\r\n folded: x\r\n\r\n",
        "0\r\nT: a\r\n b\r\n\r\n",
        "0\r\nT: a\0b\r\n\r\n"s,
        "0\r\nT: a\n\r\n",
        "0\r\nT: a\rb\r\n\r\n",
        "0\r\nHTTP/1.1 200 OK\r\n\r\n",
    }));
}

TEST_CASE("Hostile: chunk sizes neither wrap nor go over the limit", "[hostile][framing]")
{
    std::vector<Row> rows;
    for (const auto& size : {"ffffffff"s, "100000005"s, "7fffffffffffffff"s, "8000000000000005"s, "ffffffffffffffff"s,
                             "FFFFFFFFFFFFFFFE"s, "0000000100000005"s}) {
        rows.push_back({"first size " + size, chunks(size + "\r\nhello\r\n0\r\n\r\n"), refused(ErrorKind::body_too_large)});
        rows.push_back({"second size " + size, chunks("5\r\nhello\r\n" + size + "\r\nhello\r\n0\r\n\r\n"),
                        refused(ErrorKind::body_too_large)});
    }
    check_rows(rows);
}

TEST_CASE("Hostile: odd chunks that mean one thing are taken, and trailers are no headers", "[hostile][framing]")
{
    check_rows({
        {"capital digits", chunks("A\r\n0123456789\r\n0\r\n\r\n"), accepted("0123456789")},
        {"zeros in front", chunks("0000000000000005\r\nhello\r\n0000\r\n\r\n"), accepted("hello")},
        {"extensions", chunks("5;a;b=c;d=\"e;f\"\r\nhello\r\n0;g\r\n\r\n"), accepted("hello")},
        {"an extension like a chunk", chunks("5;0\r\nhello\r\n0\r\n\r\n"), accepted("hello")},
        {"trailers that would frame", chunks("5\r\nhello\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: x\r\n\r\n"),
         accepted("hello")},
        {"bytes behind the last chunk", chunks("5\r\nhello\r\n0\r\n\r\nX"), accepted_once("hello")},
        {"an answer behind the last chunk", chunks("0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged"),
         accepted_once()},
        {"no last chunk, then the end", chunks("5\r\nhello\r\n").then_close(), refused(ErrorKind::truncated_body)},
        {"a last chunk without its empty line", chunks("5\r\nhello\r\n0\r\n").then_close(),
         refused(ErrorKind::truncated_body)},
        {"trailers without their empty line", chunks("0\r\nT: x\r\n").then_close(), refused(ErrorKind::truncated_body)},
    });

    const auto server = make_server(Transport::tcp);
    server->reply(chunks("0\r\nSet-Cookie: forged\r\nX-Role: admin\r\n\r\n"));
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server)};
    const auto response = run(io, api.get("/").send());
    CHECK_FALSE(response.headers().contains("Set-Cookie"));
    CHECK_FALSE(response.headers().contains("X-Role"));
}

TEST_CASE("Hostile: an answer that has no body has none, and what comes instead ends the connection", "[hostile][framing]")
{
    const auto with_body = [](const std::string& status, const std::string& fields, const std::string& body) {
        return raw("HTTP/1.1 " + status + "\r\n" + fields + "\r\n" + body);
    };
    const std::string forged = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
    check_rows({
        {"204 alone", with_body("204 No Content", "", ""), accepted("", 204)},
        {"204 with a length and a body", with_body("204 No Content", "Content-Length: 5\r\n", "hello"),
         accepted_once("", 204)},
        {"204 with a length whose body is late", with_body("204 No Content", "Content-Length: 5\r\n", ""),
         accepted_once("", 204)},
        {"204 with a length of zero", with_body("204 No Content", "Content-Length: 0\r\n", ""), accepted("", 204)},
        {"204 with chunks", with_body("204 No Content", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
         accepted_once("", 204)},
        {"204 with chunks that are late", with_body("204 No Content", "Transfer-Encoding: chunked\r\n", ""),
         accepted_once("", 204)},
        {"204 with an answer behind", with_body("204 No Content", "", forged), accepted_once("", 204)},
        {"304 with the length of what it stands for", with_body("304 Not Modified", "Content-Length: 5\r\n", ""),
         accepted("", 304)},
        {"304 with a body", with_body("304 Not Modified", "Content-Length: 5\r\n", "hello"), accepted_once("", 304)},
        {"304 with an answer behind", with_body("304 Not Modified", "", forged), accepted_once("", 304)},
        {"HEAD with a length", answer("Content-Length: 5\r\n"), accepted(), "HEAD"},
        {"HEAD with chunks announced", answer("Transfer-Encoding: chunked\r\n"), accepted(), "HEAD"},
        {"HEAD without a length", answer(""), accepted(), "HEAD"},
        {"HEAD with a body", answer("Content-Length: 5\r\n", "hello"), accepted_once(), "HEAD"},
        {"HEAD with chunks", answer("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"), accepted_once(), "HEAD"},
        {"HEAD with an answer for a body", answer("Content-Length: 43\r\n", forged), accepted_once(), "HEAD"},
        {"HEAD with a length over every limit", answer("Content-Length: 18446744073709551615\r\n"), accepted(), "HEAD"},
        {"HEAD with two lengths", answer("Content-Length: 5\r\nContent-Length: 6\r\n"), refused(protocol), "HEAD"},
        {"205 with a body is like any other", with_body("205 Reset Content", "Content-Length: 5\r\n", "hello"),
         accepted("hello", 205)},
        {"200 to CONNECT like any other", answer("Content-Length: 5\r\n", "hello"), accepted("hello"), "CONNECT"},
    });
}

TEST_CASE("Hostile: a few interim answers are skipped, others are refused", "[hostile][framing]")
{
    const auto after = [](const std::string& interim) { return ok("hello").preceded_by(interim); };
    const std::string hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    check_rows({
        {"as many as allowed", after(repeated(hints, 16)), accepted("hello")},
        {"one more than allowed", after(repeated(hints, 17)), refused(protocol)},
        {"a flood of them", raw(repeated(hints, 20'000)), refused(protocol)},
        {"100 unasked", after("HTTP/1.1 100 Continue\r\n\r\n"), accepted("hello")},
        {"a status nobody knows", after("HTTP/1.1 199 Odd\r\n\r\n"), accepted("hello")},
        {"in HTTP/1.0", after("HTTP/1.0 100 Continue\r\n\r\n"), accepted("hello")},
        {"101", raw("HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n"), refused(protocol)},
        {"101 after hints", raw(hints + "HTTP/1.1 101 Switching Protocols\r\n\r\n"), refused(protocol)},
        {"one with a length: it has no body", after("HTTP/1.1 103 Early Hints\r\nContent-Length: 9\r\n\r\n"),
         accepted("hello")},
        {"one that says close does not speak for the answer", after("HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n"),
         accepted("hello")},
        {"one with length and coding",
         after("HTTP/1.1 103 Hints\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"), refused(protocol)},
        {"one with a bad field", after("HTTP/1.1 103 Early Hints\r\nX : y\r\n\r\n"), refused(protocol)},
        {"one with a body", after("HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello"), refused(protocol)},
        {"then the end", raw(hints).then_close(), refused(ErrorKind::connection_lost)},
        {"then half a head and the end", raw(hints + "HTTP/1.1 200 OK\r\n").then_close(),
         refused(ErrorKind::connection_lost)},
        {"over the limit of a head", raw("HTTP/1.1 103 Hints\r\nX: " + std::string(1u << 20, 'x')),
         refused(ErrorKind::header_too_large)},
    });
}

} // namespace khive_tests::framing_test

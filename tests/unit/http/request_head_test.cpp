// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/http/request_head.hpp>

#include <vector>

namespace khive_tests::request_head_test {

using namespace khive;
using http::write_request_head;

namespace {

Headers fields(std::vector<std::pair<std::string, std::string>> list)
{
    Headers headers;
    for (const auto& [name, value] : list) headers.add(name, value);
    return headers;
}

/// The rule that was broken, or the bytes.
std::string written(const Headers& headers, std::optional<std::size_t> length = std::nullopt,
                    std::string_view method = "GET")
{
    const auto head = write_request_head(method, "/", "h", headers, length);
    return head ? *head : std::string{to_string(head.error().kind())} + " " + head.error().message();
}

} // namespace

TEST_CASE("write_request_head: writes line, Host, fields and the empty line", "[http][request]")
{
    const auto head = write_request_head("GET", "/a?b=c", "example.com:81",
                                         fields({{"Accept", "*/*"}, {"X", "1"}, {"x", "2"}}), std::nullopt);

    CHECK(head.value() == "GET /a?b=c HTTP/1.1\r\nHost: example.com:81\r\nAccept: */*\r\nX: 1\r\nx: 2\r\n\r\n");
}

TEST_CASE("write_request_head: says how long the body is", "[http][request]")
{
    const auto [method, length, expected] = GENERATE(table<std::string, std::optional<std::size_t>, std::string>({
        {"GET", std::nullopt, ""},
        {"DELETE", std::nullopt, ""},
        {"POST", std::nullopt, "Content-Length: 0\r\n"},
        {"PUT", std::nullopt, "Content-Length: 0\r\n"},
        {"PATCH", std::nullopt, "Content-Length: 0\r\n"},
        {"POST", 12, "Content-Length: 12\r\n"},
        {"GET", 5, "Content-Length: 5\r\n"},
        {"GET", 0, "Content-Length: 0\r\n"},
    }));

    CHECK(written({}, length, method) == method + " / HTTP/1.1\r\nHost: h\r\n" + expected + "\r\n");
}

TEST_CASE("write_request_head: one Host, that of the caller if there is one", "[http][request][hostile]")
{
    CHECK(written(fields({{"host", "other"}, {"A", "b"}})) == "GET / HTTP/1.1\r\nHost: other\r\nA: b\r\n\r\n");
    CHECK_THAT(written(fields({{"Host", "a"}, {"HOST", "a"}})),
               khive_tests::contains("invalid_argument more than one Host"));
    CHECK_THAT(written(fields({{"Host", ""}})), khive_tests::contains("invalid_argument"));
    CHECK_THAT(written(fields({{"Host", "a b"}})), khive_tests::contains("invalid_argument"));
}

TEST_CASE("write_request_head: framing is not the caller's to set", "[http][request][hostile]")
{
    const auto [name, value] = GENERATE(table<std::string, std::string>({
        {"Transfer-Encoding", "chunked"},
        {"transfer-encoding", "identity"},
        {"TE", "trailers"},
        {"Trailer", "X"},
        {"Upgrade", "h2c"},
        {"Content-Length", "6"},
        {"Content-Length", "05"},
        {"Content-Length", "5, 5"},
        {"content-length", ""},
        {"Connection", "upgrade"},
        {"Connection", "close, TE"},
        {"Connection", "Content-Length"},
    }));

    CHECK_THAT(written(fields({{"A", "b"}, {name, value}}), 5, "POST"), khive_tests::contains("invalid_argument "));
}

TEST_CASE("write_request_head: a true Content-Length is written once", "[http][request]")
{
    CHECK(written(fields({{"content-length", "5"}}), 5, "POST") ==
          "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n");
    CHECK_THAT(written(fields({{"Content-Length", "0"}})), khive_tests::contains("invalid_argument"));
}

TEST_CASE("write_request_head: the caller may close the connection", "[http][request]")
{
    CHECK_THAT(written(fields({{"Connection", "Close"}})), khive_tests::contains("Connection: Close\r\n"));
    CHECK_THAT(written(fields({{"Connection", "keep-alive"}})), khive_tests::contains("Connection: keep-alive\r\n"));
}

TEST_CASE("write_request_head: nothing splits the request", "[http][request][hostile]")
{
    using namespace std::string_literals;
    const auto [method, target, host] = GENERATE(table<std::string, std::string, std::string>({
        {"", "/", "h"},
        {"GET ", "/", "h"},
        {"GET / HTTP/1.1\r\nX: y\r\n\r\nGET", "/", "h"},
        {"G\0T"s, "/", "h"},
        {"GET\n", "/", "h"},
        {"GET", "", "h"},
        {"GET", "/a b", "h"},
        {"GET", "/\r\nX: y", "h"},
        {"GET", "/\n", "h"},
        {"GET", "/\0"s, "h"},
        {"GET", "/\t", "h"},
        {"GET", "/\xc3\xa9", "h"},
        {"GET", "/\x7f", "h"},
        {"GET", "/", ""},
        {"GET", "/", "h\r\nX: y"},
        {"GET", "/", "h h"},
        {"GET", "/", "h\0"s},
    }));
    const auto head = write_request_head(method, target, host, {}, std::nullopt);

    REQUIRE(head.has_error());
    CHECK(head.error().kind() == ErrorKind::invalid_argument);
    CHECK(head.error().message().find('\n') == std::string::npos);
}

TEST_CASE("write_request_head: fields that were not checked before are checked here", "[http][request][hostile]")
{
    using namespace std::string_literals;
    const auto lines = GENERATE(as<std::string>{}, "X: a\nInjected: b\r\n", "X: a\0\r\n"s, "no colon\r\n", ": a\r\n",
                                "X Y: a\r\n", "X: a\rb\r\n", "\r\n", " X: a\r\n");

    CHECK_THAT(written(Headers::from_lines(lines)), khive_tests::contains("invalid_argument "));
    CHECK_THAT(written(Headers::from_lines("X:a")), khive_tests::contains("\r\nX: a\r\n\r\n"));
}

TEST_CASE("write_request_head: an error hides the value", "[http][request][hostile]")
{
    const auto text = written(Headers::from_lines("Authorization: s3cret\n\r\n"));

    CHECK_THAT(text, khive_tests::contains("Authorization"));
    CHECK(text.find("s3cret") == std::string::npos);
}

} // namespace khive_tests::request_head_test

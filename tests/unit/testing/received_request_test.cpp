// SPDX-License-Identifier: BSL-1.0
#include <khive/testing/received_request.hpp>

#include "support/catch.hpp"

#include <stdexcept>

namespace khive_tests::received_request_test {

using namespace khive::testing;

TEST_CASE("RequestReader: finds the same request at every split of its bytes", "[testing]")
{
    const std::string bytes = "PUT /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n";
    const auto split = GENERATE_COPY(range(std::size_t{0}, bytes.size()));
    RequestReader reader;
    ReceivedRequest request;

    reader.feed(std::string_view{bytes}.substr(0, split));
    CHECK_FALSE(reader.next(request));
    reader.feed(std::string_view{bytes}.substr(split));

    REQUIRE(reader.next(request));
    CHECK(request.method == "PUT");
    CHECK(request.target == "/x");
    CHECK(request.version == "HTTP/1.1");
    CHECK(request.headers.get("host") == "h");
    CHECK(request.body == "abcde");
    CHECK(reader.rest().empty());
}

TEST_CASE("RequestReader: requests that follow each other are told apart", "[testing]")
{
    RequestReader reader;
    ReceivedRequest request;
    reader.feed("POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /next HTTP/1.1\r\n\r\nGET");

    REQUIRE(reader.next(request));
    CHECK(request.body == "hi");
    REQUIRE(reader.next(request));
    CHECK(request.target == "/next");
    CHECK(request.body.empty());
    CHECK_FALSE(reader.next(request));
    CHECK(reader.rest() == "GET");
}

TEST_CASE("RequestReader: bytes that are no request throw", "[testing]")
{
    const auto bytes = GENERATE(as<std::string>{}, "hello\r\n\r\n", "GET /\r\n\r\n", "GET / FTP/1\r\n\r\n",
                                "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
                                "GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    CAPTURE(bytes);
    RequestReader reader;
    ReceivedRequest request;
    reader.feed(bytes);

    CHECK_THROWS_AS(reader.next(request), std::runtime_error);
}

TEST_CASE("ReceivedRequest: knows whether the client wants the connection closed", "[testing]")
{
    const auto [version, field, asked] = GENERATE(table<std::string, std::string, bool>({
        {"HTTP/1.1", "", false},
        {"HTTP/1.1", "close", true},
        {"HTTP/1.1", "Close", true},
        {"HTTP/1.0", "", true},
        {"HTTP/1.0", "keep-alive", false},
    }));
    ReceivedRequest request;
    request.version = version;
    request.headers.set("Connection", field);

    CHECK(request.close_asked() == asked);
}

} // namespace khive_tests::received_request_test

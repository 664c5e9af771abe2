// SPDX-License-Identifier: BSL-1.0
// The decoder by itself; what it does inside an answer, cut in every way, is tested with the reader.
#include "support/catch.hpp"

#include <khive/http/chunked.hpp>

namespace khive_tests::chunked_test {

using namespace khive;
using http::ChunkDecoder;
using http::ChunkStep;

namespace {

struct Decoded {
    ChunkDecoder decoder;
    ByteBuffer body;
    std::string_view rest;

    explicit Decoded(std::string_view input, http::ChunkLimits limits = {}) : rest(input)
    {
        decoder.start(limits);
        step = decoder.decode(rest, body);
    }

    ChunkStep step;
};

} // namespace

TEST_CASE("ChunkDecoder: joins chunks and leaves what follows", "[http][chunked]")
{
    const Decoded decoded("3\r\nabc\r\nA;x=\"y\"\r\n0123456789\r\n0\r\n\r\nnext");

    CHECK(decoded.step == ChunkStep::done);
    CHECK(decoded.body.view() == "abc0123456789");
    CHECK(decoded.rest == "next");
    CHECK(decoded.decoder.trailers().empty());
    CHECK(decoded.decoder.problem().empty());
}

TEST_CASE("ChunkDecoder: appends to what is there", "[http][chunked]")
{
    ChunkDecoder decoder;
    decoder.start({});
    ByteBuffer body;
    body.append("old ");
    std::string_view input = "3\r\nnew\r\n";

    CHECK(decoder.decode(input, body) == ChunkStep::more);
    CHECK(body.view() == "old new");
}

TEST_CASE("ChunkDecoder: keeps trailers in their order", "[http][chunked]")
{
    const Decoded decoded("0\r\nA: 1\r\nB:\r\n\r\n");

    CHECK(decoded.step == ChunkStep::done);
    CHECK(decoded.decoder.trailers() == "A: 1\r\nB:\r\n");
}

TEST_CASE("ChunkDecoder: after its end it says the same again", "[http][chunked]")
{
    Decoded done("0\r\n\r\n");
    std::string_view more = "5\r\nhello\r\n";
    CHECK(done.decoder.decode(more, done.body) == ChunkStep::done);
    CHECK(more.size() == 10);

    Decoded failed("x");
    CHECK(failed.step == ChunkStep::malformed);
    CHECK(failed.decoder.decode(more, failed.body) == ChunkStep::malformed);
    CHECK(failed.body.empty());
    CHECK_FALSE(failed.decoder.problem().empty());
}

TEST_CASE("ChunkDecoder: starts anew after an error", "[http][chunked]")
{
    Decoded decoded("0\r\nA: 1\r\n:");
    REQUIRE(decoded.step == ChunkStep::more);
    decoded.decoder.start({});
    std::string_view input = "1\r\nx\r\n0\r\n\r\n";

    CHECK(decoded.decoder.decode(input, decoded.body) == ChunkStep::done);
    CHECK(decoded.decoder.trailers().empty());
}

TEST_CASE("ChunkDecoder: the limit counts all data, the chunk that breaks it is not begun", "[http][chunked][hostile]")
{
    http::ChunkLimits limits;
    limits.max_body_bytes = 4;

    CHECK(Decoded("4\r\nabcd\r\n0\r\n\r\n", limits).step == ChunkStep::done);
    const Decoded over("3\r\nabc\r\n2\r\nde", limits);
    CHECK(over.step == ChunkStep::body_too_large);
    CHECK(over.body.view() == "abc");
}

TEST_CASE("ChunkDecoder: trailers end at their limit", "[http][chunked][hostile]")
{
    http::ChunkLimits limits;
    limits.max_trailer_bytes = 6;

    CHECK(Decoded("0\r\nA: 123\r\n\r\n", limits).step == ChunkStep::done);
    CHECK(Decoded("0\r\nA: 1234\r\n\r\n", limits).step == ChunkStep::trailers_too_large);
    limits.max_trailer_bytes = 0;
    CHECK(Decoded("0\r\n\r\n", limits).step == ChunkStep::done);
}

TEST_CASE("ChunkDecoder: the largest size is a size", "[http][chunked][hostile]")
{
    http::ChunkLimits limits;
    limits.max_body_bytes = ~std::uint64_t{0};

    CHECK(Decoded("ffffffffffffffff\r\nabc", limits).step == ChunkStep::more);
    CHECK(Decoded("0000000000000001\r\na\r\n", limits).step == ChunkStep::more);
    CHECK(Decoded("00000000000000001\r\n", limits).step == ChunkStep::malformed);
}

} // namespace khive_tests::chunked_test

// SPDX-License-Identifier: BSL-1.0
// What has no end ends at a limit, not at a timer, and long before all of it has been read.
#include "hostile/hostile.hpp"

#include <cstddef>

namespace khive_tests::flood_test {

namespace {

constexpr std::size_t endless = 2u << 20; ///< far beyond every limit here

const ReaderLimits small{.max_body_bytes = 100'000};

/// Some reads' worth above the largest limit of `small`.
constexpr std::uint64_t most_bytes = 100'000 + 4 * (64u << 10);

struct Flood {
    std::string name;
    Reply reply;
    ErrorKind expected;
    std::uint64_t read = most_bytes; ///< no more than this is read
};

void check_floods(const std::vector<Flood>& floods)
{
    const auto transport = GENERATE(Transport::tcp, Transport::tls);
    const auto server = make_server(transport);
    for (const Flood& flood : floods) {
        INFO("row: " << flood.name << ", over " << to_text(transport));
        server->reply(flood.reply).reply(ok(own_body));
        asio::io_context io;
        const AsyncAPIClient api{io, options_for(*server).limits(small)};

        const auto result = run(io, api.get("/").try_send());

        CHECK(fate_of(result, api) == refused(flood.expected));
        const Error error = result.error();
        CHECK(error.ledger().back().bytes_received <= flood.read);
        check_still_sound(io, api);
    }
}

} // namespace

TEST_CASE("Hostile: a head without end is over its limit", "[hostile][flood]")
{
    const std::string line = "HTTP/1.1 200 OK\r\n";
    check_floods({
        {"one value", raw(line + "X: " + std::string(endless, 'x')), ErrorKind::header_too_large},
        {"one value of spaces", raw(line + "X: " + std::string(endless, ' ')), ErrorKind::header_too_large},
        {"one name", raw(line + std::string(endless, 'x')), ErrorKind::header_too_large},
        {"the reason", raw("HTTP/1.1 200 " + std::string(endless, 'x')), ErrorKind::header_too_large},
        {"many fields", raw(line + repeated("X: y\r\n", endless / 6)), ErrorKind::header_too_large},
        {"many large fields", raw(line + repeated("X: " + std::string(4000, 'x') + "\r\n", endless / 4000)),
         ErrorKind::header_too_large},
        {"many cookies", raw(line + repeated("Set-Cookie: a=b; Path=/\r\n", endless / 25)), ErrorKind::header_too_large},
        {"many lengths, all equal", raw(line + repeated("Content-Length: 5\r\n", endless / 19)),
         ErrorKind::header_too_large},
        {"a list of equal lengths", raw(line + "Content-Length: " + repeated("5,", endless / 2)),
         ErrorKind::header_too_large},
        {"folds", raw(line + "X: y\r\n" + repeated(" z\r\n", endless / 4)), ErrorKind::protocol},
        {"empty lines first", raw(repeated("\r\n", endless / 2)), ErrorKind::protocol},
        {"the version", raw("HTTP/1." + std::string(endless, '1')), ErrorKind::header_too_large},
        {"interim answers", raw(repeated("HTTP/1.1 102 Processing\r\n\r\n", endless / 27)), ErrorKind::protocol},
        {"large interim answers", raw(repeated("HTTP/1.1 102 P\r\nX: " + std::string(30'000, 'x') + "\r\n\r\n", 250)),
         ErrorKind::protocol, 18 * (64u << 10)},
    });
}

TEST_CASE("Hostile: a body over its limit is refused whatever its framing", "[hostile][flood]")
{
    const std::string much(endless, 'x');
    check_floods({
        {"by length", ok(much), ErrorKind::body_too_large},
        {"by length, announced alone", answer("Content-Length: 100001\r\n"), ErrorKind::body_too_large},
        {"in chunks", ok(much).chunked(5000), ErrorKind::body_too_large},
        {"in chunks of one byte", ok(std::string(200'000, 'x')).chunked(1), ErrorKind::body_too_large, 6 * most_bytes},
        {"in one chunk", ok(much).chunked(endless), ErrorKind::body_too_large},
        {"in one chunk, announced alone", chunks("186A1\r\n"), ErrorKind::body_too_large},
        {"until the end", ok(much).until_close(), ErrorKind::body_too_large},
    });
}

TEST_CASE("Hostile: a body at its limit is taken whatever its framing", "[hostile][flood]")
{
    const std::string most(100'000, 'x');
    check_rows({{"by length", ok(most), accepted(most)},
                {"in chunks", ok(most).chunked(999), accepted(most)},
                {"until the end", ok(most).until_close(), accepted_once(most)}},
               small);
}

TEST_CASE("Hostile: chunk framing without end is over its limits", "[hostile][flood]")
{
    check_floods({
        {"one extension", chunks("5;" + std::string(endless, 'x')), ErrorKind::protocol},
        {"extensions of many chunks", chunks(repeated("1;" + std::string(3000, 'x') + "\r\nx\r\n", endless / 3000)),
         ErrorKind::protocol},
        {"short extensions of many chunks", chunks(repeated("1;x\r\nx\r\n", endless / 8)), ErrorKind::protocol},
        {"digits of a size", chunks(std::string(endless, '0')), ErrorKind::protocol},
        {"one trailer", chunks("0\r\nT: " + std::string(endless, 'x')), ErrorKind::header_too_large},
        {"many trailers", chunks("0\r\n" + repeated("T: x\r\n", endless / 6)), ErrorKind::header_too_large},
        {"data behind a chunk", chunks("5\r\nhello" + std::string(endless, 'x')), ErrorKind::protocol},
    });
}

TEST_CASE("Hostile: what comes behind a whole answer is not read on and on", "[hostile][flood]")
{
    check_rows({
        {"behind a length", answer("Content-Length: 5\r\n", "hello" + std::string(endless, 'x')), accepted_once("hello")},
        {"behind the last chunk", chunks("0\r\n\r\n" + std::string(endless, 'x')), accepted_once()},
        {"behind 204", raw("HTTP/1.1 204 No Content\r\n\r\n" + std::string(endless, 'x')), accepted_once("", 204)},
        {"behind HEAD", answer("Content-Length: 2097152\r\n", std::string(endless, 'x')), accepted_once(), "HEAD"},
    });
}

TEST_CASE("Hostile: an error keeps a bounded part of a body, and prints none of its control bytes", "[hostile][flood]")
{
    const auto server = make_server(GENERATE(Transport::tcp, Transport::tls));
    server->reply(Reply(500, std::string(1u << 20, '\x1b')).reason("\xff[31m fine"));
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(*server).raise_for_status(true)};

    const auto result = run(io, api.get("/").try_send());

    REQUIRE(result.has_error());
    const Error error = result.error();
    CHECK(error.kind() == ErrorKind::status);
    CHECK(error.body().size() == 4096);
    CHECK(error.message().size() < 2000);
    CHECK(error.message().find('\x1b') == std::string::npos);
    CHECK(error.message().find('\xff') == std::string::npos);
}

TEST_CASE("Hostile: content that is packed is handed on packed", "[hostile][flood]")
{
    const auto coding = GENERATE(as<std::string>{}, "gzip", "br", "gzip, gzip, gzip, gzip, gzip, gzip", "nonsense");
    check_rows(
        {{"coded as " + coding, ok("\x1f\x8b no bomb").header("Content-Encoding", coding), accepted("\x1f\x8b no bomb")}});
}

} // namespace khive_tests::flood_test

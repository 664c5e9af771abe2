// SPDX-License-Identifier: BSL-1.0
// Seeded random answers: valid ones read as Boost.Beast reads them, damaged ones read the same however they are cut.
#include "support/catch.hpp"
#include "unit/http/reading.hpp"

#include <khive/core/random.hpp>
#include <khive/http/response_reader.hpp>

#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstdio>
#include <optional>

namespace khive_tests::response_reader_random_test {

using namespace khive;

namespace beast = boost::beast;

namespace {

/// Builds answers that are valid by RFC 9112.
class AnswerMaker {
public:
    explicit AnswerMaker(std::uint64_t seed) : random_(seed) {}

    Answer make()
    {
        Answer answer;
        for (auto interims = below(3); interims != 0; --interims)
            answer.bytes += "HTTP/1.1 103 Early\r\n" + some_fields() + "\r\n";
        answer.bytes += "HTTP/1.1 " + std::to_string(200 + below(400)) + " " + text(below(8)) + "\r\n" + some_fields();
        const auto body = text(below(300));
        switch (below(3)) {
        case 0: answer.bytes += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body; break;
        case 1: answer.bytes += "Transfer-Encoding: chunked\r\n\r\n" + in_chunks(body); break;
        default: answer.bytes += "\r\n" + body; answer.then = Then::clean_end;
        }
        return answer;
    }

    /// Changes, removes, doubles or inserts a few bytes, preferring those that mean something.
    std::string damage(std::string bytes)
    {
        using namespace std::string_view_literals;
        constexpr auto meaningful = "\r\n\n\0 \t:;,0123456789abcdefx-+\x7f\xff"sv;
        for (auto times = 1 + below(3); times != 0; --times) {
            const auto at = below(bytes.size());
            const char byte = meaningful[below(meaningful.size())];
            switch (below(4)) {
            case 0: bytes[at] = byte; break;
            case 1: bytes.erase(at, 1 + below(4)); break;
            case 2: bytes.insert(at, bytes.substr(at, 1 + below(20))); break;
            default: bytes.insert(at, 1, byte);
            }
            if (bytes.empty()) bytes = "H";
        }
        return bytes;
    }

private:
    std::size_t below(std::size_t end) { return static_cast<std::size_t>(random_.next() % end); }

    std::string text(std::size_t size)
    {
        std::string out;
        for (; size != 0; --size) out += static_cast<char>('!' + below('~' - '!' + 1));
        return out;
    }

    std::string some_fields()
    {
        std::string out;
        for (auto fields = below(5); fields != 0; --fields) {
            const auto blank = std::string(below(3), below(2) == 0 ? ' ' : '\t');
            out += "X-" + std::to_string(++names_) + ":" + blank + text(below(20)) + blank + "\r\n";
        }
        return out;
    }

    std::string in_chunks(std::string_view body)
    {
        std::string out;
        while (!body.empty()) {
            const auto size = 1 + below(body.size());
            char hex[20];
            std::snprintf(hex, sizeof hex, below(2) == 0 ? "%zx" : "%04zX", size);
            out += hex;
            if (below(3) == 0) out += ";name=value";
            out.append("\r\n").append(body.substr(0, size)).append("\r\n");
            body.remove_prefix(size);
        }
        return out + "0\r\n\r\n";
    }

    Random random_;
    int names_ = 0; // Beast moves fields of one name together
};

/// What Beast's parser makes of it: status, fields and body, or nothing if it sees an error.
std::optional<std::string> read_by_beast(const Answer& answer)
{
    std::string_view rest = answer.bytes;
    for (;;) {
        beast::http::response_parser<beast::http::string_body> parser;
        parser.eager(true);
        beast::error_code error;
        while (!parser.is_done() && !rest.empty() && !error) rest.remove_prefix(parser.put(beast::net::buffer(rest), error));
        if (!parser.got_some()) return std::nullopt;
        if (!error && !parser.is_done()) parser.put_eof(error);
        // Extensions mean nothing to a client; they are bounded, and not parsed.
        if (error == beast::http::error::bad_chunk_extension) return "not refused";
        if (error) return std::nullopt;
        const auto message = parser.release();
        if (message.result_int() < 200) continue;
        std::string out = std::to_string(message.result_int());
        for (const auto& field : message) out.append("|").append(field.name_string()).append("=").append(field.value());
        return out + "|" + message.body();
    }
}

std::string read_by_khive(const Answer& answer)
{
    Reader reader;
    reader.start(false);
    std::string_view bytes = answer.bytes;
    auto step = feed(reader, bytes);
    if (step == http::ReadStep::more) step = reader.end_of_stream(true);
    if (step == http::ReadStep::failed) return reader.error().message();
    std::string out = std::to_string(reader.status());
    for (const auto field : reader.content.headers) out.append("|").append(field.name).append("=").append(field.value);
    return out + "|" + std::string{reader.content.body.view()};
}

} // namespace

TEST_CASE("ResponseReader: reads valid answers as Beast does", "[http][reader][random]")
{
    for (std::uint64_t seed = 1; seed <= 2'000; ++seed) {
        CAPTURE(seed);
        const auto answer = AnswerMaker{seed}.make();
        const auto expected = read_by_beast(answer);
        REQUIRE(expected);
        REQUIRE(read_by_khive(answer) == *expected);
    }
}

TEST_CASE("ResponseReader: damaged answers give one result however they are cut", "[http][reader][random][hostile]")
{
    for (std::uint64_t seed = 1; seed <= 300; ++seed) {
        CAPTURE(seed);
        AnswerMaker maker{seed};
        auto answer = maker.make();
        answer.bytes = maker.damage(std::move(answer.bytes));
        const auto result = read_every_way(answer);
        REQUIRE_FALSE(result.starts_with("cut at"));
        REQUIRE_FALSE(result.starts_with("bytewise"));
    }
}

TEST_CASE("ResponseReader: what Beast refuses is refused", "[http][reader][random][hostile]")
{
    int refused = 0;
    for (std::uint64_t seed = 1; seed <= 5'000; ++seed) {
        CAPTURE(seed);
        AnswerMaker maker{seed};
        auto answer = maker.make();
        answer.bytes = maker.damage(std::move(answer.bytes));
        if (read_by_beast(answer)) continue;
        ++refused;
        const auto result = read_by_khive(answer);
        CAPTURE(result, escape_untrusted(answer.bytes, 2000));
        REQUIRE(result.find('|') == std::string::npos);
    }
    CHECK(refused > 1'000);
}

} // namespace khive_tests::response_reader_random_test

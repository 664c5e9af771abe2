// SPDX-License-Identifier: BSL-1.0
// An answer that both khive and Boost.Beast accept says the same to both, and what khive accepts Beast accepts too, except for the
// classes that `why_beast_is_stricter` lists.
//
// Input: flags, one cut, then the bytes of the connection.
#include "fuzz/fuzz.hpp"
#include "unit/http/reading.hpp"

#include <khive/http/response_reader.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <utility>

using namespace khive_fuzz;

namespace beast = boost::beast;
namespace http = khive::http;

namespace {

struct Seen {
    int status = 0;
    khive::Headers headers;
    khive::Headers trailers; ///< among the headers where Beast 1.81 reads
    std::string body;
    bool keeps_alive = false;
};

/// Beast puts fields of one name side by side.
std::string describe(const Seen& seen)
{
    std::multimap<std::string, std::string_view> fields;
    for (const auto* part : {&seen.headers, &seen.trailers})
        for (const auto field : *part) {
            std::string name{field.name};
            for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
            fields.emplace(std::move(name), field.value);
        }
    std::string out = std::to_string(seen.status);
    for (const auto& [name, value] : fields) out.append("|").append(name).append("=").append(value);
    return out + "||" + seen.body;
}

/// Gives Beast the first `seen` bytes, and all of them when it needs more; both count what is left then.
void put(beast::http::response_parser<beast::http::string_body>& parser, std::string_view& bytes, std::size_t& seen,
         beast::error_code& error)
{
    while (!parser.is_done()) {
        const auto used = parser.put(beast::net::buffer(bytes.data(), seen), error);
        bytes.remove_prefix(used);
        seen -= used;
        if (error && error != beast::http::error::need_more) return;
        if (!error && seen != 0) continue;
        error = {};
        if (seen == bytes.size()) return;
        seen = bytes.size();
    }
}

/// What Beast makes of it, or its error.
std::optional<Seen> read_by_beast(std::string_view bytes, std::size_t cut, bool to_head, beast::error_code& error)
{
    std::size_t seen = cut;
    for (;;) {
        beast::http::response_parser<beast::http::string_body> parser;
        parser.eager(true);
        parser.skip(to_head);
        parser.header_limit(std::numeric_limits<std::uint32_t>::max());
        parser.body_limit(boost::none);
        put(parser, bytes, seen, error);
        if (!error && !parser.is_done()) parser.put_eof(error);
        if (error) return std::nullopt;
        if (!parser.is_done()) {
            error = beast::http::error::end_of_stream;
            return std::nullopt;
        }
        const auto message = parser.get();
        if (message.result_int() >= 100 && message.result_int() < 200) continue;
        Seen answer{static_cast<int>(message.result_int()), {}, {}, message.body(), parser.keep_alive()};
        for (const auto& field : message) answer.headers.add(field.name_string(), field.value());
        return answer;
    }
}

std::optional<Seen> read_by_khive(std::string_view bytes, std::size_t cut, bool to_head)
{
    khive_tests::Reader reader;
    reader.start(to_head);
    auto first = bytes.substr(0, cut);
    auto step = khive_tests::feed(reader, first);
    auto rest = bytes.substr(cut - first.size());
    if (step == http::ReadStep::more) step = khive_tests::feed(reader, rest);
    if (step == http::ReadStep::more) step = reader.end_of_stream(true);
    if (step != http::ReadStep::done) return std::nullopt;

    Seen answer;
    answer.status = reader.status();
    answer.keeps_alive = reader.reusable();
    answer.headers = reader.content.headers;
    answer.trailers = reader.trailers();
    answer.body = reader.content.body.view();
    return answer;
}

/// Is there one of the fields whose values Beast parses?
bool has_parsed_field(const khive::Headers& fields)
{
    for (const auto* name : {"Connection", "Proxy-Connection", "Upgrade", "Content-Length", "Transfer-Encoding"})
        if (fields.contains(name)) return true;
    return false;
}

/// May Beast close a connection that khive keeps? Beast takes trailers for headers (RFC 9110 section 6.5.1), and Proxy-Connection for
/// Connection (RFC 9112 appendix C.2.2).
bool may_beast_close(const Seen& answer)
{
    return has_parsed_field(answer.trailers) || answer.headers.contains("Proxy-Connection");
}

/// Is the text there, perhaps in an interim answer, letters without case?
bool mentions(std::string_view bytes, std::string_view text)
{
    for (std::size_t at = 0; at + text.size() <= bytes.size(); ++at)
        if (khive::iequals(bytes.substr(at, text.size()), text)) return true;
    return false;
}

/// Why Beast may refuse what khive accepts; empty if it may not.
std::string_view why_beast_is_stricter(const Seen& answer, std::string_view bytes, const beast::error_code& failure)
{
    using beast::http::error;
    if (failure == error::bad_chunk_extension) return "extensions mean nothing to a client: bounded, and not parsed";
    if (failure == error::partial_message && answer.headers.contains("Transfer-Encoding") && bytes.find('"') < bytes.size())
        return "an extension with an open quote ends with its line; Beast looks for the other quote behind it";
    if (has_parsed_field(answer.trailers))
        return "Beast takes trailers for headers; to khive they say nothing about framing";
    if (failure == error::bad_value && (mentions(bytes, "Connection:") || mentions(bytes, "Upgrade:")))
        return "khive looks for the members of Connection that it knows, and does not check the others, nor Upgrade";
    return {};
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    Input in(data, size);
    const bool to_head = (in.byte() & 1) != 0;
    const auto choice = in.byte();
    const auto bytes = in.rest();

    constexpr std::size_t splits = 6; // at even distances from the fuzzer's choice
    for (std::size_t split = 0; split <= splits; ++split) {
        const auto cut = split == 0 ? bytes.size() : bytes.size() * ((choice + split * 256 / splits) % 256) / 256;
        const auto ours = read_by_khive(bytes, cut, to_head);
        if (!ours) return 0;
        beast::error_code error;
        const auto theirs = read_by_beast(bytes, cut, to_head, error);
        if (!theirs) {
            require(!why_beast_is_stricter(*ours, bytes, error).empty(), "Beast refuses what khive accepts",
                    error.message() + ": " + std::string{bytes});
            continue;
        }
        require_equal(describe(*ours), describe(*theirs), "khive and Beast read different answers");
        require(!ours->keeps_alive || theirs->keeps_alive || may_beast_close(*ours),
                "khive reuses a connection that Beast would close", bytes);
    }
    return 0;
}

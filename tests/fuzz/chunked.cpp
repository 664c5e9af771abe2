// SPDX-License-Identifier: BSL-1.0
// A chunked body is decoded as a second decoder, which has all of it before it, says; in whatever pieces it comes.
//
// Input: limits, three cuts, then the bytes behind the head.
#include "fuzz/fuzz.hpp"

#include <khive/core/byte_buffer.hpp>
#include <khive/core/headers.hpp>
#include <khive/http/chunked.hpp>

#include <charconv>
#include <optional>

using namespace khive_fuzz;

namespace http = khive::http;

namespace {

struct Decoded {
    http::ChunkStep step = http::ChunkStep::more;
    std::string body;
    std::string trailers;
    std::size_t used = 0;
};

http::ChunkLimits choose_limits(unsigned choice)
{
    if (choice == 0) return {};
    http::ChunkLimits limits;
    limits.max_body_bytes = choice & 15;
    limits.max_line_bytes = 1 + (choice >> 4 & 3) * 4;
    limits.max_extension_bytes = (choice >> 2 & 7) * 2;
    limits.max_trailer_bytes = (choice >> 5) * 4;
    return limits;
}

/// By khive, in pieces that end at `cuts`.
Decoded decode(std::string_view bytes, const std::vector<std::size_t>& cuts, const http::ChunkLimits& limits)
{
    http::ChunkDecoder decoder;
    khive::ByteBuffer body;
    decoder.start(limits);
    Decoded result;
    for (std::size_t i = 0; i <= cuts.size() && result.step == http::ChunkStep::more; ++i) {
        auto piece = bytes.substr(result.used, (i < cuts.size() ? cuts[i] : bytes.size()) - result.used);
        const auto before = piece.size();
        result.step = decoder.decode(piece, body);
        result.used += before - piece.size();
        require(result.step != http::ChunkStep::more || piece.empty(), "input is left and more is wanted", piece);
    }
    std::string_view nothing;
    require(decoder.decode(nothing, body) == result.step, "the result changes", bytes);
    const bool wrong = result.step != http::ChunkStep::more && result.step != http::ChunkStep::done;
    require(wrong != decoder.problem().empty(), "result and problem disagree", decoder.problem());
    result.body = body.view();
    result.trailers = decoder.trailers();
    return result;
}

/// The next line, without its CRLF and gone from `rest`; nothing where it is not whole.
std::optional<std::string_view> take_line(std::string_view& rest)
{
    const auto end = rest.find("\r\n");
    if (end == std::string_view::npos) return std::nullopt;
    const auto line = rest.substr(0, end);
    rest.remove_prefix(end + 2);
    return line;
}

std::optional<std::uint64_t> size_of(std::string_view digits)
{
    std::uint64_t size = 0;
    if (digits.empty() || digits.size() > 16) return std::nullopt;
    const auto [end, failed] = std::from_chars(digits.data(), digits.data() + digits.size(), size, 16);
    if (failed != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return size;
}

bool is_extension(std::string_view text)
{
    return std::all_of(text.begin(), text.end(), [](char c) { return c == '\t' || (c >= 0x20 && c < 0x7f); });
}

/// A whole valid body within its limits, by RFC 9112 section 7.1; nothing for any other.
std::optional<Decoded> reference(std::string_view bytes, const http::ChunkLimits& limits)
{
    Decoded result;
    std::size_t extensions = 0;
    auto rest = bytes;
    for (std::uint64_t left = 1; left != 0;) {
        const auto line = take_line(rest);
        if (!line) return std::nullopt;
        const auto digits = line->substr(0, line->find(';'));
        const auto extension = line->substr(std::min(digits.size() + 1, line->size()));
        const auto size = size_of(digits);
        extensions += extension.size();
        if (!size || !is_extension(extension) || extensions > limits.max_extension_bytes) return std::nullopt;
        if (!extension.empty() && digits.size() + extension.size() > limits.max_line_bytes) return std::nullopt;
        left = *size;
        if (left == 0) break;
        if (left > limits.max_body_bytes - result.body.size() || rest.size() < left || rest.size() - left < 2)
            return std::nullopt;
        result.body += rest.substr(0, static_cast<std::size_t>(left));
        rest.remove_prefix(static_cast<std::size_t>(left));
        if (!rest.starts_with("\r\n")) return std::nullopt;
        rest.remove_prefix(2);
    }
    for (;;) {
        const auto line = take_line(rest);
        if (!line) return std::nullopt;
        if (line->empty()) break;
        const auto colon = line->find(':');
        if (colon == std::string_view::npos || !khive::is_token(line->substr(0, colon)) || !khive::is_field_value(*line))
            return std::nullopt;
        if (result.trailers.size() + line->size() > limits.max_trailer_bytes) return std::nullopt;
        result.trailers.append(*line).append("\r\n");
    }
    result.step = http::ChunkStep::done;
    result.used = bytes.size() - rest.size();
    return result;
}

std::string describe(const Decoded& result)
{
    return std::to_string(static_cast<int>(result.step)) + " " + std::to_string(result.used) + " [" + result.body + "] [" +
           result.trailers + "]";
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    Input in(data, size);
    const auto limits = choose_limits(in.byte());
    const std::vector<unsigned> choices{in.byte(), in.byte(), in.byte()};
    const auto bytes = in.rest();
    std::vector<std::size_t> every;
    for (std::size_t i = 1; i < bytes.size(); ++i) every.push_back(i);

    const auto whole = decode(bytes, {}, limits);
    require_equal(describe(decode(bytes, cuts_of(choices, bytes.size()), limits)), describe(whole),
                  "pieces decode differently");
    require_equal(describe(decode(bytes, every, limits)), describe(whole), "single bytes decode differently");
    require(whole.body.size() <= limits.max_body_bytes, "the body is over its limit", whole.body);

    const auto expected = reference(bytes, limits);
    require(expected.has_value() == (whole.step == http::ChunkStep::done), "one decoder accepts what the other refuses",
            bytes);
    if (expected) require_equal(describe(whole), describe(*expected), "two decoders read different bodies");
    return 0;
}

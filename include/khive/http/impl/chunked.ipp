// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>
#include <khive/core/min_max.hpp>
#include <khive/http/chunked.hpp>


namespace khive::inline KHIVE_ABI::http {
namespace detail {

/// The value of a hex digit, 16 for anything else.
constexpr unsigned hex_digit(char c) noexcept
{
    if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a' + 10);
    return c >= 'A' && c <= 'F' ? static_cast<unsigned>(c - 'A' + 10) : 16;
}

inline bool is_text_byte(char c) noexcept
{
    return is_field_value({&c, 1});
}

inline bool is_field_line(std::string_view line) noexcept
{
    const auto colon = line.find(':');
    return colon != std::string_view::npos && is_token(line.substr(0, colon));
}

} // namespace detail

KHIVE_DECL ChunkStep ChunkDecoder::decode(std::string_view& input, ByteBuffer& body)
{
    while (result_ == ChunkStep::more && !input.empty()) {
        if (state_ == State::data) {
            take_data(input, body);
        } else {
            step(input.front(), body);
            input.remove_prefix(1);
        }
    }
    return result_;
}

KHIVE_DECL void ChunkDecoder::step(char c, const ByteBuffer& body)
{
    switch (state_) {
    case State::size: return on_size(c);
    case State::extension: return on_extension(c);
    case State::line_end: return on_line_end(c, body);
    case State::data_cr: return expect(c, '\r', State::data_lf, "chunk data goes on after the chunk's size");
    case State::data_lf: return expect(c, '\n', State::size, "chunk data does not end in CRLF");
    case State::trailer: return on_trailer(c);
    case State::trailer_lf: return on_trailer_end(c);
    case State::last_lf: expect(c, '\n', State::ended, "the chunked body does not end in CRLF"); break;
    case State::data:
    case State::ended: break;
    }
    if (state_ == State::ended && result_ == ChunkStep::more) result_ = ChunkStep::done;
}

KHIVE_DECL void ChunkDecoder::take_data(std::string_view& input, ByteBuffer& body)
{
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size()));
    body.append(input.substr(0, count));
    input.remove_prefix(count);
    left_ -= count;
    if (left_ == 0) state_ = State::data_cr;
}

KHIVE_DECL void ChunkDecoder::on_size(char c)
{
    if (const unsigned digit = detail::hex_digit(c); digit < 16) {
        if (++digits_ > 16) return stop(ChunkStep::malformed, "chunk size has more than 16 digits");
        left_ = left_ << 4 | digit;
        return;
    }
    if (digits_ == 0 || (c != '\r' && c != ';')) return stop(ChunkStep::malformed, "chunk size is not a plain hex number");
    line_bytes_ = digits_;
    state_ = c == ';' ? State::extension : State::line_end;
}

KHIVE_DECL void ChunkDecoder::on_extension(char c)
{
    if (c == '\r') {
        state_ = State::line_end;
        return;
    }
    if (!detail::is_text_byte(c) || static_cast<unsigned char>(c) >= 0x80)
        return stop(ChunkStep::malformed, "chunk extension has a control or non-ASCII byte");
    if (++line_bytes_ > limits_.max_line_bytes) return stop(ChunkStep::malformed, "chunk line is over the limit");
    if (++extension_bytes_ > limits_.max_extension_bytes)
        return stop(ChunkStep::malformed, "chunk extensions are over the limit");
}

KHIVE_DECL void ChunkDecoder::on_line_end(char c, const ByteBuffer& body)
{
    expect(c, '\n', left_ == 0 ? State::trailer : State::data, "chunk line does not end in CRLF");
    digits_ = 0;
    if (left_ != 0 && (body.size() > limits_.max_body_bytes || left_ > limits_.max_body_bytes - body.size()))
        stop(ChunkStep::body_too_large, "body is over the limit");
}

KHIVE_DECL void ChunkDecoder::on_trailer(char c)
{
    if (c == '\r') {
        state_ = trailers_.size() == trailer_line_ ? State::last_lf : State::trailer_lf;
        return;
    }
    if (!detail::is_text_byte(c)) return stop(ChunkStep::malformed, "trailer has a control byte");
    if (trailers_.size() >= limits_.max_trailer_bytes)
        return stop(ChunkStep::trailers_too_large, "trailers are over the limit");
    trailers_ += c;
}

KHIVE_DECL void ChunkDecoder::on_trailer_end(char c)
{
    expect(c, '\n', State::trailer, "trailer does not end in CRLF");
    if (!detail::is_field_line(std::string_view{trailers_}.substr(trailer_line_)))
        return stop(ChunkStep::malformed, "trailer is not a header field");
    trailers_ += "\r\n";
    trailer_line_ = trailers_.size();
}

KHIVE_DECL void ChunkDecoder::expect(char c, char expected, State next, std::string_view otherwise)
{
    if (c != expected) return stop(ChunkStep::malformed, otherwise);
    state_ = next;
}

KHIVE_DECL void ChunkDecoder::stop(ChunkStep result, std::string_view problem) noexcept
{
    if (result_ != ChunkStep::more) return;
    result_ = result;
    problem_ = problem;
}

} // namespace khive::inline KHIVE_ABI::http

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/byte_buffer.hpp>
#include <khive/core/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace khive::inline KHIVE_ABI::http {

/// What a chunked body may cost.
struct ChunkLimits {
    std::uint64_t max_body_bytes = 64u << 20;    ///< data of all chunks. bytes. 0: no data at all.
    std::size_t max_line_bytes = 4u << 10;       ///< one chunk line, size and extensions. bytes. 1 or more.
    std::size_t max_extension_bytes = 16u << 10; ///< extensions of all lines. bytes. 0: none are accepted.
    std::size_t max_trailer_bytes = 16u << 10;   ///< all trailer fields. bytes. 0: none are accepted.
};

/// What now?
enum class ChunkStep : std::uint8_t {
    more,      ///< all input is used, the body goes on
    done,      ///< the body is complete; what is left of the input is not part of it
    malformed, ///< this is no chunked body, or one with endless extensions; `problem()` says why
    body_too_large,
    trailers_too_large,
};

/// Decodes a chunked body, strictly: sizes of 1 to 16 hex digits and nothing beside them, lines that end in CRLF, extensions
/// and trailers bounded and kept apart.
///
/// - Complexity: linear in the input; memory only for data that has come, and trailers.
/// - Source: RFC 9112 section 7.1.
class ChunkDecoder {
public:
    /// Ready for a new body; keeps its memory.
    void start(const ChunkLimits& limits) noexcept;

    /// Takes bytes from the front of `input` and appends data to `body`. After anything but `more` it gives the same again.
    [[nodiscard]] KHIVE_DECL ChunkStep decode(std::string_view& input, ByteBuffer& body);

    /// What is wrong; empty if nothing is.
    [[nodiscard]] std::string_view problem() const noexcept { return problem_; }
    /// The trailer fields, each `name:value CRLF`, to be used by those who asked for them and by nobody else.
    [[nodiscard]] const std::string& trailers() const noexcept { return trailers_; }

private:
    enum class State : std::uint8_t {
        size,
        extension,
        line_end,
        data,
        data_cr,
        data_lf,
        trailer,
        trailer_lf,
        last_lf,
        ended
    };

    KHIVE_DECL void step(char c, const ByteBuffer& body);
    KHIVE_DECL void take_data(std::string_view& input, ByteBuffer& body);
    KHIVE_DECL void on_size(char c);
    KHIVE_DECL void on_extension(char c);
    KHIVE_DECL void on_line_end(char c, const ByteBuffer& body);
    KHIVE_DECL void on_trailer(char c);
    KHIVE_DECL void on_trailer_end(char c);
    KHIVE_DECL void expect(char c, char expected, State next, std::string_view otherwise);
    KHIVE_DECL void stop(ChunkStep result, std::string_view problem) noexcept;

    ChunkLimits limits_;
    std::uint64_t left_ = 0;          // of the chunk: its size while the line is read, then data still to come
    std::size_t extension_bytes_ = 0; // of all lines
    std::size_t line_bytes_ = 0;      // of this line
    std::size_t trailer_line_ = 0;    // where the trailer line begins
    std::string trailers_;
    std::string_view problem_;
    State state_ = State::ended;
    ChunkStep result_ = ChunkStep::done;
    std::uint8_t digits_ = 0;
};

inline void ChunkDecoder::start(const ChunkLimits& limits) noexcept
{
    limits_ = limits;
    left_ = 0;
    extension_bytes_ = line_bytes_ = trailer_line_ = 0;
    trailers_.clear();
    problem_ = {};
    state_ = State::size;
    result_ = ChunkStep::more;
    digits_ = 0;
}

} // namespace khive::inline KHIVE_ABI::http

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/http/impl/chunked.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/byte_buffer.hpp>
#include <khive/core/error.hpp>
#include <khive/core/headers.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/time.hpp>
#include <khive/http/chunked.hpp>
#include <khive/http/content.hpp>
#include <khive/http/detail/response_head.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>

namespace khive::inline KHIVE_ABI::http {

/// What one answer may cost. Whatever is over a limit is an error at once, not when a timer runs out.
struct ReaderLimits {
    std::size_t max_header_bytes = 64u << 10;    ///< status line and fields of one head. bytes. 1 or more.
    std::size_t max_header_count = 256;          ///< fields of one head. 0: none are accepted.
    std::uint64_t max_body_bytes = 64u << 20;    ///< body as it travels, without chunk framing. bytes. 0: no body at all.
    unsigned max_interim = 16;                   ///< answers with status 1xx before the real one. 0: none are accepted.
    std::size_t max_chunk_line_bytes = 4u << 10; ///< one chunk line. bytes. 1 or more.
    std::size_t max_extension_bytes = 16u << 10; ///< chunk extensions of a body. bytes. 0: none are accepted.
    std::size_t max_trailer_bytes = 16u << 10;   ///< trailer fields. bytes. 0: none are accepted.
};
static_assert(std::is_trivially_destructible_v<ReaderLimits>);

/// What now?
enum class ReadStep : std::uint8_t {
    more,   ///< read into `prepare()`, then `commit`
    done,   ///< the answer is complete
    failed, ///< `error()` says why; the connection is of no more use
};

/// What reading heads and chunks takes, from the first byte on.
struct HeadMemory {
    /// A final head as it came, and what it says: the next answer of a server often has the same.
    struct Known {
        std::string text;       ///< with its empty line
        std::size_t fields = 0; ///< where its fields begin
        detail::ResponseHead head;
    };

    [[nodiscard]] std::string_view unread() const noexcept { return {input.data() + consumed, input.size() - consumed}; }
    /// Ready for another head; what is known stays.
    void clear() noexcept
    {
        head = {};
        scanned = line = fields = 0;
    }

    ByteBuffer input;          ///< bytes of head and chunks
    std::size_t consumed = 0;  ///< of them: belongs to earlier heads
    detail::ResponseHead head; ///< of the present answer
    std::size_t scanned = 0;   ///< of its text: searched for the end of a line
    std::size_t line = 0;      ///< of its text: read
    std::size_t fields = 0;    ///< of its text: where they begin
    std::uint64_t left = 0;    ///< of a body of known length
    Owned<ChunkDecoder> chunks; ///< once a body was chunked
    Known known;
};
using HeadMemoryPtr = Owned<HeadMemory>;

/// Reads one answer after another from the bytes of a connection: interim answers skipped, framing checked, body put
/// straight into its place. It knows no socket.
///
/// `while (step == ReadStep::more) step = reader.commit(read_some(reader.prepare()));`
///
/// Stricter than it must be wherever two readers could disagree about where an answer ends: any `Transfer-Encoding` beside
/// a `Content-Length`, codings other than a single `chunked`, lengths that are not digits, folded lines and bare
/// CR or LF are errors. Reuse is earned at the last step: `reusable()` is false until the answer is complete. Every room
/// that is offered is larger than what the answer still needs, so a byte behind it is seen and costs the connection; so does
/// a body that a 204 announces, come or not.
///
/// - Errors: `protocol`, `header_too_large`, `body_too_large`, `truncated_body` (the stream ended inside a body) and
///   `connection_lost` (it ended before a complete head). Whether the server may have acted is for the caller to say.
/// - Complexity: linear in the bytes; no allocation where memory of earlier answers is large enough. A head of the same bytes as
///   the one before, as many are within a second, is compared, not parsed. An announced length
///   reserves at most 1 MiB before its bytes come.
/// - Lifetime: its limits outlive it, and where the answer goes outlives the reading. It is small until an answer comes: a
///   client may have thousands that wait for one.
/// - Source: RFC 9112.
class ResponseReader {
public:
    explicit ResponseReader(const ReaderLimits& limits = default_limits) noexcept : limits_(&limits) {}
    explicit ResponseReader(ReaderLimits&& limits) = delete;

    /// \name Reading
    /// @{

    /// Before `start`: where the answer goes, into memory that is there if it is large enough.
    void read_into(Content& content) noexcept { content_ = &content; }
    /// Ready for the answer to a request; `head_request` where its method was HEAD. Keeps all memory.
    KHIVE_DECL void start(bool head_request) noexcept;
    /// Where the next bytes belong, valid until the next call; never empty while the step is `more`.
    [[nodiscard]] KHIVE_DECL std::span<char> prepare();
    /// The first `count` bytes of the prepared room have been read.
    KHIVE_DECL ReadStep commit(std::size_t count);
    /// No more bytes will come. `clean`: by FIN on a plain connection, by close_notify on TLS.
    KHIVE_DECL ReadStep end_of_stream(bool clean);
    /// Has any byte of this answer been seen, interim answers included?
    [[nodiscard]] bool any_byte() const noexcept { return any_byte_; }
    /// Is the final head complete?
    [[nodiscard]] bool head_done() const noexcept { return status_ != 0; }
    /// @}

    /// \name The answer
    /// @{
    [[nodiscard]] int status() const noexcept { return status_; }
    /// What came after a chunked body, kept apart from the headers.
    [[nodiscard]] Headers trailers() const
    {
        return memory_ && memory_->chunks ? Headers::from_lines(memory_->chunks->trailers()) : Headers{};
    }
    [[nodiscard]] KHIVE_DECL Error error() const;
    /// @}

    /// \name The connection
    /// @{

    /// May the next request use the connection: complete, framed, kept alive by both sides, nothing left over?
    [[nodiscard]] bool reusable() const noexcept { return state_ == State::done && keep_alive_ && !left_over_; }
    /// How long the server keeps an idle connection, from `Keep-Alive: timeout=`.
    [[nodiscard]] std::optional<Duration> keep_alive_timeout() const noexcept
    {
        return memory_ ? memory_->head.keep_alive_timeout : std::nullopt;
    }
    /// How many requests more it serves, from `Keep-Alive: max=`.
    template <class Count = std::uint64_t>
    [[nodiscard]] std::optional<Count> keep_alive_max() const noexcept
    {
        if (!memory_ || !memory_->head.has_keep_alive_max) return std::nullopt;
        return memory_->head.keep_alive_max;
    }
    /// Does it say that it serves none?
    [[nodiscard]] bool serves_no_more() const noexcept
    {
        return memory_ && memory_->head.has_keep_alive_max && memory_->head.keep_alive_max == 0;
    }
    /// With the head that it compares the next one with, for another connection to the same server.
    [[nodiscard]] HeadMemoryPtr take_head_memory() noexcept;
    void use_head_memory(HeadMemoryPtr memory) noexcept;
    /// After an answer: gives the read buffer back.
    void release_buffer() noexcept;
    /// Gives all memory back, for a connection that idles.
    void release_memory() noexcept;
    /// @}

private:
    static constexpr ReaderLimits default_limits{};
    enum class State : std::uint8_t { idle, head, length, chunked, until_close, done, failed };

    [[nodiscard]] KHIVE_DECL std::span<char> prepare_input();
    [[nodiscard]] KHIVE_DECL std::span<char> prepare_body();
    [[nodiscard]] std::string_view input() const noexcept { return memory_->unread(); }
    [[nodiscard]] ByteBuffer& body() const noexcept { return content_->body; }
    KHIVE_DECL void advance();
    KHIVE_DECL void read_head();
    KHIVE_DECL void parse_head(std::string_view text);
    KHIVE_DECL void remember_head(std::string_view text);
    KHIVE_DECL void use_head(std::string_view lines);
    KHIVE_DECL void begin_body(const detail::ResponseHead& head);
    KHIVE_DECL void begin_length(std::uint64_t length);
    KHIVE_DECL void took_length(std::size_t count);
    KHIVE_DECL void read_chunks();
    KHIVE_DECL void took_body();
    KHIVE_DECL void finish() noexcept;
    KHIVE_DECL void fail(ErrorKind kind, const char* problem) noexcept; ///< a literal
    [[nodiscard]] KHIVE_DECL ReadStep step() const noexcept;

    const ReaderLimits* limits_;
    HeadMemoryPtr memory_;       // from the first byte of a head on
    Content* content_ = nullptr; // its headers are whole once the head is, its body once all is
    const char* problem_ = "";
    int status_ = 0;
    unsigned interim_ = 0;
    State state_ = State::idle;
    ErrorKind problem_kind_{};
    bool fits_more_ = false; // an answer would have come with one read less, had the first been offered more
    bool head_request_ = false;
    bool any_byte_ = false;
    bool keep_alive_ = false;
    bool left_over_ = false;
};

inline HeadMemoryPtr ResponseReader::take_head_memory() noexcept
{
    release_buffer();
    return std::move(memory_);
}

inline void ResponseReader::use_head_memory(HeadMemoryPtr memory) noexcept
{
    memory_ = std::move(memory);
    if (memory_) memory_->clear();
}

inline void ResponseReader::release_buffer() noexcept
{
    if (!memory_) return;
    memory_->input.release();
    memory_->consumed = 0;
}

inline void ResponseReader::release_memory() noexcept
{
    memory_.reset();
}

} // namespace khive::inline KHIVE_ABI::http

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/http/impl/response_reader.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/min_max.hpp>
#include <khive/http/impl/response_head.ipp>
#include <khive/http/response_reader.hpp>

#include <cstring>
#include <limits>
#include <utility>

namespace khive::inline KHIVE_ABI::http {
namespace detail {

inline constexpr std::size_t first_input_bytes = 1u << 10; // held by every call that waits for its answer
inline constexpr std::size_t more_input_bytes = 8u << 10;  // where that makes a read less
inline constexpr std::size_t max_input_bytes = 64u << 10; // beyond it only a long head makes the buffer grow
inline constexpr std::size_t max_reserved_bytes = (1u << 20) + 1;
inline constexpr std::size_t first_body_bytes = 8u << 10; // of a body without length
inline constexpr std::size_t max_known_bytes = 1u << 10;  // of a head that is kept to compare the next one with
inline constexpr std::size_t least_room_bytes = 1u << 10; // no read is made for less, unless less is left

/// Can `text` be the beginning of a status line?
inline bool starts_like_http(std::string_view text) noexcept
{
    constexpr std::string_view start = "HTTP/1.";
    return start.starts_with(text.substr(0, start.size()));
}

inline std::uint64_t one_more(std::uint64_t count) noexcept
{
    return count == std::numeric_limits<std::uint64_t>::max() ? count : count + 1;
}

inline bool is_bodiless(int status) noexcept
{
    return status == 204 || status == 304;
}

} // namespace detail

KHIVE_DECL void ResponseReader::start(bool head_request) noexcept
{
    body().clear();
    content_->headers.clear();
    if (memory_) {
        memory_->clear();
        memory_->input.clear();
        memory_->consumed = 0;
        if (memory_->chunks) memory_->chunks->start({});
    }
    problem_ = "";
    problem_kind_ = {};
    status_ = 0;
    interim_ = 0;
    state_ = State::head;
    head_request_ = head_request;
    any_byte_ = keep_alive_ = left_over_ = false;
}

KHIVE_DECL std::span<char> ResponseReader::prepare()
{
    switch (state_) {
    case State::head:
    case State::chunked: return prepare_input();
    case State::length:
    case State::until_close: return prepare_body();
    default: return {};
    }
}

KHIVE_DECL std::span<char> ResponseReader::prepare_input()
{
    if (!memory_) memory_.reset(new HeadMemory);
    ByteBuffer& input = memory_->input;
    input.consume(std::exchange(memory_->consumed, 0));
    const std::size_t wanted = fits_more_ ? detail::more_input_bytes : detail::first_input_bytes;
    if (input.capacity() < wanted) input.reserve(wanted);
    return input.prepare(detail::least_room_bytes);
}

KHIVE_DECL std::span<char> ResponseReader::prepare_body()
{
    if (state_ == State::length) {
        // No read ends exactly where the body does: there is room for one byte more, to see what the server sends behind it.
        const std::uint64_t wanted = detail::one_more(memory_->left);
        ByteBuffer& body = content_->body;
        if (body.capacity() - body.size() < 2)
            body.reserve(body.size() + static_cast<std::size_t>(std::min<std::uint64_t>(wanted, body.capacity() + 2)));
        const auto room = body.prepare(2);
        const auto offered = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, room.size()));
        return room.first(offered == memory_->left ? offered - 1 : offered);
    }
    const auto room = body().prepare(detail::least_room_bytes);
    // One byte more than allowed, to tell a body that ends at the limit from one that goes on.
    const std::uint64_t allowed = limits_->max_body_bytes - body().size();
    return allowed < room.size() ? room.first(static_cast<std::size_t>(allowed) + 1) : room;
}

KHIVE_DECL ReadStep ResponseReader::commit(std::size_t count)
{
    if (count == 0) return step();
    any_byte_ = true;
    switch (state_) {
    case State::head:
    case State::chunked:
        memory_->input.commit(count);
        advance();
        break;
    case State::length: took_length(count); break;
    case State::until_close:
        body().commit(count);
        took_body();
        break;
    default: break;
    }
    return step();
}

KHIVE_DECL ReadStep ResponseReader::end_of_stream(bool clean)
{
    if (state_ == State::head)
        fail(ErrorKind::connection_lost, any_byte_ ? "the connection ended inside the head of the answer"
                                                   : "the connection ended before any byte of the answer");
    else if (state_ == State::until_close && clean)
        finish();
    else if (state_ == State::length || state_ == State::chunked || state_ == State::until_close)
        fail(ErrorKind::truncated_body, "the connection ended before the body did");
    return step();
}

KHIVE_DECL Error ResponseReader::error() const
{
    if (state_ != State::failed) return Error{};
    const bool again = problem_kind_ == ErrorKind::connection_lost || problem_kind_ == ErrorKind::truncated_body;
    return Error{problem_kind_}.with_message(problem_).with_retryable(again);
}

KHIVE_DECL void ResponseReader::advance()
{
    while (state_ == State::head && !input().empty()) {
        const auto before = memory_->consumed;
        read_head();
        if (memory_->consumed == before) break;
    }
    if (state_ == State::chunked) read_chunks();
}

KHIVE_DECL void ResponseReader::read_head()
{
    const auto text = input();
    const std::string& known = memory_->known.text;
    if (memory_->scanned != 0 || known.empty() || text.size() < known.size() ||
        std::memcmp(text.data(), known.data(), known.size()) != 0)
        return parse_head(text);
    const std::size_t fields = memory_->known.fields;
    memory_->head = memory_->known.head;
    memory_->line = known.size();
    use_head({text.data() + fields, known.size() - 2 - fields});
}

KHIVE_DECL void ResponseReader::parse_head(std::string_view text)
{
    detail::ResponseHead& head = memory_->head;
    std::size_t& scanned = memory_->scanned;
    std::size_t& read = memory_->line;
    const auto window = text.substr(0, limits_->max_header_bytes);
    const char* const begin = window.data();
    if (read == 0 && !detail::starts_like_http(window)) return fail(ErrorKind::protocol, "this is not an HTTP/1 answer");
    detail::HeadParser parser(head, limits_->max_header_count);
    while (const void* found = std::memchr(begin + scanned, '\n', window.size() - scanned)) {
        const auto end = static_cast<std::size_t>(static_cast<const char*>(found) - begin);
        if (end == read || begin[end - 1] != '\r') return fail(ErrorKind::protocol, "a line ends in a bare LF");
        const std::string_view line(begin + read, end - 1 - read);
        const bool first = read == 0;
        read = scanned = end + 1;
        if (first) {
            parser.read_status_line(line);
            memory_->fields = read;
        } else if (!line.empty()) {
            parser.read_field(line);
        } else {
            parser.check_whole();
            if (head.problem.empty()) {
                remember_head(window.substr(0, read));
                return use_head(window.substr(memory_->fields, end - 1 - memory_->fields));
            }
        }
        if (!head.problem.empty())
            return fail(head.fields > limits_->max_header_count ? ErrorKind::header_too_large : ErrorKind::protocol, head.problem.data());
    }
    scanned = window.size();
    if (window.size() != text.size()) fail(ErrorKind::header_too_large, "the head of the answer is over the limit");
}

KHIVE_DECL void ResponseReader::remember_head(std::string_view text)
{
    if (memory_->head.status < 200 || text.size() > detail::max_known_bytes) return;
    HeadMemory::Known& known = memory_->known;
    known.text = text;
    known.fields = memory_->fields;
    known.head = memory_->head;
}

KHIVE_DECL void ResponseReader::use_head(std::string_view lines)
{
    const detail::ResponseHead& head = memory_->head;
    memory_->consumed += std::exchange(memory_->line, 0);
    memory_->scanned = 0;
    if (head.status == 101) return fail(ErrorKind::protocol, "the server switches protocols unasked");
    if (head.status < 200) {
        if (++interim_ > limits_->max_interim) fail(ErrorKind::protocol, "too many interim answers");
        return memory_->clear();
    }
    status_ = head.status;
    content_->headers.assign_lines(lines);
    keep_alive_ = !head.says_close && (head.version == 11 || head.says_keep_alive);
    begin_body(head);
}

KHIVE_DECL void ResponseReader::begin_body(const detail::ResponseHead& head)
{
    // Some servers that announce a body where there is none send it all the same: the next answer would begin with it.
    if (status_ == 204 && (head.chunked || head.length != 0)) keep_alive_ = false;
    if (head_request_ || detail::is_bodiless(status_)) return finish();
    if (head.has_length) return begin_length(head.length);
    if (head.chunked) {
        state_ = State::chunked;
        if (!memory_->chunks) memory_->chunks.reset(new ChunkDecoder);
        return memory_->chunks->start({limits_->max_body_bytes, limits_->max_chunk_line_bytes, limits_->max_extension_bytes,
                                       limits_->max_trailer_bytes});
    }
    state_ = State::until_close;
    keep_alive_ = false;
    body().reserve(detail::first_body_bytes);
    body().append(input());
    memory_->consumed = memory_->input.size();
    took_body();
}

KHIVE_DECL void ResponseReader::begin_length(std::uint64_t length)
{
    if (length > limits_->max_body_bytes) return fail(ErrorKind::body_too_large, "Content-Length is over the limit");
    state_ = State::length;
    const auto here = static_cast<std::size_t>(std::min<std::uint64_t>(length, input().size()));
    memory_->left = length - here;
    if (memory_->left != 0 && memory_->consumed + length < detail::more_input_bytes) fits_more_ = true;
    const std::uint64_t room = memory_->left == 0 ? length : detail::one_more(length);
    body().reserve(static_cast<std::size_t>(std::min<std::uint64_t>(room, detail::max_reserved_bytes)));
    body().append({input().data(), here});
    memory_->consumed += here;
    if (memory_->left == 0) finish();
}

KHIVE_DECL void ResponseReader::took_length(std::size_t count)
{
    const auto of_body = static_cast<std::size_t>(std::min<std::uint64_t>(count, memory_->left));
    body().commit(of_body);
    memory_->left -= of_body;
    if (memory_->left != 0) return;
    finish();
    left_over_ = left_over_ || count != of_body;
}

KHIVE_DECL void ResponseReader::read_chunks()
{
    ByteBuffer& all = memory_->input;
    auto rest = input();
    const bool filled = all.size() == all.capacity();
    ChunkDecoder& chunks = *memory_->chunks;
    const auto result = chunks.decode(rest, body());
    memory_->consumed = all.size() - rest.size();
    switch (result) {
    case ChunkStep::more: break;
    case ChunkStep::done: return finish();
    case ChunkStep::malformed: return fail(ErrorKind::protocol, chunks.problem().data());
    case ChunkStep::body_too_large: return fail(ErrorKind::body_too_large, chunks.problem().data());
    case ChunkStep::trailers_too_large: return fail(ErrorKind::header_too_large, chunks.problem().data());
    }
    // A server that fills the buffer gets a larger one: fewer reads.
    all.consume(std::exchange(memory_->consumed, 0));
    if (filled && all.capacity() < detail::max_input_bytes)
        all.reserve(std::max(detail::more_input_bytes, 2 * all.capacity()));
}

KHIVE_DECL void ResponseReader::took_body()
{
    if (body().size() > limits_->max_body_bytes) fail(ErrorKind::body_too_large, "body is over the limit");
}

KHIVE_DECL void ResponseReader::finish() noexcept
{
    state_ = State::done;
    left_over_ = !input().empty();
}

KHIVE_DECL void ResponseReader::fail(ErrorKind kind, const char* problem) noexcept
{
    state_ = State::failed;
    problem_kind_ = kind;
    problem_ = problem;
    keep_alive_ = false;
}

KHIVE_DECL ReadStep ResponseReader::step() const noexcept
{
    if (state_ == State::done) return ReadStep::done;
    return state_ == State::failed ? ReadStep::failed : ReadStep::more;
}

} // namespace khive::inline KHIVE_ABI::http

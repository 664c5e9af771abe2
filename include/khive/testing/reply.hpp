// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>
#include <khive/core/time.hpp>
#include <khive/testing/config.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace khive::inline KHIVE_ABI::testing {

/// One thing that a server does to a connection.
struct PeerAction {
    enum class Kind : std::uint8_t {
        send,  ///< `bytes`
        pause, ///< before what comes next
        end,   ///< half-close
        close, ///< both ways
        reset, ///< with RST
    };
    Kind kind = Kind::send;
    std::string bytes;
    Duration pause{};
    bool bare = false; ///< outside of TLS
};

/// What a test's server does with one request: the answer, and how it is delivered or spoilt.
///
/// Made by the functions below and then changed with the setters, which apply whatever their order.
/// ```cpp
/// ok("hello").header("etag", "\"1\"").after(20ms)
/// status(503).in_pieces(1, 5ms)
/// ok(std::string(1000, 'x')).cut_after(100).then_reset()
/// ```
///
/// - Thread safety: as a value.
class Reply {
public:
    /// What becomes of the connection after the answer.
    enum class Then : std::uint8_t {
        keep,  ///< the next request is awaited, unless the request or the answer said `Connection: close`
        end,   ///< half-close
        close, ///< both ways
        reset, ///< RST
    };

    /// An answer with a body; `Content-Length` is added unless it is there or the body is chunked.
    KHIVE_TESTING_DECL explicit Reply(unsigned status, std::string body = {});
    /// Bytes as they are, no head added.
    [[nodiscard]] KHIVE_TESTING_DECL static Reply of_bytes(std::string bytes);

    /// Adds a field; nothing is checked, so that wrong answers can be given.
    KHIVE_TESTING_DECL Reply& header(std::string_view name, std::string_view value);
    /// The reason phrase instead of the usual one.
    KHIVE_TESTING_DECL Reply& reason(std::string reason);
    /// Sends the body as chunks of at most `size` bytes.
    KHIVE_TESTING_DECL Reply& chunked(std::size_t size = 1024);
    /// Sends neither Content-Length nor chunks: the body ends with the connection.
    KHIVE_TESTING_DECL Reply& until_close();
    /// Sends `bytes` before the answer, an interim one say.
    KHIVE_TESTING_DECL Reply& preceded_by(std::string bytes);
    /// Sends `bytes` after the answer, which nobody asked for.
    KHIVE_TESTING_DECL Reply& followed_by(std::string bytes);

    /// Waits before the first byte; adds up.
    KHIVE_TESTING_DECL Reply& after(Duration delay);
    /// Sends pieces of `size` bytes, with `interval` between them.
    KHIVE_TESTING_DECL Reply& in_pieces(std::size_t size, Duration interval = {});
    /// Sends the first `bytes` of it in one piece, whatever `in_pieces` says.
    KHIVE_TESTING_DECL Reply& at_once(std::size_t bytes);
    /// Sends only the first `bytes` of it all.
    KHIVE_TESTING_DECL Reply& cut_after(std::size_t bytes);
    /// Then sends `bytes` as they are where TLS records are expected, as somebody on the way could.
    KHIVE_TESTING_DECL Reply& then_inject(std::string bytes);
    /// Waits between the last byte and what becomes of the connection.
    KHIVE_TESTING_DECL Reply& linger(Duration delay);
    Reply& then_end() { return then_ = Then::end, *this; }
    Reply& then_close() { return then_ = Then::close, *this; }
    Reply& then_reset() { return then_ = Then::reset, *this; }

    /// What to do for a request with this method; `close_asked` if it said `Connection: close`.
    [[nodiscard]] KHIVE_TESTING_DECL std::vector<PeerAction> actions(std::string_view method = "GET",
                                                                     bool close_asked = false) const;
    /// All bytes of it, before cutting.
    [[nodiscard]] KHIVE_TESTING_DECL std::string bytes(std::string_view method = "GET") const;
    [[nodiscard]] unsigned status() const noexcept { return status_; }

private:
    Reply() = default;
    [[nodiscard]] std::string head() const;
    [[nodiscard]] std::string framed_body() const;

    unsigned status_ = 0; ///< 0 for bytes as they are
    std::string reason_;
    std::string fields_;
    std::string body_;
    std::string before_;
    std::string behind_;
    std::string injected_;
    std::size_t chunk_ = 0;
    std::size_t first_piece_ = 0;
    std::size_t piece_ = std::numeric_limits<std::size_t>::max();
    std::size_t cut_ = std::numeric_limits<std::size_t>::max();
    Duration interval_{};
    Duration delay_{};
    Duration linger_{};
    bool until_close_ = false;
    Then then_ = Then::keep;
};

/// `200 OK` with a body.
[[nodiscard]] KHIVE_TESTING_DECL Reply ok(std::string body = {});
/// `200 OK` with a body of type application/json.
[[nodiscard]] KHIVE_TESTING_DECL Reply ok_json(std::string body);
[[nodiscard]] KHIVE_TESTING_DECL Reply status(unsigned code, const Headers& headers = {}, std::string body = {});
/// `429` with a Retry-After in whole seconds, rounded up.
[[nodiscard]] KHIVE_TESTING_DECL Reply too_many_requests(Duration retry_after);
/// No answer: the connection is broken with RST.
[[nodiscard]] KHIVE_TESTING_DECL Reply reset();
/// The first `bytes` of `reply`, then RST.
[[nodiscard]] KHIVE_TESTING_DECL Reply reset_after(std::size_t bytes, Reply reply);
/// No answer: the connection is closed in good order.
[[nodiscard]] KHIVE_TESTING_DECL Reply close_without_answer();
/// No answer, and the connection stays.
[[nodiscard]] KHIVE_TESTING_DECL Reply no_answer();
/// `reply`, later.
[[nodiscard]] KHIVE_TESTING_DECL Reply delay(Duration duration, Reply reply);
/// `reply` in pieces of `size` bytes, one per `interval`.
[[nodiscard]] KHIVE_TESTING_DECL Reply trickle(Reply reply, std::size_t size, Duration interval);
/// Exactly these bytes.
[[nodiscard]] KHIVE_TESTING_DECL Reply raw(std::string bytes);

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/reply.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/reply.hpp>

#include <boost/beast/http/status.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

namespace khive::inline KHIVE_ABI::testing {
namespace detail {

inline bool has_no_body(unsigned status)
{
    return status / 100 == 1 || status == 204 || status == 304;
}

inline std::string hex(std::size_t number)
{
    std::array<char, 16> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, 16).ptr;
    return {digits.data(), end};
}

inline std::string in_chunks(std::string_view body, std::size_t size)
{
    std::string chunks;
    for (; !body.empty(); body.remove_prefix(std::min(size, body.size()))) {
        const auto chunk = body.substr(0, size);
        chunks.append(hex(chunk.size())).append("\r\n").append(chunk).append("\r\n");
    }
    return chunks.append("0\r\n\r\n");
}

} // namespace detail

KHIVE_TESTING_DECL Reply::Reply(unsigned status, std::string body) : status_(status), body_(std::move(body))
{
    const auto known = boost::beast::http::int_to_status(status);
    reason_ = std::string{boost::beast::http::obsolete_reason(known)};
}

KHIVE_TESTING_DECL Reply Reply::of_bytes(std::string bytes)
{
    Reply reply;
    reply.body_ = std::move(bytes);
    return reply;
}

KHIVE_TESTING_DECL Reply& Reply::header(std::string_view name, std::string_view value)
{
    fields_.append(name).append(": ").append(value).append("\r\n");
    return *this;
}

KHIVE_TESTING_DECL Reply& Reply::reason(std::string reason)
{
    reason_ = std::move(reason);
    return *this;
}

KHIVE_TESTING_DECL Reply& Reply::chunked(std::size_t size)
{
    chunk_ = size;
    return header("Transfer-Encoding", "chunked");
}

KHIVE_TESTING_DECL Reply& Reply::until_close()
{
    until_close_ = true;
    if (then_ == Then::keep) then_ = Then::close;
    return *this;
}

KHIVE_TESTING_DECL Reply& Reply::preceded_by(std::string bytes)
{
    before_ = std::move(bytes);
    return *this;
}

KHIVE_TESTING_DECL Reply& Reply::followed_by(std::string bytes)
{
    behind_ = std::move(bytes);
    return *this;
}

KHIVE_TESTING_DECL Reply& Reply::after(Duration delay)
{
    delay_ += delay;
    return *this;
}

KHIVE_TESTING_DECL Reply& Reply::in_pieces(std::size_t size, Duration interval)
{
    piece_ = std::max<std::size_t>(size, 1);
    interval_ = interval;
    return *this;
}

KHIVE_TESTING_DECL Reply& Reply::at_once(std::size_t bytes)
{
    first_piece_ = bytes;
    return *this;
}

KHIVE_TESTING_DECL Reply& Reply::then_inject(std::string bytes)
{
    injected_ = std::move(bytes);
    return *this;
}

KHIVE_TESTING_DECL Reply& Reply::cut_after(std::size_t bytes)
{
    cut_ = bytes;
    return *this;
}

KHIVE_TESTING_DECL Reply& Reply::linger(Duration delay)
{
    linger_ = delay;
    return *this;
}

inline std::string Reply::head() const
{
    std::string head = "HTTP/1.1 " + std::to_string(status_) + ' ' + reason_ + "\r\n" + fields_;
    const bool framed = until_close_ || chunk_ != 0 || detail::has_no_body(status_);
    if (!framed && !Headers::from_lines(fields_).contains("Content-Length"))
        head += "Content-Length: " + std::to_string(body_.size()) + "\r\n";
    return head + "\r\n";
}

inline std::string Reply::framed_body() const
{
    return chunk_ == 0 ? body_ : detail::in_chunks(body_, chunk_);
}

KHIVE_TESTING_DECL std::string Reply::bytes(std::string_view method) const
{
    std::string all = before_;
    if (status_ != 0) all += head();
    if (method != "HEAD" || status_ == 0) all += framed_body();
    return all + behind_;
}

KHIVE_TESTING_DECL std::vector<PeerAction> Reply::actions(std::string_view method, bool close_asked) const
{
    using Kind = PeerAction::Kind;
    std::vector<PeerAction> actions;
    if (delay_ > Duration::zero()) actions.push_back({Kind::pause, {}, delay_});
    const std::string all = bytes(method).substr(0, cut_);
    for (std::size_t at = 0; at < all.size();) {
        if (at != 0) actions.push_back({Kind::pause, {}, interval_});
        const std::size_t size = std::min(at == 0 ? std::max(first_piece_, piece_) : piece_, all.size() - at);
        actions.push_back({Kind::send, all.substr(at, size), {}});
        at += size;
    }
    if (!injected_.empty()) actions.push_back({Kind::send, injected_, {}, true});
    if (linger_ > Duration::zero()) actions.push_back({Kind::pause, {}, linger_});
    const bool closes = close_asked || iequals(Headers::from_lines(fields_).get_or("Connection", ""), "close");
    switch (then_) {
    case Then::keep:
        if (closes && !all.empty()) actions.push_back({Kind::close, {}, {}});
        break;
    case Then::end: actions.push_back({Kind::end, {}, {}}); break;
    case Then::close: actions.push_back({Kind::close, {}, {}}); break;
    case Then::reset: actions.push_back({Kind::reset, {}, {}}); break;
    }
    return actions;
}

KHIVE_TESTING_DECL Reply ok(std::string body)
{
    return Reply(200, std::move(body));
}

KHIVE_TESTING_DECL Reply ok_json(std::string body)
{
    return Reply(200, std::move(body)).header("Content-Type", "application/json");
}

KHIVE_TESTING_DECL Reply status(unsigned code, const Headers& headers, std::string body)
{
    Reply reply(code, std::move(body));
    for (const auto field : headers) reply.header(field.name, field.value);
    return reply;
}

KHIVE_TESTING_DECL Reply too_many_requests(Duration retry_after)
{
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(retry_after);
    return Reply(429).header("Retry-After", std::to_string(seconds.count()));
}

KHIVE_TESTING_DECL Reply reset()
{
    return raw({}).then_reset();
}

KHIVE_TESTING_DECL Reply reset_after(std::size_t bytes, Reply reply)
{
    return reply.cut_after(bytes).then_reset();
}

KHIVE_TESTING_DECL Reply close_without_answer()
{
    return raw({}).then_close();
}

KHIVE_TESTING_DECL Reply no_answer()
{
    return raw({});
}

KHIVE_TESTING_DECL Reply delay(Duration duration, Reply reply)
{
    return reply.after(duration);
}

KHIVE_TESTING_DECL Reply trickle(Reply reply, std::size_t size, Duration interval)
{
    return reply.in_pieces(size, interval);
}

KHIVE_TESTING_DECL Reply raw(std::string bytes)
{
    return Reply::of_bytes(std::move(bytes));
}

} // namespace khive::inline KHIVE_ABI::testing

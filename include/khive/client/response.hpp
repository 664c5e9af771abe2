// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/detail/json_codec.hpp>
#include <khive/core/error.hpp>
#include <khive/core/headers.hpp>
#include <khive/core/ledger.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/result.hpp>
#include <khive/http/content.hpp>

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI {

namespace detail {

/// What a `Response` holds.
struct Answer {
    http::Content content;
    Ledger ledger; ///< its last attempt is the one that has got the answer
};

/// Keeps the memory for the next answer of the thread.
struct FreeAnswer {
    KHIVE_DECL void operator()(Answer* answer) const noexcept;
};
using AnswerPtr = Owned<Answer, FreeAnswer>;
[[nodiscard]] KHIVE_DECL AnswerPtr new_answer();
/// What a response without an answer says.
[[nodiscard]] KHIVE_DECL const Answer& no_answer() noexcept;

} // namespace detail

/// An answer, whole: status, headers, body, and the ledger of the attempts it took.
///
/// A pointer to all of that: coroutines that hold one stay small. Moved from, it is empty.
///
/// - Thread safety: as a standard value.
class Response {
public:
    Response() = default;

    [[nodiscard]] int status() const noexcept { return ledger().empty() ? 0 : ledger().back().status; }
    /// Status 200 to 299.
    [[nodiscard]] bool ok() const noexcept { return status() >= 200 && status() < 300; }
    [[nodiscard]] const Headers& headers() const noexcept { return answer().content.headers; }
    /// The first header of that name, or empty.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept { return headers().get_or(name, {}); }
    /// The body, valid until the answer it belongs to goes.
    [[nodiscard]] std::string_view body() const noexcept { return answer().content.body.view(); }
    /// A copy of the body.
    [[nodiscard]] std::string text() const { return std::string(body()); }
    /// The body as a `T`: as it is for `std::string`, else from JSON, for which `#include <khive/client/json.hpp>`. Throws
    /// `DecodeError`, which carries the answer.
    template <class T>
    [[nodiscard]] T as() const
    {
        auto value = try_as<T>();
        if (!value) value.error().raise();
        return std::move(*value);
    }
    /// The same without a throw.
    template <class T>
    [[nodiscard]] Result<T> try_as() const
    {
        auto value = detail::decode_body<T>(body());
        if (!value) return with_answer(value.error());
        return value;
    }
    /// From the call's start to the last byte, waits and failed attempts included.
    [[nodiscard]] Duration elapsed() const noexcept
    {
        return ledger().empty() ? Duration{} : ledger().back().started + ledger().back().elapsed - ledger()[0].started;
    }
    [[nodiscard]] const Ledger& ledger() const noexcept { return answer().ledger; }

    /// \name For the client
    /// @{
    /// Takes memory for an answer, unless it has some. What follows is for those that have.
    void prepare()
    {
        if (!answer_) answer_ = detail::new_answer();
    }
    /// Where headers and body go; they are there once the ledger has a status.
    [[nodiscard]] http::Content& content() noexcept { return answer_->content; }
    [[nodiscard]] Ledger& writable_ledger() noexcept { return answer_->ledger; }
    /// The error with what is known of the answer, and so much of the body.
    [[nodiscard]] KHIVE_DECL Error with_answer(Error error, std::size_t max_body = 4096) const;
    /// Without a ledger; memory stays, if there is some.
    void clear() noexcept
    {
        if (answer_) answer_->ledger.clear();
    }
    /// Gives the body's memory back.
    void release_body() noexcept
    {
        if (answer_) answer_->content.body.release();
    }
    /// Empties another and has its memory, if it has some.
    void take_memory(Response& other) noexcept
    {
        other.clear();
        if (other.answer_) answer_ = std::move(other.answer_);
    }
    /// @}

private:
    [[nodiscard]] const detail::Answer& answer() const noexcept { return answer_ ? *answer_ : detail::no_answer(); }

    detail::AnswerPtr answer_;
};

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/client/impl/response.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/response.hpp>
#include <khive/core/sanitizer.hpp>

#include <cstddef>
#include <iterator>

namespace khive::inline KHIVE_ABI {

namespace detail {

/// Answers that responses of this thread have given back, with the memory of their headers: one call after another costs no
/// allocation. Off under AddressSanitizer, which is to see who uses an answer after its end.
class AnswerCache {
public:
    AnswerCache() = default;
    AnswerCache(const AnswerCache&) = delete;
    AnswerCache& operator=(const AnswerCache&) = delete;
    ~AnswerCache()
    {
        gone() = true;
        while (count_ != 0) delete answers_[--count_];
    }

    [[nodiscard]] Answer* take() noexcept { return count_ == 0 ? nullptr : answers_[--count_]; }
    void keep(Answer* answer) noexcept
    {
        if (count_ == std::size(answers_)) return delete answer;
        answer->ledger.clear();
        answer->content.body.release();
        if (answer->content.headers.lines().capacity() > large) answer->content.headers = {};
        answers_[count_++] = answer;
    }
    /// Has this thread's cache been destroyed?
    static bool& gone() noexcept
    {
        static thread_local bool gone = false;
        return gone;
    }
    static AnswerCache& mine() noexcept
    {
        static thread_local AnswerCache cache;
        return cache;
    }

private:
    static constexpr std::size_t large = 1u << 10;
    Answer* answers_[16]{};
    std::size_t count_ = 0;
};

inline constexpr bool caches_answers = !KHIVE_ADDRESS_SANITIZER;

KHIVE_DECL void FreeAnswer::operator()(Answer* answer) const noexcept
{
    if (caches_answers && !AnswerCache::gone())
        AnswerCache::mine().keep(answer);
    else
        delete answer;
}

KHIVE_DECL AnswerPtr new_answer()
{
    Answer* answer = nullptr;
    if (caches_answers && !AnswerCache::gone()) answer = AnswerCache::mine().take();
    return AnswerPtr(answer != nullptr ? answer : new Answer);
}

KHIVE_DECL const Answer& no_answer() noexcept
{
    static const Answer none;
    return none;
}

} // namespace detail

KHIVE_DECL Error Response::with_answer(Error error, std::size_t max_body) const
{
    return std::move(error)
        .with_response(status(), headers(), std::string(body().substr(0, max_body)))
        .with_ledger(ledger())
        .with_elapsed(elapsed())
        .with_maybe_processed(true);
}

} // namespace khive::inline KHIVE_ABI

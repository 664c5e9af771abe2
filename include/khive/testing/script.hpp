// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/received_request.hpp>
#include <khive/testing/reply.hpp>

#include <cstddef>
#include <deque>
#include <functional>

namespace khive::inline KHIVE_ABI::testing {

/// Which reply a test's server gives: those queued, one for each request in the order of arrival, then what the handler says.
///
/// - Errors: a request beyond the end of a script without handler throws `std::logic_error` that shows it. An empty script
///   answers `ok()`.
/// - Thread safety: as a value.
class Script {
public:
    using Handler = std::function<Reply(const ReceivedRequest&)>;

    /// Appends a reply for one request.
    KHIVE_TESTING_DECL void add(Reply reply);
    /// Answers what the queue does not.
    KHIVE_TESTING_DECL void otherwise(Handler handler);
    [[nodiscard]] KHIVE_TESTING_DECL Reply reply_to(const ReceivedRequest& request);
    /// How many queued replies have not been given.
    [[nodiscard]] std::size_t left() const noexcept { return queue_.size(); }

private:
    std::deque<Reply> queue_;
    Handler handler_;
    bool scripted_ = false;
};

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/script.ipp>
#endif

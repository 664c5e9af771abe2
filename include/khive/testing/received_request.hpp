// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>
#include <khive/core/time.hpp>
#include <khive/testing/config.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace khive::inline KHIVE_ABI::testing {

/// A request as a test's server received it, for handlers and for assertions.
struct ReceivedRequest {
    std::string method;
    std::string target;
    std::string version; ///< "HTTP/1.1"
    Headers headers;
    std::string body;             ///< without its framing
    std::uint64_t connection = 0; ///< which connection it came on, counted from 1
    std::uint64_t number = 0;     ///< which request of the server it is, counted from 1
    TimePoint time{};             ///< when it was complete: virtual time in a simulation

    /// The path without the query.
    [[nodiscard]] std::string path() const { return target.substr(0, target.find('?')); }
    /// The client wants the connection closed after the answer.
    [[nodiscard]] KHIVE_TESTING_DECL bool close_asked() const;
};

/// Cuts a stream of bytes into requests: head, and a body by Content-Length or in chunks. A machine without I/O.
///
/// It takes what comes and checks little; it is for seeing what a client sent, not for serving the world.
///
/// - Errors: `next` throws `std::runtime_error` for bytes that are no request.
class RequestReader {
public:
    void feed(std::string_view bytes) { buffer_.append(bytes); }
    /// Puts the next complete request into `request`; false if it needs more bytes.
    [[nodiscard]] KHIVE_TESTING_DECL bool next(ReceivedRequest& request);
    /// What has not become a request yet.
    [[nodiscard]] const std::string& rest() const noexcept { return buffer_; }

private:
    std::string buffer_;
};

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/received_request.ipp>
#endif

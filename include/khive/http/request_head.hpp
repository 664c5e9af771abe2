// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>
#include <khive/core/result.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::http {

/// How long the body of a request is.
struct BodyLength {
    bool has_body = false;
    std::size_t size = 0; ///< zero where there is none
};

/// Appends what `write_request_head` gives; nothing where it fails.
[[nodiscard]] KHIVE_DECL Error append_request_head(std::string& head, std::string_view method, std::string_view target,
                                                   std::string_view host_header, const Headers& fields, BodyLength body);

/// The bytes of a request up to its body: request line, `Host`, the fields as given, `Content-Length`, empty line.
///
/// `content_length` is empty where there is no body; methods that expect one then say `Content-Length: 0`. A `Host` in
/// `fields` replaces `host_header`.
///
/// - Errors: `invalid_argument`, before any byte is made, for a method that is no token; a target or host with a
///   space, control byte or non-ASCII byte; fields that are not well-formed; a second `Host`; fields that are the
///   transport's to decide: `Transfer-Encoding`, `TE`, `Trailer`, `Upgrade`, a `Connection` that says more than
///   `close` or `keep-alive`, a `Content-Length` other than the true one.
/// - Complexity: linear, one allocation.
template <class Head = std::string, class Length = std::size_t>
[[nodiscard]] Result<Head> write_request_head(std::string_view method, std::string_view target, std::string_view host_header,
                                              const Headers& fields,
                                              const std::optional<std::type_identity_t<Length>>& content_length)
{
    Head head;
    const BodyLength body{content_length.has_value(), content_length.value_or(0)};
    Error error = append_request_head(head, method, target, host_header, fields, body);
    return result_of(std::move(error), std::move(head));
}

/// Does the request say that nothing follows it on its connection (`Connection: close`, RFC 9112 section 9.6)?
[[nodiscard]] KHIVE_DECL bool says_close(const Headers& fields);

} // namespace khive::inline KHIVE_ABI::http

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/http/impl/request_head.ipp>
#endif

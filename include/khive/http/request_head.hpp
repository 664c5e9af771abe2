// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>
#include <khive/core/result.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace khive::inline KHIVE_ABI::http {

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
[[nodiscard]] KHIVE_DECL Result<std::string> write_request_head(std::string_view method, std::string_view target,
                                                                std::string_view host_header, const Headers& fields,
                                                                const std::optional<std::size_t>& content_length);

/// Does the request say that nothing follows it on its connection (`Connection: close`, RFC 9112 section 9.6)?
[[nodiscard]] KHIVE_DECL bool says_close(const Headers& fields);

} // namespace khive::inline KHIVE_ABI::http

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/http/impl/request_head.ipp>
#endif

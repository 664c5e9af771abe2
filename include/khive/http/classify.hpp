// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error.hpp>
#include <khive/core/headers.hpp>
#include <khive/core/outcome.hpp>

#include <chrono>
#include <string>
#include <string_view>

namespace khive::inline KHIVE_ABI::http {

/// The phrase that belongs to a status, from RFC 9110 and its kin; the class of the status for others, never empty.
[[nodiscard]] KHIVE_COLD_DECL std::string_view status_text(int status) noexcept;

/// May the same request later get another answer: 408, 425, 429, 500, 502, 503, 504? `x-should-retry: true` or `false` in an
/// answer with status 400 or more overrides.
[[nodiscard]] KHIVE_COLD_DECL bool is_retryable_status(int status, const Headers& headers) noexcept;

/// May a server that answers this have acted on the request all the same?
///
/// True for 408 and for 5xx, which also come from a gateway that lost sight of the request; false for 501 and 505 and for
/// every other status, which mean that it was answered or refused as a whole: 429 and 425 refuse before acting.
[[nodiscard]] KHIVE_COLD_DECL bool may_have_acted(int status) noexcept;

/// What an answer says to the policies.
///
/// Replay is unsafe only where `may_have_acted(status)` and the request is not safe to replay: a POST may be repeated after
/// 429, not after 503.
[[nodiscard]] KHIVE_COLD_DECL Outcome classify_status(int status, const Headers& headers, bool replay_safe,
                                                      std::chrono::system_clock::time_point wall_now);

/// The error for an answer with status 400 or more. Its `outcome()` equals that of `classify_status`; its
/// `maybe_processed()` is true exactly where replay is unsafe.
[[nodiscard]] KHIVE_COLD_DECL Error make_status_error(int status, Headers headers, std::string body_excerpt,
                                                      bool replay_safe, std::chrono::system_clock::time_point wall_now);

} // namespace khive::inline KHIVE_ABI::http

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/http/impl/classify.ipp>
#endif

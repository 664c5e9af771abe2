// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/secret.hpp>

#include <string>
#include <string_view>

namespace khive::inline KHIVE_ABI::detail {

/// The value of `Authorization` for basic authentication (RFC 7617).
[[nodiscard]] KHIVE_COLD_DECL std::string basic_credentials(std::string_view user, const Secret& password);

inline constexpr const char* no_colon_in_user = "a user name for basic authentication must not have a colon (RFC 7617)";

} // namespace khive::inline KHIVE_ABI::detail

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/client/impl/basic_auth.ipp>
#endif

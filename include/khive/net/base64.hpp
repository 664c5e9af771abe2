// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <string>
#include <string_view>

namespace khive::inline KHIVE_ABI::net {

/// Base64 with padding, by OpenSSL (RFC 4648 section 4).
[[nodiscard]] KHIVE_DECL std::string base64(std::string_view bytes);

} // namespace khive::inline KHIVE_ABI::net

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/net/impl/base64.ipp>
#endif

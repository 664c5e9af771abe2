// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>

#include <string_view>

namespace khive::inline KHIVE_ABI::http {

/// May `method` travel in a request line? Methods are tokens, their case counts (RFC 9110 section 9.1).
[[nodiscard]] inline bool is_valid_method(std::string_view method) noexcept
{
    return is_token(method);
}

/// Is doing it twice the same as doing it once (RFC 9110 section 9.2.2; QUERY from its own draft)?
[[nodiscard]] constexpr bool is_idempotent(std::string_view method) noexcept
{
    constexpr std::string_view idempotent[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "QUERY"};
    for (const auto known : idempotent)
        if (method == known) return true;
    return false;
}

/// Is a body part of what the method means, so that `Content-Length: 0` is sent where there is none (RFC 9110 section 8.6)?
[[nodiscard]] constexpr bool expects_body(std::string_view method) noexcept
{
    return method == "POST" || method == "PUT" || method == "PATCH";
}

} // namespace khive::inline KHIVE_ABI::http

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>
#include <khive/http/method.hpp>

#include <string_view>

namespace khive::inline KHIVE_ABI::http {

/// May the request be sent again although the server may have acted on it: an idempotent method, or an `Idempotency-Key`?
[[nodiscard]] inline bool is_replay_safe(std::string_view method, const Headers& fields) noexcept
{
    return is_idempotent(method) || !fields.get_or("Idempotency-Key", {}).empty();
}

} // namespace khive::inline KHIVE_ABI::http

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace khive::inline KHIVE_ABI::http::detail {

/// What the head of an answer says about framing and reuse.
struct ResponseHead {
    int status = 0;
    int version = 0; ///< 10 or 11
    std::size_t fields = 0;
    std::uint64_t length = 0; ///< if `has_length`
    bool has_length = false;
    bool chunked = false;
    bool says_close = false;
    bool says_keep_alive = false;
    bool has_keep_alive_max = false;
    std::optional<Duration> keep_alive_timeout;
    unsigned keep_alive_max = 0;
    std::string_view problem; ///< why it cannot be used; empty if it can
};

} // namespace khive::inline KHIVE_ABI::http::detail

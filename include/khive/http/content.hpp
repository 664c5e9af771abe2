// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/byte_buffer.hpp>
#include <khive/core/headers.hpp>

namespace khive::inline KHIVE_ABI::http {

/// What an answer brings, without its status.
struct Content {
    Headers headers;
    ByteBuffer body;
};

} // namespace khive::inline KHIVE_ABI::http

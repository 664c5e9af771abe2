// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/time.hpp>

namespace khive::inline KHIVE_ABI {

/// Limits on stages of making a connection.
struct DialTimeouts {
    Duration resolve = std::chrono::seconds{5};       ///< looking up the name. > 0
    Duration connect = std::chrono::seconds{5};       ///< TCP connect, all addresses together. > 0
    Duration tls_handshake = std::chrono::seconds{5}; ///< TLS handshake. > 0
};

} // namespace khive::inline KHIVE_ABI

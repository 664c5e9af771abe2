// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/net/wire.hpp>

#include <cstddef>
#include <cstdint>

namespace khive::inline KHIVE_ABI::net::detail {

enum class WireEvent : std::uint8_t { connected, written, read, readable };

inline void tell(WireListener& listener, WireEvent event, boost::system::error_code error, std::size_t bytes)
{
    switch (event) {
    case WireEvent::connected: return listener.on_connected(error);
    case WireEvent::written: return listener.on_written(error, bytes);
    case WireEvent::read: return listener.on_read(error, bytes);
    case WireEvent::readable: return listener.on_readable(error);
    }
}

} // namespace khive::inline KHIVE_ABI::net::detail

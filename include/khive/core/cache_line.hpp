// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <cstddef>

namespace khive::inline KHIVE_ABI {

/// What cores of a processor pass on at a time. What threads share begins on such a border and keeps what every call
/// writes in as few lines as it can. Not `std::hardware_destructive_interference_size`, which changes with compiler options.
inline constexpr std::size_t cache_line = 64;

} // namespace khive::inline KHIVE_ABI

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/random.hpp>

#include <system_error>

#include <sys/random.h>
#include <unistd.h>

namespace khive::inline KHIVE_ABI {
namespace detail {

/// Not `std::random_device`: <random> would cost each program a twentieth of its compile time.
inline std::uint64_t system_seed()
{
    std::uint64_t seed = 0;
    if (::getentropy(&seed, sizeof seed) != 0) throw std::system_error(errno, std::generic_category(), "getentropy");
    return seed;
}

} // namespace detail

KHIVE_DECL Random::Random() : Random(detail::system_seed()) {}

} // namespace khive::inline KHIVE_ABI

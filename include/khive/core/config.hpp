// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/version.hpp>

/// Define KHIVE_SEPARATE_COMPILATION for every translation unit and include `khive/src.hpp` in exactly one of
/// them (the CMake target `khive::compiled` does both) to compile the bodies of non-templates once.
#if defined(KHIVE_SEPARATE_COMPILATION)
#define KHIVE_DECL
#define KHIVE_ABI KHIVE_ABI_OF(v0_1_compiled)
#else
#define KHIVE_DECL inline
#define KHIVE_ABI KHIVE_ABI_OF(v0_1)
#endif

/// Of what a program runs once or when something has failed, on which the optimiser is to spend less time and space.
#if defined(__GNUC__)
#define KHIVE_COLD_DECL __attribute__((cold)) KHIVE_DECL
#else
#define KHIVE_COLD_DECL KHIVE_DECL
#endif

/// Other bodies, other names: see `core/yield_point.hpp`.
#if defined(KHIVE_YIELD_POINTS)
#define KHIVE_ABI_OF(name) name##_yielding
#elif defined(KHIVE_ASIO_SOCKETS) // see async/has_epoll.hpp
#define KHIVE_ABI_OF(name) name##_asio_sockets
#else
#define KHIVE_ABI_OF(name) name
#endif

/// `KHIVE_ABI` is an inline namespace: translation units that disagree on a macro which changes the meaning of a
/// type fail to link instead of breaking the one-definition rule in silence.
namespace khive::inline KHIVE_ABI {
}

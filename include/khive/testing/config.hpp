// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

/// The testing kit is header-only whichever way khive itself is built. A program with many test files may compile its bodies
/// once: define KHIVE_TESTING_SEPARATE_COMPILATION everywhere and include `khive/testing/src.hpp` in exactly one file.
#if defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#define KHIVE_TESTING_DECL
#else
#define KHIVE_TESTING_DECL inline
#endif

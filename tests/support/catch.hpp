// SPDX-License-Identifier: BSL-1.0
#pragma once

// Catch2 2 (Debian 12) and 3 (newer systems) behind one name; tests keep to what both have.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
namespace khive_tests {
inline auto contains(const std::string& text) { return Catch::Matchers::ContainsSubstring(text); }
} // namespace khive_tests
#else
#include <catch2/catch.hpp>
namespace khive_tests {
inline auto contains(const std::string& text) { return Catch::Matchers::Contains(text); }
} // namespace khive_tests
#endif

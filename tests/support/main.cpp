// SPDX-License-Identifier: BSL-1.0
// The main function of the tests where Catch2 comes without a library that has one.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

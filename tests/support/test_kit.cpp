// SPDX-License-Identifier: BSL-1.0
// The bodies of khive::testing, once for all tests.
#include <khive/testing/src.hpp>

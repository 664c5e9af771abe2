// SPDX-License-Identifier: BSL-1.0
// The one translation unit of khive::compiled.
#include <khive/src.hpp>

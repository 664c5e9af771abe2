// SPDX-License-Identifier: BSL-1.0
#pragma once

/// `std::min`, `std::max` and `std::copy`, which is all that the path of a call wants of `<algorithm>`. With the rest of it, above
/// all that of `std::ranges`, a program that includes khive takes 13 MB more to compile.
#if __has_include(<bits/stl_algobase.h>)
#include <bits/stl_algobase.h> // of libstdc++
#else
#include <algorithm>
#endif

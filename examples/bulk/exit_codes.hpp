// SPDX-License-Identifier: BSL-1.0
#pragma once

namespace bulk {

inline constexpr int exit_ok = 0;
inline constexpr int exit_some_failed = 1;
inline constexpr int exit_usage = 2; ///< also an input that cannot be read and an output that cannot be written
inline constexpr int exit_interrupted = 130;

} // namespace bulk

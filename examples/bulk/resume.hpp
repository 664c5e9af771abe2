// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "id_set.hpp"

#include <string>

namespace bulk {

/// The lines that the output of an earlier run says are done: they succeeded, or failed in a way that will not pass.
///
/// Ends the last line if it was cut short: by a line end if it is whole, by cutting it off if not. Throws `std::runtime_error` for
/// any other line that is no result: it may be the wrong file.
[[nodiscard]] IdSet read_finished(const std::string& path);

} // namespace bulk

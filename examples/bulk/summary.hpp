// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "client.hpp"
#include "tally.hpp"

namespace bulk {

/// What the run has come to, as a table on standard error.
void print_summary(const Tally& tally, const Client& client);

} // namespace bulk

// SPDX-License-Identifier: BSL-1.0
#include "border.hpp"

#include <khive/khive.hpp>

khive::Headers default_headers()
{
    khive::Headers headers;
    headers.add("Accept", "application/json");
    return headers;
}

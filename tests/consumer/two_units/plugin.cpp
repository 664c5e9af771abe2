// SPDX-License-Identifier: BSL-1.0
#include "border.hpp"

#include <khive/khive.hpp>

void add_bad_header(khive::Headers& headers)
{
    headers.add("X-Injected", "a\r\nEvil: yes");
}

boost::system::error_code timed_out()
{
    return make_error_code(khive::ErrorKind::timeout);
}

// SPDX-License-Identifier: BSL-1.0
#include "border.hpp"

#include <khive/khive.hpp>

#include <iostream>

bool catches_across_the_border(khive::Headers headers)
{
    try {
        add_bad_header(headers);
    } catch (const khive::InvalidArgumentError& error) {
        std::cout << "as expected: " << error.what() << '\n';
        return true;
    }
    return false;
}

int main()
{
    const bool same_category = timed_out() == make_error_code(khive::ErrorKind::timeout);
    return catches_across_the_border(default_headers()) && same_category ? 0 : 1;
}

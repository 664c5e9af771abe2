// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>

#include <boost/system/error_code.hpp>

/// In second.cpp: another translation unit of the program.
khive::Headers default_headers();

/// In plugin.cpp: throws `khive::InvalidArgumentError`.
[[gnu::visibility("default")]] void add_bad_header(khive::Headers& headers);
/// In plugin.cpp: an error of khive as plain Asio code sees it.
[[gnu::visibility("default")]] boost::system::error_code timed_out();

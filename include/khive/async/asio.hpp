// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

namespace khive::inline KHIVE_ABI {

/// Boost.Asio under the short name that khive's documentation uses.
namespace asio = boost::asio;

} // namespace khive::inline KHIVE_ABI

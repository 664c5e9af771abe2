// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "options.hpp"

#include <khive/client/async_api_client.hpp>

#include <boost/asio/io_context.hpp>

#include <cstdint>
#include <memory>
#include <string>

namespace bulk {

namespace asio = boost::asio;

/// The client of a run, and handles to those of its policies that are looked at.
struct Client {
    khive::AnyAPIClient api;
    khive::AsyncExecutor executor;
    khive::CircuitBreaker breaker;
    std::shared_ptr<const std::uint64_t> retries; ///< so far
    std::shared_ptr<const std::uint64_t> outages; ///< how often the circuit has opened
};

/// Throws khive's errors for settings that cannot be, and `std::runtime_error` for a missing token.
[[nodiscard]] Client make_client(asio::io_context& io, const Options& options, const std::string& base_url);

} // namespace bulk

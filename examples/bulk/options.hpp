// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/time.hpp>
#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include <chrono>
#include <cstddef>
#include <string>
#include <variant>
#include <vector>

namespace bulk {

/// What to do with an input line that is no request.
enum class BadLines {
    report, ///< write an error result and go on
    skip,   ///< count it and go on
    stop,   ///< write an error result, finish what is under way, and end
};

/// What the command line says.
struct Options {
    std::string input = "-";  ///< "-" is standard input
    std::string output = "-"; ///< "-" is standard output
    bool resume = false;
    bool overwrite = false;
    bool quiet = false;
    bool demo = false;
    BadLines bad_lines = BadLines::report;
    std::size_t max_line = 1u << 20;
    std::size_t max_body = 16u << 20;

    std::string base_url;
    std::vector<std::string> headers; ///< "Name: value"
    std::string auth_env;
    std::string ca_file;

    khive::TokenBucketOptions limiter{.rate = 20};
    khive::AsyncExecutorOptions executor{.max_concurrency = 16};
    khive::CircuitBreakerOptions breaker{.consecutive_failures = 10, .open_for = std::chrono::seconds{10}};
    khive::RetryOptions retry{.max_attempts = 4};
    khive::Duration timeout = khive::unlimited;                       ///< of a call, waits and all attempts included
    khive::Duration attempt_timeout = std::chrono::seconds{30};       ///< of one attempt
    khive::Duration max_outage = std::chrono::minutes{5};             ///< how long a line waits for an open circuit

    /// How many lines are worked on at once. More than there are slots, because a line that waits before its next attempt holds
    /// none; fewer where the rate would keep the last of them waiting for longer than its timeout allows.
    [[nodiscard]] std::size_t max_calls() const;
};

/// The options, or the exit code of a program that has nothing more to do.
[[nodiscard]] std::variant<Options, int> parse_options(int argc, const char* const* argv);

} // namespace bulk

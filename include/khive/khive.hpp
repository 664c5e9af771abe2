// SPDX-License-Identifier: BSL-1.0
#pragma once

/// Everything but what costs an include of another library: add `khive/client/json.hpp` for JSON and
/// `khive/client/logging.hpp` for spdlog.
#include <khive/client/async_api_client.hpp>
#include <khive/core/exceptions.hpp>
#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/null_policies.hpp>
#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

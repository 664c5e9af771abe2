// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>
#include <khive/core/time.hpp>

#include <cstdint>
#include <optional>

namespace khive::inline KHIVE_ABI {

/// What an attempt says about the health of the other side.
enum class Verdict : std::uint8_t {
    success,   ///< it works: an answer, also one that says the request was wrong (4xx)
    failure,   ///< it does not: look-up, connect, TLS, a broken connection or answer, a timeout (not one in our
               ///< own queue), 5xx except 501 and 505
    throttled, ///< it works but wants less: 429. A signal for limiters, not for breakers
    neutral,   ///< says nothing: cancelled by the caller, refused locally, invalid argument
};

namespace detail {

/// Is it the server that failed: 5xx, except 501 and 505, which say that it never does this?
[[nodiscard]] constexpr bool is_server_failure(int status) noexcept
{
    return status >= 500 && status != 501 && status != 505;
}

[[nodiscard]] constexpr Verdict verdict_of_status(int status) noexcept
{
    if (status == 429) return Verdict::throttled;
    return is_server_failure(status) ? Verdict::failure : Verdict::success;
}

} // namespace detail

/// May the attempt be repeated without doing something twice?
enum class ReplaySafety : std::uint8_t {
    unsafe, ///< the server may have acted on it, and acting twice is not the same as once
    safe,   ///< the method is idempotent, a key makes it so, or the server never saw it
};

/// What policies need to know about an attempt that ended; it knows nothing of HTTP.
struct Outcome {
    Verdict verdict = Verdict::success;
    bool retryable = false;                              ///< the same attempt later may end differently
    ReplaySafety replay = ReplaySafety::safe;            ///< may it be repeated
    std::optional<Duration> retry_after = std::nullopt;  ///< what the other side asks for; never negative
};

} // namespace khive::inline KHIVE_ABI

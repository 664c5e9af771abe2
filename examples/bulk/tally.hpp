// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "effort.hpp"
#include "histogram.hpp"

#include <khive/core/error.hpp>

#include <cstdint>
#include <map>
#include <string>

namespace bulk {

/// What a run has done so far. Its size does not grow with the number of lines.
struct Tally {
    khive::TimePoint started{};
    std::uint64_t lines = 0;     ///< read
    std::uint64_t skipped = 0;   ///< finished by an earlier run
    std::uint64_t bad = 0;       ///< were no request
    std::uint64_t succeeded = 0;
    std::uint64_t failed = 0;    ///< bad lines included, unless they are left out of the output
    std::uint64_t unfinished = 0; ///< interrupted: not in the output
    std::uint64_t attempts = 0;
    std::uint64_t throttled = 0; ///< attempts answered with 429
    std::map<std::string, std::uint64_t> errors;
    Histogram calls;             ///< from taking the line to its result
    Histogram answers;           ///< from sending to the last byte, of each attempt that was answered

    [[nodiscard]] std::uint64_t done() const noexcept { return succeeded + failed; }

    void add_failure(const khive::Error& error);
    /// Takes note of the attempts of one call.
    void add_attempts(const khive::Ledger& ledger) noexcept;
};

/// How errors are counted: `status 404`, `timeout (attempt)`, `connect`.
[[nodiscard]] inline std::string name_of(const khive::Error& error)
{
    std::string name(khive::to_string(error.kind()));
    if (error.kind() == khive::ErrorKind::status) name += " " + std::to_string(error.status());
    if (error.timer() != khive::Timer::none) name.append(" (").append(khive::to_string(error.timer())).append(")");
    return name;
}

inline void Tally::add_failure(const khive::Error& error)
{
    ++failed;
    ++errors[name_of(error)];
}

inline void Tally::add_attempts(const khive::Ledger& ledger) noexcept
{
    for (std::size_t at = 0; at < ledger.size(); ++at) {
        const khive::Attempt& attempt = ledger[at];
        if (attempt.status != 0) answers.record(attempt.write + attempt.first_byte + attempt.body);
        throttled += attempt.status == 429 ? 1 : 0;
    }
}

} // namespace bulk

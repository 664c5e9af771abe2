// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/request.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace bulk {

/// One line of the input: a request, or why it is none.
struct Job {
    std::uint64_t line = 0;
    std::string id = "null"; ///< as JSON
    khive::Request request;
    bool replay_safe = true; ///< doing it twice is the same as doing it once
    std::optional<khive::Error> mistake;
};

/// Reads a line; whatever is wrong with it becomes the job's mistake, `invalid_argument`.
[[nodiscard]] Job parse_job(std::string_view text, std::uint64_t line);

/// The mistake of a line.
[[nodiscard]] khive::Error bad_line(std::uint64_t line, const std::string& problem);

} // namespace bulk

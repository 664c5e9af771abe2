// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "effort.hpp"
#include "job.hpp"

#include <khive/client/response.hpp>

#include <string>

namespace bulk {

/// The result of a line as a line of JSON.
[[nodiscard]] std::string format_result(const Job& job, const Effort& effort, const khive::Response& response);
[[nodiscard]] std::string format_result(const Job& job, const Effort& effort, const khive::Error& error);

/// Is there no point in, or no safe way of, sending the line again? `--resume` leaves it out then.
[[nodiscard]] bool is_final(const Job& job, const khive::Error& error) noexcept;

} // namespace bulk

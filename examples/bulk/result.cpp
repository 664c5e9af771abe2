// SPDX-License-Identifier: BSL-1.0
#include "result.hpp"

#include <khive/core/headers.hpp>
#include <khive/net/base64.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <charconv>

namespace bulk {
namespace {

/// Text as JSON; what is not UTF-8 is replaced.
std::string json_text(std::string_view text)
{
    return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string milliseconds(khive::Duration duration)
{
    std::array<char, 32> digits{};
    const double value = khive::to_seconds(duration) * 1e3;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed, 3).ptr;
    return {digits.data(), end};
}

void append(std::string& line, std::string_view name, std::string_view value)
{
    line.append(", \"").append(name).append("\": ").append(value);
}

std::string format_waits(const Effort& effort)
{
    std::string waits = "{\"rate_ms\": " + milliseconds(effort.rate_wait);
    append(waits, "slot_ms", milliseconds(effort.slot_wait));
    append(waits, "pool_ms", milliseconds(effort.pool_wait));
    append(waits, "backoff_ms", milliseconds(effort.backoff));
    return waits += '}';
}

std::string begin_line(const Job& job, const Effort& effort, int status)
{
    std::string line = "{\"id\": " + job.id;
    append(line, "line", std::to_string(job.line));
    if (status != 0) append(line, "status", std::to_string(status));
    append(line, "attempts", std::to_string(effort.attempts));
    append(line, "elapsed_ms", milliseconds(effort.elapsed));
    append(line, "waits", format_waits(effort));
    return line;
}

/// A body that says it is JSON, and is. Its bytes are kept, so that no number loses a digit; line ends in it can only be white
/// space.
bool append_json(std::string& line, std::string_view body, const khive::Headers& headers)
{
    const std::string_view type = headers.get_or("Content-Type", "json");
    if (type.find("json") == std::string_view::npos || body.starts_with("\xef\xbb\xbf")) return false;
    if (!nlohmann::json::accept(body)) return false;
    std::string text(body);
    std::replace_if(text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    append(line, "body", khive::trim(text));
    return true;
}

void append_body(std::string& line, std::string_view body, const khive::Headers& headers)
{
    if (body.empty() || append_json(line, body, headers)) return;
    try {
        append(line, "body", nlohmann::json(body).dump());
        append(line, "encoding", "\"text\"");
    } catch (const nlohmann::json::type_error&) { // not UTF-8
        append(line, "body", '"' + khive::net::base64(body) + '"');
        append(line, "encoding", "\"base64\"");
    }
}

std::string format_error(const khive::Error& error, bool final)
{
    std::string text = "{\"kind\": " + json_text(khive::to_string(error.kind()));
    append(text, "message", json_text(error.message()));
    append(text, "retryable", error.retryable() ? "true" : "false");
    append(text, "final", final ? "true" : "false");
    append(text, "maybe_processed", error.maybe_processed() ? "true" : "false");
    if (const auto delay = error.retry_after()) append(text, "retry_after_ms", milliseconds(*delay));
    return text += '}';
}

} // namespace

std::string format_result(const Job& job, const Effort& effort, const khive::Response& response)
{
    std::string line = begin_line(job, effort, response.status());
    append_body(line, response.body(), response.headers());
    return line += "}\n";
}

std::string format_result(const Job& job, const Effort& effort, const khive::Error& error)
{
    std::string line = begin_line(job, effort, error.status());
    append(line, "error", format_error(error, is_final(job, error)));
    append_body(line, error.body(), error.headers());
    return line += "}\n";
}

bool is_final(const Job& job, const khive::Error& error) noexcept
{
    if (error.maybe_processed() && !job.replay_safe) return true;
    switch (error.kind()) {
    case khive::ErrorKind::timeout:
    case khive::ErrorKind::circuit_open:
    case khive::ErrorKind::queue_full:
    case khive::ErrorKind::cancelled:
    case khive::ErrorKind::closed: return false;
    default: return !error.retryable();
    }
}

} // namespace bulk

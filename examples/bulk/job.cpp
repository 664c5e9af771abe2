// SPDX-License-Identifier: BSL-1.0
#include "job.hpp"

#include <khive/core/headers.hpp>
#include <khive/http/method.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <stdexcept>

namespace bulk {
namespace {

using nlohmann::json;

/// A field that does not fit.
[[noreturn]] void wrong(std::string_view field, const char* rule)
{
    throw std::invalid_argument(khive::escape_untrusted(field) + ": " + rule);
}

std::string text_of(const json& value, std::string_view field)
{
    if (!value.is_string()) wrong(field, "must be a string");
    return value.get<std::string>();
}

void check_fields(const json& line)
{
    constexpr std::array<std::string_view, 7> known{"id", "method", "path", "query", "headers", "body", "cost"};
    if (!line.is_object()) throw std::invalid_argument("must be a JSON object");
    for (const auto& [name, value] : line.items())
        if (std::find(known.begin(), known.end(), name) == known.end()) wrong(name, "is no field of a request");
}

/// Values are copied and written by recursion, so that a line must not nest without end; a NUL byte would count as its end.
json parse_line(std::string_view text)
{
    constexpr int max_depth = 500;
    if (text.find('\0') != std::string_view::npos) throw std::invalid_argument("has a NUL byte");
    return json::parse(text, [](int depth, json::parse_event_t, const json&) {
        if (depth > max_depth) throw std::invalid_argument("nests too deep");
        return true;
    });
}

std::string read_id(const json& line)
{
    const auto id = line.find("id");
    if (id == line.end() || id->is_null()) return "null";
    if (!id->is_string() && !id->is_number_integer()) wrong("id", "must be a string or an integer");
    return id->dump();
}

void start_request(Job& job, const json& line)
{
    const auto path = line.find("path");
    if (path == line.end()) wrong("path", "is missing");
    const std::string method = line.contains("method") ? text_of(line["method"], "method") : "GET";
    job.request = khive::Request(method, text_of(*path, "path"));
    job.replay_safe = khive::http::is_idempotent(method);
}

void add_query(khive::Request& request, const std::string& key, const json& value)
{
    if (value.is_null()) return;
    if (value.is_array())
        for (const auto& item : value) add_query(request, key, item);
    else if (value.is_string())
        request.query(key, value.get_ref<const std::string&>());
    else if (value.is_object())
        wrong("query", "an object cannot be a value");
    else
        request.query(key, value.dump());
}

void add_queries(khive::Request& request, const json& query)
{
    if (!query.is_object()) wrong("query", "must be an object");
    for (const auto& [key, value] : query.items()) add_query(request, key, value);
}

void add_headers(Job& job, const json& headers)
{
    if (!headers.is_object()) wrong("headers", "must be an object");
    for (const auto& [name, value] : headers.items()) {
        job.request.header(name, text_of(value, name));
        if (khive::iequals(name, "Idempotency-Key")) job.replay_safe = true;
    }
}

void add_body(khive::Request& request, const json& body)
{
    if (body.is_string())
        request.body(body.get<std::string>(), "text/plain; charset=utf-8");
    else
        request.body(body.dump(), "application/json");
}

void fill_request(Job& job, const json& line)
{
    if (const auto query = line.find("query"); query != line.end()) add_queries(job.request, *query);
    if (const auto headers = line.find("headers"); headers != line.end()) add_headers(job, *headers);
    if (const auto body = line.find("body"); body != line.end()) add_body(job.request, *body);
    if (const auto cost = line.find("cost"); cost != line.end()) {
        if (!cost->is_number()) wrong("cost", "must be a number");
        job.request.cost(cost->get<double>());
    }
}

} // namespace

khive::Error bad_line(std::uint64_t line, const std::string& problem)
{
    return khive::Error{khive::ErrorKind::invalid_argument}.with_message("input line " + std::to_string(line) + ": " + problem);
}

Job parse_job(std::string_view text, std::uint64_t line)
{
    Job job;
    job.line = line;
    try {
        const json fields = parse_line(text);
        if (fields.is_object()) job.id = read_id(fields);
        check_fields(fields);
        start_request(job, fields);
        fill_request(job, fields);
    } catch (const json::parse_error& error) {
        job.mistake = bad_line(line, "is no JSON; the problem is at byte " + std::to_string(error.byte));
    } catch (const std::exception& error) {
        job.mistake = bad_line(line, khive::escape_untrusted(error.what()));
    }
    return job;
}

} // namespace bulk

// SPDX-License-Identifier: BSL-1.0
//
// JSON and errors.

#include "allocations.hpp"

#include <khive/client/json.hpp>
#include <khive/core/exceptions.hpp>

#include <benchmark/benchmark.h>

#include <chrono>
#include <string>

namespace {

using namespace khive;
using namespace std::chrono_literals;

struct User {
    int id = 42;
    std::string name = "Ada Lovelace";
    std::string email = "ada@example.com";
    bool active = true;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(User, id, name, email, active)

void json_encode(benchmark::State& state)
{
    const User user;
    micro::repeat(state, [&] { benchmark::DoNotOptimize(JsonCodec<User>::encode(user)); });
}
BENCHMARK(json_encode);

void json_decode(benchmark::State& state)
{
    const std::string text = JsonCodec<User>::encode(User{}).value();
    micro::repeat(state, [&] { benchmark::DoNotOptimize(JsonCodec<User>::decode(text)); });
}
BENCHMARK(json_decode);

void json_decode_error(benchmark::State& state)
{
    micro::repeat(state, [] { benchmark::DoNotOptimize(JsonCodec<User>::decode(R"({"id": 42)")); });
}
BENCHMARK(json_decode_error);

Error refusal()
{
    return Error{ErrorKind::rate_limited}.with_retry_after(2s).with_retryable(true);
}

Error status_error()
{
    Headers headers = Headers::from_lines("Retry-After: 2\r\n");
    return Error{ErrorKind::status}
        .with_request("GET", "https://api.example.com/v1/users/42")
        .with_response(503, std::move(headers), R"({"error":"try later"})");
}

void error_refusal(benchmark::State& state)
{
    micro::repeat(state, [] { benchmark::DoNotOptimize(Result<int>(refusal())); });
}
BENCHMARK(error_refusal);

void error_of_status(benchmark::State& state)
{
    micro::repeat(state, [] { benchmark::DoNotOptimize(Result<int>(status_error())); });
}
BENCHMARK(error_of_status);

void error_thrown_and_caught(benchmark::State& state)
{
    const Error error = refusal();
    micro::repeat(state, [&] {
        try {
            error.raise();
        } catch (const APIClientError& caught) {
            benchmark::DoNotOptimize(caught.error().kind());
        }
    });
}
BENCHMARK(error_thrown_and_caught);

void error_message(benchmark::State& state)
{
    const Error error = status_error();
    micro::repeat(state, [&] { benchmark::DoNotOptimize(error.message()); });
}
BENCHMARK(error_message);

} // namespace

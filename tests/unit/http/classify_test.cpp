// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/http/classify.hpp>

namespace khive_tests::classify_test {

using namespace khive;
using namespace std::chrono_literals;

namespace {

const std::chrono::system_clock::time_point now = std::chrono::sys_days{std::chrono::year{2027} / 1 / 1};

Outcome classified(int status, bool replay_safe = true, const Headers& headers = {})
{
    return http::classify_status(status, headers, replay_safe, now);
}

Headers header(std::string_view name, std::string_view value)
{
    Headers headers;
    headers.set(name, value);
    return headers;
}

} // namespace

TEST_CASE("classify_status: says what a status means for breaker and retry", "[http][classify]")
{
    const auto [status, verdict, retryable] = GENERATE(table<int, Verdict, bool>({
        {200, Verdict::success, false}, {204, Verdict::success, false}, {301, Verdict::success, false},
        {304, Verdict::success, false}, {400, Verdict::success, false}, {401, Verdict::success, false},
        {404, Verdict::success, false}, {408, Verdict::success, true},  {409, Verdict::success, false},
        {422, Verdict::success, false}, {425, Verdict::success, true},  {429, Verdict::throttled, true},
        {500, Verdict::failure, true},  {501, Verdict::success, false}, {502, Verdict::failure, true},
        {503, Verdict::failure, true},  {504, Verdict::failure, true},  {505, Verdict::success, false},
        {507, Verdict::failure, false}, {599, Verdict::failure, false}, {999, Verdict::failure, false},
    }));

    CHECK(classified(status).verdict == verdict);
    CHECK(classified(status).retryable == retryable);
    CHECK(classified(status).replay == ReplaySafety::safe);
}

TEST_CASE("classify_status: an unsafe request may be repeated only after a status that says it was refused",
          "[http][classify]")
{
    const auto [status, replay] = GENERATE(table<int, ReplaySafety>({
        {429, ReplaySafety::safe},
        {425, ReplaySafety::safe},
        {409, ReplaySafety::safe},
        {400, ReplaySafety::safe},
        {501, ReplaySafety::safe},
        {408, ReplaySafety::unsafe},
        {500, ReplaySafety::unsafe},
        {502, ReplaySafety::unsafe},
        {503, ReplaySafety::unsafe},
        {504, ReplaySafety::unsafe},
    }));

    CHECK(classified(status, false).replay == replay);
}

TEST_CASE("classify_status: the server's own word overrides", "[http][classify]")
{
    CHECK_FALSE(classified(503, true, header("X-Should-Retry", "false")).retryable);
    CHECK(classified(409, true, header("x-should-retry", "True")).retryable);
    CHECK(classified(503, true, header("x-should-retry", "maybe")).retryable);
    CHECK_FALSE(classified(200, true, header("x-should-retry", "true")).retryable);
}

TEST_CASE("classify_status: hands on what the server asks for", "[http][classify][CL-1]")
{
    CHECK(classified(429, true, header("retry-after", "3")).retry_after == Duration{3s});
    CHECK(classified(503, true, header("Retry-After", "Fri, 01 Jan 2027 00:00:05 GMT")).retry_after == Duration{5s});
    CHECK_FALSE(classified(429).retry_after);
    CHECK_FALSE(classified(200, true, header("Retry-After", "3")).retry_after);
}

TEST_CASE("make_status_error: carries the answer and agrees with the classification", "[http][classify]")
{
    const int status = GENERATE(400, 401, 404, 408, 409, 418, 425, 429, 500, 501, 502, 503, 504, 505, 599);
    const bool replay_safe = GENERATE(false, true);
    const auto headers = header("Retry-After", "2");
    const auto expected = classified(status, replay_safe, headers);

    const auto error = http::make_status_error(status, headers, "excerpt", replay_safe, now);

    CHECK(error.kind() == ErrorKind::status);
    CHECK(error.status() == status);
    CHECK(error.headers().get("retry-after") == "2");
    CHECK(error.body() == "excerpt");
    CHECK(error.outcome().verdict == expected.verdict);
    CHECK(error.outcome().retryable == expected.retryable);
    CHECK(error.outcome().replay == expected.replay);
    CHECK(error.outcome().retry_after == expected.retry_after);
    CHECK(error.maybe_processed() == (expected.replay == ReplaySafety::unsafe));
}

TEST_CASE("make_status_error: the message has the phrase and not the body", "[http][classify]")
{
    CHECK(http::make_status_error(429, {}, "secret", true, now).message() == "Too Many Requests 429");
}

TEST_CASE("status_text: every status has one", "[http][classify]")
{
    CHECK(http::status_text(404) == "Not Found");
    CHECK(http::status_text(299) == "success");
    CHECK(http::status_text(499) == "client error");
    CHECK(http::status_text(599) == "server error");
    CHECK(http::status_text(999) == "unknown status");
    CHECK(http::status_text(-1) == "unknown status");
}

} // namespace khive_tests::classify_test

// SPDX-License-Identifier: BSL-1.0
#include <khive/client/logging.hpp>

#include <khive/client/json.hpp>
#include <khive/core/exceptions.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <spdlog/sinks/ostream_sink.h>

#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace khive_tests::logging_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

namespace {

/// A logger whose records are kept, one line each: level and text.
struct Log {
    Log() { logger->set_pattern("%l: %v"); }

    [[nodiscard]] std::vector<std::string> lines() const
    {
        std::vector<std::string> all;
        std::istringstream in(text.str());
        for (std::string line; std::getline(in, line);) all.push_back(line);
        return all;
    }

    std::ostringstream text;
    std::shared_ptr<spdlog::logger> logger =
        std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text));
};

ClientOptions logging(const Log& log, const std::string& base = "http://api.test")
{
    ClientOptions options(base);
    options.observer(std::make_shared<SpdlogObserver>(log.logger)).timeouts({.total = unlimited});
    return options;
}

} // namespace

TEST_CASE("SpdlogObserver: writes one record for each call, with its ledger in short", "[client][logging][CL-12]")
{
    Log log;
    VirtualTime time;
    auto api = scripted_client(time, {ok().after(20ms), status(404)}, logging(log));

    (void)time.run(api.get("/good").send());
    (void)time.run(api.get("/bad").try_send());

    REQUIRE(log.lines().size() == 2);
    CHECK(log.lines()[0] == "info: GET http://api.test/good 200 in 20.0 ms, 1 attempt: 200 20.0ms");
    CHECK_THAT(log.lines()[1], contains("warning: GET http://api.test/bad failed in 0.0 ms: Not Found 404, 1 attempt"));
}

TEST_CASE("SpdlogObserver: writes one record for each retry and each refusal", "[client][logging]")
{
    Log log;
    VirtualTime time;
    const CircuitBreaker breaker{{.consecutive_failures = 2, .open_jitter = 0}};
    auto api = scripted_client(time, {status(503).then_close(), reset()}, logging(log), exact_retry(), breaker);

    (void)time.run(api.get("/").try_send());

    const auto lines = log.lines();
    REQUIRE(lines.size() == 3);
    CHECK_THAT(lines[0], contains("info: GET http://api.test/ attempt 1 failed: status 503; again in 500.0 ms"));
    CHECK_THAT(lines[1], contains("attempt 2 failed: connection lost"));
    CHECK_THAT(lines[2], contains("warning: GET http://api.test/ refused: circuit breaker is open"));
    CHECK_THAT(lines[2], contains("3 attempts: 503"));
}

TEST_CASE("log_state_changes: writes one record for each change of a breaker's state", "[client][logging]")
{
    Log log;
    VirtualTime time;
    const auto breaker =
        log_state_changes(CircuitBreaker{{.consecutive_failures = 1, .open_for = 1s, .open_jitter = 0}}, log.logger, "orders");
    auto api = scripted_client(time, {status(503), ok()}, ClientOptions("http://api.test"), breaker);

    (void)time.run(api.get("/").try_send());
    time.run_for(1s);
    (void)time.run(api.get("/").try_send());

    CHECK(log.lines() == std::vector<std::string>{"warning: orders: closed -> open (consecutive_failures)",
                                                  "info: orders: open -> half_open (time_passed)",
                                                  "info: orders: half_open -> closed (probes_succeeded)"});
}

TEST_CASE("no secret gets into records, errors, exceptions or summaries", "[client][logging][secrets][CL-12]")
{
    const Reply reply = GENERATE(ok("hunter2"), status(401, {}, "hunter2"), status(503, {}, "hunter2"), reset(),
                                 raw("hunter2\r\n\r\n"), ok("hunter2").cut_after(40).then_close(), no_answer(),
                                 ok().header("Set-Cookie", "hunter2").header("Location", "/?hunter2"));
    Log log;
    VirtualTime time;
    auto options = logging(log, "http://user:hunter2@api.test/v1?key=hunter2");
    options.secret_header("X-Api-Key", Secret("hunter2")).timeouts({.first_byte = 5s});
    auto api = scripted_client(time, {}, options, exact_retry());
    api.server().otherwise([reply](const ReceivedRequest&) { return reply; });
    const auto request = Request("PUT", "/x").query("token", "hunter2").header("Cookie", "hunter2").json("hunter2");
    const auto check_clean = [](const std::string& text) { CHECK(text.find("hunter2") == std::string::npos); };
    const auto result = time.run(api.try_call(request));
    if (result.has_error()) {
        check_clean(result.error().message());
        check_clean(std::string(result.error().url()));
        check_clean(result.error().ledger().summary());
        try {
            result.error().raise();
        } catch (const APIClientError& error) {
            check_clean(error.what());
        }
    }
    const auto decoded = time.run(api.get("http://user:hunter2@api.test/x?a=hunter2").try_as<int>());
    if (decoded.has_error()) check_clean(decoded.error().message());

    CHECK_FALSE(log.lines().empty());
    check_clean(log.text.str());
}

} // namespace khive_tests::logging_test

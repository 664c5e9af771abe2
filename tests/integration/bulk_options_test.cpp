// SPDX-License-Identifier: BSL-1.0
// What bulk does with credentials and authorities, and what it tells whom.
#if defined(KHIVE_BULK_PROGRAM)
#include "integration/bulk_run.hpp"
#include "support/catch.hpp"
#include "support/nginx.hpp"
#include "support/temp_directory.hpp"

#include <khive/testing/fault_server.hpp>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <regex>
#include <string>

namespace khive_tests::bulk_options_test {

using namespace khive::testing;
using namespace khive_tests::bulk;
using namespace std::chrono_literals;

namespace {

std::string text_of(const std::string& path)
{
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

bool has(const std::string& text, const std::string& pattern)
{
    return std::regex_search(text, std::regex(pattern));
}

} // namespace

TEST_CASE("bulk: the token from the environment reaches the server and nobody else", "[bulk][secrets]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    FaultServer server([](const ReceivedRequest& request) { return request.number % 3 == 0 ? reset() : status(request.number % 3 == 1 ? 200 : 401); });
    REQUIRE(::setenv("KHIVE_TEST_TOKEN", "hunter2-hunter2", 1) == 0);

    Run run(server.url(), {directory.write("in.jsonl", lines(20)), "--output", output, "--auth-env", "KHIVE_TEST_TOKEN",
                           "--retries", "0", "--concurrency", "1"});
    const int code = run.wait();
    ::unsetenv("KHIVE_TEST_TOKEN");

    CHECK(code == 1);
    CHECK(each_once(results(output), 20));
    for (const auto& request : server.requests()) CHECK(request.headers.get("Authorization") == "Bearer hunter2-hunter2");
    CHECK_THAT(text_of(output), !contains("hunter2"));
    CHECK_THAT(run.said(), !contains("hunter2"));
}

TEST_CASE("bulk: an authority from a file is trusted, and without it no line goes out", "[bulk][tls][nginx]")
{
    if (!Nginx::available()) return;
    const Nginx nginx;
    const TempDirectory directory;
    const auto trusted = (directory.path() / "trusted.jsonl").string();
    const auto refused = (directory.path() / "refused.jsonl").string();
    std::string text;
    for (int i = 0; i < 40; ++i) text += R"({"id": )" + std::to_string(i) + R"(, "path": "/small.txt"})" + "\n";
    const auto input = directory.write("in.jsonl", text); // few: where all fail, each waits for a probe of the breaker
    const auto authority = directory.write("ca.pem", nginx.identity().root.pem());

    CHECK(Run(nginx.tls_url(), {input, "--output", trusted, "--ca", authority}).wait() == 0);
    CHECK(each_once(results(trusted), 40));

    CHECK(Run(nginx.tls_url(), {input, "--output", refused, "--retries", "0", "--breaker-open", "0.01"}).wait() == 1);
    const auto all = results(refused);
    CHECK(each_once(all, 40));
    for (const auto& result : all) {
        const auto& kind = result.at("error").at("kind");
        CHECK((kind == "tls" || kind == "no_trust_anchors"));
    }
}

TEST_CASE("bulk: a terminal is shown how far it is", "[bulk]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    FaultServer server([](const ReceivedRequest&) { return ok("there").after(5ms); });

    Run run(server.url(), {directory.write("in.jsonl", lines(2000)), "--output", output, "--concurrency", "4"}, Errors::terminal);
    run.wait_for("ETA 0:");
    run.wait_for_more("\r\x1b[K"); // the whole of that line has come

    INFO(run.said());
    CHECK(has(run.said(), R"([1-9]\d* done, 0 failed \| \d+\.\d/s \| 4 in flight, \d+ waiting \| 0 retries \| circuit closed \| ETA \d+:\d\d:\d\d)"));
}

TEST_CASE("bulk: what is no terminal is told the end only, and that in full", "[bulk]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    const auto broken = std::make_shared<std::atomic<bool>>(false);
    FaultServer server([broken](const ReceivedRequest& request) {
        if (request.path() == "/items/3") return status(404);
        return request.path() == "/items/4" && !*broken ? (*broken = true, reset()) : ok("there").after(5ms);
    });
    const auto input = directory.write("in.jsonl", lines(30) + "no json\n");

    Run run(server.url(), {input, "--output", output, "--concurrency", "1"});

    CHECK(run.wait() == 1);
    const std::string& said = run.said();
    CHECK_THAT(said, !contains("ETA"));
    INFO(said);
    CHECK(has(said, R"(lines +31\n  succeeded +29\n  failed +2\n  no request +1\n)"));
    CHECK(has(said, R"(time +\d+\.\d s +\d+\.\d lines/s\n)"));
    CHECK(has(said, R"(attempts +\d+ +[01]\.\d\d a line, 0 answered 429\n)"));
    CHECK(has(said, R"(latency in ms +p50 +p90 +p99 +max\n  line, waits included( +\d+\.\d){4}\n  attempt, on the wire( +\d+\.\d){4}\n)"));
    CHECK(has(said, R"(errors\n(  \S+ +\d+\n)+)"));
    CHECK_THAT(said, contains("invalid_argument"));
    CHECK_THAT(said, contains("status"));
}

TEST_CASE("bulk: told to be quiet, it says nothing", "[bulk]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    FaultServer server([](const ReceivedRequest&) { return status(404); });
    const auto errors = GENERATE(Errors::pipe, Errors::terminal);

    Run run(server.url(), {directory.write("in.jsonl", lines(5)), "--output", output, "--quiet"}, errors);

    CHECK(run.wait() == 1);
    CHECK(run.said().empty());
    CHECK(each_once(results(output), 5));
}

} // namespace khive_tests::bulk_options_test
#endif

// SPDX-License-Identifier: BSL-1.0
// The flagship example as its users run it: a program with files and signals. Its path comes from examples/CMakeLists.txt;
// where the examples are not built there is nothing to test.
#if defined(KHIVE_BULK_PROGRAM)
#include "integration/bulk_run.hpp"
#include "support/catch.hpp"
#include "support/temp_directory.hpp"

#include <khive/core/sanitizer.hpp>
#include <khive/testing/fault_server.hpp>
#include <khive/testing/faulty_api.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>

namespace khive_tests::bulk_test {

using namespace khive::testing;
using namespace khive_tests::bulk;
using namespace std::chrono_literals;

TEST_CASE("bulk: every line of the shipped input has one result on a bad day of the API", "[bulk]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    FaultServer server{FaultyAPI({.error_ratio = 0.05, .error_burst = 3, .reset_ratio = 0.05})};

    Run run(server.url(), {"examples/bulk/requests.jsonl", "--output", output, "--breaker-open", "0.05", "--retries", "9"});

    CHECK(run.wait() == 1); // two lines are no request
    CHECK(each_once(results(output), 300));
}

TEST_CASE("bulk: a request and its answer travel whole", "[bulk]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    FaultServer server([](const ReceivedRequest& request) {
        if (request.method == "GET") return ok(std::string("\xff\0\x01", 3)).header("Content-Type", "image/png");
        return ok_json("{\"echo\": " + request.body + ",\n \"number\": 12345678901234567890123}\n");
    });
    const auto input = directory.write("in.jsonl", R"({"id": 7, "method": "POST", "path": "/a b", "query": {"q": ["x&y", 1]},)"
                                                   R"( "headers": {"X-Tag": "t"}, "body": {"deep": [1]}, "cost": 2})"
                                                   "\n{\"path\": \"/pixel\"}\n");

    Run run(server.url(), {input, "--output", output});
    CHECK(run.wait() == 0);

    const auto requests = server.requests();
    const auto& request = requests.at(requests.at(0).method == "POST" ? 0 : 1);
    CHECK(request.target == "/a%20b?q=x%26y&q=1");
    CHECK(request.headers.get("X-Tag") == "t");
    const auto all = results(output);
    CHECK(result_of(all, 7).at("body").at("echo") == json::parse(R"({"deep": [1]})"));
    CHECK(result_of(all, nullptr).at("body") == "/wAB");
    CHECK(result_of(all, nullptr).at("encoding") == "base64");
    std::ifstream text(output);
    CHECK_THAT(std::string(std::istreambuf_iterator<char>(text), {}), contains("12345678901234567890123"));
}

TEST_CASE("bulk: a bad line gets an error with its number, and nothing is sent", "[bulk]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    FaultServer server;
    const auto input = directory.write("in.jsonl", "{\"id\": \"a\", \"path\": \"/\"}\nno json\n{\"id\": \"b\", \"pth\": \"/\"}\n"
                                                   "{\"id\": \"a\", \"path\": \"/again\"}\n{\"id\": \"c\", \"path\": \"/"
                                                   + std::string(2000, 'x') + "\"}\n{\"id\": \"d\", \"method\": \"G T\", \"path\": \"/\"}");

    Run run(server.url(), {input, "--output", output, "--max-line", "1000"});

    CHECK(run.wait() == 1);
    const auto all = results(output);
    CHECK(all.size() == 6);
    CHECK(server.request_count() == 1);
    const auto bad = std::count_if(all.begin(), all.end(), [](const json& result) {
        return result.contains("error") && result["error"]["kind"] == "invalid_argument" && result["line"] != 1;
    });
    CHECK(bad == 5);
}

TEST_CASE("bulk: a line that nests without end, or goes on behind a NUL byte, is a bad one", "[bulk]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    FaultServer server;
    const std::string deep = std::string(400'000, '[') + std::string(400'000, ']');
    const std::string nul(1, '\0');
    const auto input =
        directory.write("in.jsonl", R"({"id": "a", "path": "/", "body": )" + deep + "}\n" + R"({"id": "b", "path": "/"})" +
                                        nul + "x\n" + R"({"id": "c", "path": "/"})" + "\n");

    Run run(server.url(), {input, "--output", output});

    CHECK(run.wait() == 1);
    const auto all = results(output);
    REQUIRE(all.size() == 3);
    CHECK(server.request_count() == 1);
    const auto bad = std::count_if(all.begin(), all.end(), [](const json& result) {
        return result.contains("error") && result["error"]["kind"] == "invalid_argument" && result["line"] < 3;
    });
    CHECK(bad == 2);
}

TEST_CASE("bulk: resuming repeats what may end differently, and nothing else", "[bulk]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    const auto input = directory.write("in.jsonl", lines(50));
    FaultServer server([](const ReceivedRequest& request) {
        if (request.path() == "/items/7") return status(503);
        return request.path() == "/items/8" ? status(404) : ok("there");
    });
    Run first(server.url(), {input, "--output", output, "--retries", "0"});
    REQUIRE(first.wait() == 1);
    std::ofstream(output, std::ios::app) << R"({"id": "i9", "li)"; // the machine lost power
    server.otherwise([](const ReceivedRequest&) { return ok("there now"); });

    Run refused(server.url(), {input, "--output", output});
    CHECK(refused.wait() == 2);
    Run second(server.url(), {input, "--output", output, "--resume"});

    CHECK(second.wait() == 0);
    CHECK(server.request_count() == 51);
    CHECK(server.requests().back().path() == "/items/7");
    CHECK(count_ids(results(output)).size() == 50);
}

TEST_CASE("bulk: resuming does not repeat a POST whose fate is unknown", "[bulk]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    const auto input = directory.write("in.jsonl", R"({"method": "POST", "path": "/pay", "body": {"amount": 5}})");
    FaultServer server([](const ReceivedRequest&) { return reset(); });

    Run first(server.url(), {input, "--output", output});
    CHECK(first.wait() == 1);
    Run second(server.url(), {input, "--output", output, "--resume"});
    CHECK(second.wait() == 0);

    CHECK(server.request_count() == 1);
    CHECK(results(output).at(0).at("error").at("maybe_processed") == true);
}

TEST_CASE("bulk: Ctrl-C finishes what is under way, and a resumed run does the rest", "[bulk]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    const auto input = directory.write("in.jsonl", lines(500));
    FaultServer server([](const ReceivedRequest&) { return ok("there").after(50ms); });

    Run run(server.url(), {input, "--output", output, "--concurrency", "4"});
    server.wait_for_requests(4);
    run.interrupt();

    CHECK(run.wait() == 130);
    const std::size_t finished = results(output).size();
    CHECK(finished == server.request_count());
    CHECK(finished < 500);
    server.otherwise([](const ReceivedRequest&) { return ok("there"); });
    Run rest(server.url(), {input, "--output", output, "--resume"});
    CHECK(rest.wait() == 0);
    CHECK(server.request_count() == 500);
    CHECK(each_once(results(output), 500));
}

TEST_CASE("bulk: a second Ctrl-C ends at once, and what it interrupts has no result", "[bulk]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    FaultServer server([](const ReceivedRequest&) { return no_answer(); });

    Run run(server.url(), {directory.write("in.jsonl", lines(20)), "--output", output, "--concurrency", "4"});
    server.wait_for_requests(4);
    run.interrupt();
    run.wait_for("Ctrl-C again");
    run.interrupt();

    CHECK(run.wait() == 130);
    CHECK(results(output).empty());
}

TEST_CASE("bulk: an outage holds lines up and does not fail them", "[bulk]")
{
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    FaultServer server([](const ReceivedRequest& request) { return request.number <= 12 ? status(503) : ok("there"); });

    Run run(server.url(), {directory.write("in.jsonl", lines(60)), "--output", output, "--breaker-failures", "4",
                           "--breaker-open", "0.02", "--retries", "12"});

    CHECK(run.wait() == 0);
    CHECK(each_once(results(output), 60));
    CHECK_THAT(run.said(), contains("circuit opened"));
}

TEST_CASE("bulk: memory does not grow with the number of lines", "[bulk]")
{
#if KHIVE_ADDRESS_SANITIZER || KHIVE_THREAD_SANITIZER
    constexpr int count = 4'000; // the sanitizers' memory grows; what is left to see is that nothing leaks
#else
    constexpr int count = 20'000;
#endif
    const TempDirectory directory;
    const auto output = (directory.path() / "out.jsonl").string();
    FaultServer server;
    server.forget_requests();

    Run run(server.url(), {directory.write("in.jsonl", lines(count)), "--output", output, "--concurrency", "32"});

    CHECK(run.wait() == 0);
    CHECK(server.request_count() == count);
    CHECK(each_once(results(output), count));
#if !KHIVE_ADDRESS_SANITIZER && !KHIVE_THREAD_SANITIZER
    const auto at = run.said().find("peak memory") + std::string_view("peak memory").size();
    CHECK(std::stod(run.said().substr(at)) < 32);
#endif
}

TEST_CASE("bulk: wrong usage is exit code 2", "[bulk]")
{
    const TempDirectory directory;
    const auto input = directory.write("in.jsonl", lines(1));

    CHECK(Run("http://127.0.0.1:1", {"/nowhere.jsonl"}).wait() == 2);
    CHECK(Run("ftp://127.0.0.1", {input}).wait() == 2);
    CHECK(Run("http://127.0.0.1:1", {input, "--resume"}).wait() == 2);
    CHECK(Run("http://127.0.0.1:1", {input, "--auth-env", "KHIVE_NO_SUCH_VARIABLE"}).wait() == 2);
    CHECK(Run("http://127.0.0.1:1", {input, "--output", input}).wait() == 2); // not an output, and it is kept
    CHECK(std::ifstream(input).good());
}

} // namespace khive_tests::bulk_test
#endif

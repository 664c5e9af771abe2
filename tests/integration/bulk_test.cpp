// SPDX-License-Identifier: BSL-1.0
// The flagship example as its users run it: a program with files and signals. Its path comes from examples/CMakeLists.txt;
// where the examples are not built there is nothing to test.
#if defined(KHIVE_BULK_PROGRAM)
#include "support/catch.hpp"
#include "support/temp_directory.hpp"

#include <khive/testing/fault_server.hpp>
#include <khive/testing/faulty_api.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace khive::testing;
using namespace khive_tests;
using namespace std::chrono_literals;
using nlohmann::json;

/// A run of the program under way; its standard error comes through a pipe.
class Run {
public:
    Run(const std::string& base_url, std::vector<std::string> arguments)
    {
        arguments.insert(arguments.begin(), {KHIVE_BULK_PROGRAM, "--base-url", base_url, "--rate", "100000", "--retry-delay", "0.01"});
        std::vector<char*> argv;
        for (auto& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO);
        const int failed = ::posix_spawn(&pid_, KHIVE_BULK_PROGRAM, &actions, nullptr, argv.data(), environ);
        ::posix_spawn_file_actions_destroy(&actions);
        ::close(ends[1]);
        errors_ = ends[0];
        if (failed != 0) throw std::runtime_error("cannot start " KHIVE_BULK_PROGRAM);
    }
    ~Run()
    {
        ::close(errors_);
        if (pid_ == 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

    void interrupt() const { ::kill(pid_, SIGINT); }
    /// Reads what it says until that is in it.
    void wait_for(const std::string& text)
    {
        while (said_.find(text) == std::string::npos)
            if (!read_more()) throw std::runtime_error("it never said \"" + text + "\" but: " + said_);
    }
    /// Its exit code.
    int wait()
    {
        while (read_more()) {
        }
        int status = 0;
        ::waitpid(std::exchange(pid_, 0), &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    /// All that it has said.
    [[nodiscard]] const std::string& said() const noexcept { return said_; }

private:
    bool read_more()
    {
        char block[4096];
        const ssize_t bytes = ::read(errors_, block, sizeof block);
        if (bytes > 0) said_.append(block, static_cast<std::size_t>(bytes));
        return bytes > 0;
    }

    pid_t pid_ = 0;
    int errors_ = -1;
    std::string said_;
};

std::string lines(std::size_t count)
{
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
        text += R"({"id": "i)" + std::to_string(i) + R"(", "path": "/items/)" + std::to_string(i) + "\"}\n";
    return text;
}

std::vector<json> results(const std::string& path)
{
    std::ifstream file(path);
    std::vector<json> all;
    for (std::string line; std::getline(file, line);) all.push_back(json::parse(line));
    return all;
}

/// How often each id, or number of a line without one, has a result.
std::map<std::string, int> count_ids(const std::vector<json>& all)
{
    std::map<std::string, int> counts;
    for (const auto& result : all) ++counts[result.at("id").is_null() ? result.at("line").dump() : result.at("id").dump()];
    return counts;
}

bool each_once(const std::vector<json>& all, std::size_t expected)
{
    const auto counts = count_ids(all);
    return counts.size() == expected && std::all_of(counts.begin(), counts.end(), [](const auto& id) { return id.second == 1; });
}

const json& result_of(const std::vector<json>& all, const json& id)
{
    return *std::find_if(all.begin(), all.end(), [&](const json& result) { return result.at("id") == id; });
}

} // namespace

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
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(__clang__)
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
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
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
#endif

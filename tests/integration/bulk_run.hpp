// SPDX-License-Identifier: BSL-1.0
#pragma once

// examples/bulk as its users run it: a program with files and signals. KHIVE_BULK_PROGRAM is where it is.

#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <pty.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace khive_tests::bulk {

using nlohmann::json;

/// Where the standard error of a run goes.
enum class Errors { pipe, terminal };

/// A run of the program under way; its standard error comes through a pipe or a terminal of its own.
class Run {
public:
    Run(const std::string& base_url, std::vector<std::string> arguments, Errors errors = Errors::pipe)
    {
        arguments.insert(arguments.begin(), {KHIVE_BULK_PROGRAM, "--base-url", base_url, "--rate", "100000", "--retry-delay", "0.01"});
        std::vector<char*> argv;
        for (auto& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        int ends[2];
        const bool open = errors == Errors::pipe ? ::pipe2(ends, O_CLOEXEC) == 0
                                                 : ::openpty(&ends[0], &ends[1], nullptr, nullptr, nullptr) == 0;
        if (!open) throw std::runtime_error("no pipe and no terminal");
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
    /// Until it says it once more than it has so far.
    void wait_for_more(const std::string& text)
    {
        const std::size_t said = said_.size();
        while (said_.find(text, said) == std::string::npos)
            if (!read_more()) throw std::runtime_error("it never said \"" + text + "\" again but: " + said_);
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

inline std::string lines(std::size_t count)
{
    std::string text;
    for (std::size_t i = 0; i < count; ++i)
        text += R"({"id": "i)" + std::to_string(i) + R"(", "path": "/items/)" + std::to_string(i) + "\"}\n";
    return text;
}

inline std::vector<json> results(const std::string& path)
{
    std::ifstream file(path);
    std::vector<json> all;
    for (std::string line; std::getline(file, line);) all.push_back(json::parse(line));
    return all;
}

/// How often each id, or number of a line without one, has a result.
inline std::map<std::string, int> count_ids(const std::vector<json>& all)
{
    std::map<std::string, int> counts;
    for (const auto& result : all) ++counts[result.at("id").is_null() ? result.at("line").dump() : result.at("id").dump()];
    return counts;
}

inline bool each_once(const std::vector<json>& all, std::size_t expected)
{
    const auto counts = count_ids(all);
    return counts.size() == expected && std::all_of(counts.begin(), counts.end(), [](const auto& id) { return id.second == 1; });
}

inline const json& result_of(const std::vector<json>& all, const json& id)
{
    return *std::find_if(all.begin(), all.end(), [&](const json& result) { return result.at("id") == id; });
}

} // namespace khive_tests::bulk

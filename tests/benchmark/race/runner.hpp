// SPDX-License-Identifier: BSL-1.0
#pragma once

// What every C++ client of the race does alike: arguments, the check of answers, the counting of heap allocations, the line
// of results. Include it in the one source file of a program.

#include <sys/resource.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>

namespace race {

/// Of the C library's heap, which `operator new` uses too. Threads share it without a lock: lost counts do not matter.
inline volatile std::uint64_t allocations = 0;

/// `PROGRAM URL CONNECTIONS REQUESTS WARM_UP [MODE]`; the file to trust in RACE_CA, the right body in a file named by RACE_BODY.
struct Arguments {
    std::string url;
    bool tls = false;
    std::string host;
    std::string port;
    std::string path;
    int connections = 0;
    long requests = 0;
    long warm_up = 0;
    std::string mode;
    std::string ca_file;
    std::string body;
};

inline std::string environment(const char* name)
{
    const char* value = std::getenv(name);
    return value ? value : "";
}

inline Arguments parse(int argc, char** argv)
{
    if (argc < 5) {
        std::fprintf(stderr, "usage: %s URL CONNECTIONS REQUESTS WARM_UP [MODE]\n", argv[0]);
        std::exit(2);
    }
    Arguments a;
    a.url = argv[1];
    a.tls = a.url.starts_with("https:");
    const auto host = a.url.find("//") + 2;
    const auto port = a.url.find(':', host);
    const auto path = a.url.find('/', port);
    a.host = a.url.substr(host, port - host);
    a.port = a.url.substr(port + 1, path - port - 1);
    a.path = a.url.substr(path);
    a.connections = std::atoi(argv[2]);
    a.requests = std::atol(argv[3]);
    a.warm_up = std::atol(argv[4]);
    if (argc > 5) a.mode = argv[5];
    a.ca_file = environment("RACE_CA");
    std::ifstream file(environment("RACE_BODY"), std::ios::binary);
    a.body.assign(std::istreambuf_iterator<char>(file), {});
    return a;
}

/// One run: hands out requests, checks answers, measures from the end of the warm-up and prints one line of `key=value`.
class Run {
public:
    Run(int argc, char** argv) : arguments(parse(argc, argv)), left_(arguments.requests + arguments.warm_up)
    {
        if (arguments.warm_up == 0) start();
    }

    const Arguments arguments;

    /// Is there one more request to send? Then it counts as sent.
    bool take() { return left_-- > 0; }
    /// One answer, with its body.
    void answered(int status, std::string_view body) { answered(status == 200 && is_right(body)); }
    void answered(bool right)
    {
        if (!right) ++wrong_;
        if (++done_ == arguments.warm_up) start();
    }
    [[nodiscard]] long wrong() const { return wrong_; }
    [[nodiscard]] bool finished() const { return done_ == arguments.requests + arguments.warm_up; }

    void report(const char* name) const
    {
        const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
        const double cpu = cpu_seconds() - cpu_;
        const auto n = static_cast<double>(arguments.requests);
        std::printf("client=%s seconds=%.4f per_second=%.0f cpu_us=%.3f allocations=%.2f rss_kib=%ld wrong=%ld\n", name,
                    elapsed, n / elapsed, cpu / n * 1e6, static_cast<double>(allocations - allocations_) / n, peak_rss_kib(),
                    wrong_ + (finished() ? 0 : 1));
    }

private:
    /// Long bodies whole in every 16th answer, so that comparing does not become the cost, and their ends in the others.
    bool is_right(std::string_view body)
    {
        const std::string_view right = arguments.body;
        if (right.size() <= 1024 || done_ % 16 == 0) return body == right;
        return body.size() == right.size() && body.substr(0, 64) == right.substr(0, 64) &&
               body.substr(body.size() - 64) == right.substr(right.size() - 64);
    }
    void start()
    {
        cpu_ = cpu_seconds();
        allocations_ = allocations;
        began_ = std::chrono::steady_clock::now();
    }
    static double cpu_seconds()
    {
        rusage usage{};
        ::getrusage(RUSAGE_SELF, &usage);
        const auto seconds = [](const timeval& t) {
            return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
        };
        return seconds(usage.ru_utime) + seconds(usage.ru_stime);
    }
    static long peak_rss_kib()
    {
        std::ifstream status("/proc/self/status");
        for (std::string line; std::getline(status, line);)
            if (line.starts_with("VmHWM:")) return std::atol(line.c_str() + 6);
        return 0;
    }

    long left_;
    long done_ = 0;
    long wrong_ = 0;
    double cpu_ = 0;
    std::uint64_t allocations_ = 0;
    std::chrono::steady_clock::time_point began_;
};

} // namespace race

extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* old, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);

void* malloc(std::size_t size) noexcept
{
    race::allocations = race::allocations + 1;
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept
{
    race::allocations = race::allocations + 1;
    return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) noexcept
{
    race::allocations = race::allocations + 1;
    return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) // Asio's coroutine frames
{
    race::allocations = race::allocations + 1;
    return __libc_memalign(alignment, size);
}

} // extern "C"

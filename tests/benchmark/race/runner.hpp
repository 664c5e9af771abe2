// SPDX-License-Identifier: BSL-1.0
#pragma once

// What every client of the race does alike: arguments, counting of heap allocations, the line of results.

#include <sys/resource.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>

namespace race {

inline std::atomic<std::uint64_t> allocations{0};

struct Arguments {
    std::string host = "127.0.0.1";
    std::string port;
    std::string path = "/small";
    std::string mode;
    int connections = 64;
    long requests = 100000;
};

/// `PROGRAM PORT PATH CONNECTIONS REQUESTS [MODE]`
inline Arguments parse(int argc, char** argv)
{
    Arguments a;
    if (argc < 5) {
        std::fprintf(stderr, "usage: %s PORT PATH CONNECTIONS REQUESTS [MODE]\n", argv[0]);
        std::exit(2);
    }
    a.port = argv[1];
    a.path = argv[2];
    a.connections = std::atoi(argv[3]);
    a.requests = std::atol(argv[4]);
    if (argc > 5) a.mode = argv[5];
    return a;
}

inline double cpu_seconds()
{
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
    return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// Measures from the end of the warm-up to the end of the run and prints one line of `key=value`.
class Meter {
public:
    void start()
    {
        cpu_ = cpu_seconds();
        allocations_ = allocations.load();
        began_ = std::chrono::steady_clock::now();
    }
    void report(const char* name, long requests, long wrong) const
    {
        const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
        const double cpu = cpu_seconds() - cpu_;
        rusage usage{};
        ::getrusage(RUSAGE_SELF, &usage);
        const auto n = static_cast<double>(requests);
        std::printf("client=%s requests=%ld seconds=%.3f per_second=%.0f cpu_us=%.3f allocations=%.2f rss_mb=%.1f wrong=%ld\n", name,
                    requests, elapsed, n / elapsed, cpu / n * 1e6, static_cast<double>(allocations.load() - allocations_) / n,
                    static_cast<double>(usage.ru_maxrss) / 1024.0, wrong);
    }

private:
    double cpu_ = 0;
    std::uint64_t allocations_ = 0;
    std::chrono::steady_clock::time_point began_;
};

} // namespace race

// Replaced in the one source file of each client.
void* operator new(std::size_t size)
{
    race::allocations.fetch_add(1, std::memory_order_relaxed);
    if (void* p = std::malloc(size)) return p;
    throw std::bad_alloc();
}
void operator delete(void* p) noexcept
{
    std::free(p);
}
void operator delete(void* p, std::size_t) noexcept
{
    std::free(p);
}

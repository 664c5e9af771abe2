// SPDX-License-Identifier: BSL-1.0
#include "summary.hpp"

#include <cstdio>
#include <fstream>
#include <string>

namespace bulk {
namespace {

using Count = unsigned long long;

double in_milliseconds(khive::Duration duration)
{
    return khive::to_seconds(duration) * 1e3;
}

/// The most memory that the process ever had, in MiB; 0 where the system does not say.
double peak_memory()
{
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);)
        if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
    return 0;
}

void print_count(const char* name, Count count)
{
    if (count != 0) std::fprintf(stderr, "  %-22s %12llu\n", name, count);
}

void print_lines(const Tally& tally)
{
    std::fprintf(stderr, "lines                    %12llu\n", Count{tally.lines});
    print_count("succeeded", tally.succeeded);
    print_count("failed", tally.failed);
    print_count("finished before", tally.skipped);
    print_count("no request", tally.bad);
    print_count("interrupted", tally.unfinished);
}

void print_work(const Tally& tally, const Client& client)
{
    const double seconds = khive::to_seconds(khive::Clock::now() - tally.started);
    const auto done = static_cast<double>(tally.done());
    std::fprintf(stderr, "time                     %12.1f s   %.1f lines/s\n", seconds, seconds > 0 ? done / seconds : 0);
    std::fprintf(stderr, "attempts                 %12llu     %.2f a line, %llu answered 429\n", Count{tally.attempts},
                 done > 0 ? static_cast<double>(tally.attempts) / done : 0, Count{tally.throttled});
    std::fprintf(stderr, "circuit opened           %12llu times\n", Count{*client.outages});
}

void print_latency(const char* name, const Histogram& histogram)
{
    std::fprintf(stderr, "  %-22s %12.1f %10.1f %10.1f %10.1f\n", name, in_milliseconds(histogram.percentile(0.50)),
                 in_milliseconds(histogram.percentile(0.90)), in_milliseconds(histogram.percentile(0.99)),
                 in_milliseconds(histogram.longest()));
}

} // namespace

void print_summary(const Tally& tally, const Client& client)
{
    print_lines(tally);
    print_work(tally, client);
    std::fprintf(stderr, "latency in ms                     p50        p90        p99        max\n");
    print_latency("line, waits included", tally.calls);
    print_latency("attempt, on the wire", tally.answers);
    if (!tally.errors.empty()) std::fprintf(stderr, "errors\n");
    for (const auto& [name, count] : tally.errors) print_count(name.c_str(), count);
    std::fprintf(stderr, "peak memory              %12.1f MiB\n", peak_memory());
}

} // namespace bulk

// SPDX-License-Identifier: BSL-1.0
#include "progress.hpp"

#include <chrono>
#include <cstdio>

#include <unistd.h>

namespace bulk {
namespace {

std::string clock_text(double seconds)
{
    const auto whole = static_cast<long>(seconds);
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
    return text.data();
}

} // namespace

ProgressLine::ProgressLine(const Options& options)
    : shown_(!options.quiet && ::isatty(STDERR_FILENO) != 0 && (options.output != "-" || ::isatty(STDOUT_FILENO) == 0))
{
}

void ProgressLine::show(const Runner& runner, const LineReader& input)
{
    if (!shown_) return;
    const Tally& tally = runner.tally();
    const std::size_t in_flight = runner.client().executor.stats().running;
    const std::size_t under_way = runner.under_way();
    const std::size_t waiting = under_way > in_flight ? under_way - in_flight : 0;
    const std::string state(khive::to_string(runner.client().breaker.state()));
    std::fprintf(stderr, "\r\x1b[K%llu done, %llu failed | %.1f/s | %zu in flight, %zu waiting | %llu retries | circuit %s | %s",
                 static_cast<unsigned long long>(tally.done()), static_cast<unsigned long long>(tally.failed), rate(tally.done()),
                 in_flight, waiting, static_cast<unsigned long long>(*runner.client().retries), state.c_str(),
                 runner.interrupted() ? "finishing" : remaining(tally, input.progress()).c_str());
    std::fflush(stderr);
}

void ProgressLine::clear() const
{
    if (shown_) std::fputs("\r\x1b[K", stderr);
}

/// Lines per second, lately.
double ProgressLine::rate(std::uint64_t done)
{
    const Sample now{khive::Clock::now(), done};
    Sample& oldest = samples_[next_++ % samples_.size()];
    const Sample before = oldest.at == khive::TimePoint{} ? samples_.front() : oldest;
    oldest = now;
    const double seconds = khive::to_seconds(now.at - before.at);
    return before.at == khive::TimePoint{} || seconds <= 0 ? 0 : static_cast<double>(now.done - before.done) / seconds;
}

std::string ProgressLine::remaining(const Tally& tally, std::optional<double> progress)
{
    if (tally.done() == 0 || !progress) return "ETA unknown";
    const khive::TimePoint now = khive::Clock::now();
    if (begin_.at == khive::TimePoint{}) {
        begin_.at = now;
        begin_progress_ = *progress;
    }
    const double made = *progress - begin_progress_;
    if (made <= 0) return "ETA unknown";
    return "ETA " + clock_text(khive::to_seconds(now - begin_.at) * (1 - *progress) / made);
}

} // namespace bulk

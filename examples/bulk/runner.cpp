// SPDX-License-Identifier: BSL-1.0
#include "runner.hpp"
#include "result.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

namespace bulk {
namespace {

using namespace std::chrono_literals;

/// Refused here and nothing sent: another try costs the API nothing.
bool was_refused_here(const khive::Result<khive::Response>& result)
{
    if (result) return false;
    const auto kind = result.error().kind();
    return kind == khive::ErrorKind::circuit_open || kind == khive::ErrorKind::rate_limited;
}

const khive::Ledger& ledger_of(const khive::Result<khive::Response>& result)
{
    return result ? result->ledger() : result.error().ledger();
}

} // namespace

Runner::Runner(asio::io_context& io, const Options& options, Client client, LineReader& input, OutputFile& output, IdSet finished)
    : io_(io), options_(options), client_(std::move(client)), input_(input), output_(output), finished_(std::move(finished)),
      gate_(io.get_executor())
{
    tally_.started = khive::Clock::now();
}

asio::awaitable<void> Runner::run()
{
    co_await feed();
    co_await gate_.fewer_than(1);
    co_await client_.api.close(1s);
    output_.flush();
}

asio::awaitable<void> Runner::feed()
{
    const std::size_t limit = options_.max_calls();
    while (!draining_) {
        co_await gate_.fewer_than(limit);
        const auto line = co_await input_.next();
        if (!line) break;
        take(*line);
    }
}

void Runner::take(const LineReader::Line& line)
{
    ++tally_.lines;
    Job job = read(line);
    if (finished_.contains(key_of(job.id, job.line)))
        ++tally_.skipped;
    else if (job.mistake)
        finish_bad(job);
    else
        start(std::move(job));
}

Job Runner::read(const LineReader::Line& line)
{
    Job job = parse_job(line.text, line.number);
    if (line.too_long) job.mistake = bad_line(line.number, "is longer than --max-line");
    if (job.id != "null" && !seen_.insert(key_of(job.id, job.line))) {
        job.mistake = bad_line(line.number, "its id was used before: " + khive::escape_untrusted(job.id));
        job.id = "null"; // the id's result is that of the first line
    }
    job.replay_safe = job.replay_safe || options_.retry.retry_unsafe;
    return job;
}

void Runner::start(Job job)
{
    gate_.enter();
    asio::co_spawn(io_, perform(std::move(job)), rethrow);
}

asio::awaitable<void> Runner::perform(Job job)
{
    Effort effort;
    effort.started = khive::Clock::now();
    const khive::TimePoint patience = khive::saturating_add(effort.started, options_.max_outage);
    for (;;) {
        co_await wait_for_circuit(patience);
        const auto result = co_await call(job, effort);
        if (!was_refused_here(result) || draining_ || khive::Clock::now() >= patience) {
            finish(job, effort, result);
            break;
        }
        co_await nap(result.error().retry_after());
    }
    gate_.leave();
}

asio::awaitable<khive::Result<khive::Response>> Runner::call(const Job& job, Effort& effort)
{
    auto calling = client_.api.try_call(job.request);
    auto result = co_await std::move(calling);
    add(effort, ledger_of(result));
    tally_.add_attempts(ledger_of(result));
    co_return result;
}

/// An outage of the API holds up the lines; it does not use them up.
asio::awaitable<void> Runner::wait_for_circuit(khive::TimePoint until)
{
    for (auto now = khive::Clock::now(); now < until && !draining_; now = khive::Clock::now()) {
        const auto refusal = client_.breaker.refusal(now);
        if (!refusal) break;
        co_await nap(refusal->retry_after());
    }
}

/// As long as it is wished for, but a successful probe may make it unnecessary, and so may Ctrl-C.
asio::awaitable<void> Runner::nap(std::optional<khive::Duration> wish)
{
    const auto length = std::clamp<khive::Duration>(wish.value_or(200ms), 10ms, 200ms);
    asio::steady_timer timer(io_, length);
    co_await timer.async_wait(asio::use_awaitable);
}

void Runner::finish(const Job& job, Effort& effort, const khive::Result<khive::Response>& result)
{
    effort.elapsed = khive::Clock::now() - effort.started;
    tally_.attempts += effort.attempts;
    const bool unsent = draining_ && was_refused_here(result);
    const bool ended = aborted_ && !result && result.error().kind() == khive::ErrorKind::closed;
    if (unsent || ended) {
        ++tally_.unfinished;
        return;
    }
    tally_.calls.record(effort.elapsed);
    if (result)
        ++tally_.succeeded;
    else
        tally_.add_failure(result.error());
    output_.write(result ? format_result(job, effort, *result) : format_result(job, effort, result.error()));
}

void Runner::finish_bad(const Job& job)
{
    ++tally_.bad;
    if (options_.bad_lines == BadLines::skip) return;
    tally_.add_failure(*job.mistake);
    output_.write(format_result(job, Effort{}, *job.mistake));
    if (options_.bad_lines == BadLines::stop) draining_ = true;
}

void Runner::drain()
{
    draining_ = interrupted_ = true;
    input_.stop();
}

void Runner::abort()
{
    aborted_ = true;
    asio::co_spawn(io_, client_.api.close(khive::Duration::zero()), asio::detached);
}

} // namespace bulk

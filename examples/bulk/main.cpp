// SPDX-License-Identifier: BSL-1.0
// Runs a file of API requests through all four policies: the tool that people write again and again for rate-limited APIs.
//
//   bulk --base-url https://api.example.com --rate 20 --auth-env API_TOKEN requests.jsonl --output results.jsonl
//   bulk --demo requests.jsonl

#include "demo_server.hpp"
#include "exit_codes.hpp"
#include "options.hpp"
#include "output_file.hpp"
#include "progress.hpp"
#include "resume.hpp"
#include "runner.hpp"
#include "summary.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <exception>
#include <optional>
#include <variant>

namespace bulk {
namespace {

using namespace std::chrono_literals;

/// What goes on beside the run: writing what has gathered, showing progress, listening for Ctrl-C.
class Surroundings {
public:
    Surroundings(asio::io_context& io, const Options& options, Runner& runner, LineReader& input, OutputFile& output)
        : runner_(runner), input_(input), output_(output), progress_(options), timer_(io), signals_(io, SIGINT, SIGTERM),
          quiet_(options.quiet)
    {
    }

    asio::awaitable<void> tick()
    {
        boost::system::error_code cancelled;
        while (!cancelled) {
            output_.flush();
            progress_.show(runner_, input_);
            timer_.expires_after(200ms);
            co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
        }
    }

    asio::awaitable<void> listen()
    {
        boost::system::error_code cancelled;
        co_await signals_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
        if (cancelled) co_return;
        progress_.clear();
        if (!quiet_) std::fprintf(stderr, "finishing %zu lines; Ctrl-C again ends at once\n", runner_.under_way());
        runner_.drain();
        co_await signals_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
        if (!cancelled) runner_.abort();
    }

    void end()
    {
        progress_.clear();
        timer_.cancel();
        signals_.cancel();
    }

private:
    Runner& runner_;
    LineReader& input_;
    OutputFile& output_;
    ProgressLine progress_;
    asio::steady_timer timer_;
    asio::signal_set signals_;
    bool quiet_;
};

int exit_code(const Runner& runner, const Options& options)
{
    if (runner.interrupted()) return exit_interrupted;
    if (options.demo) return exit_ok; // some of its requests are wrong on purpose
    return runner.tally().failed == 0 ? exit_ok : exit_some_failed;
}

int run(const Options& options)
{
    std::optional<DemoServer> demo;
    if (options.demo) demo.emplace();
    asio::io_context io(1);
    LineReader input(io.get_executor(), options.input, options.max_line);
    OutputFile output(options);
    Client client = make_client(io, options, demo ? demo->url() : options.base_url);
    IdSet finished = options.resume ? read_finished(options.output) : IdSet{};
    Runner runner(io, options, std::move(client), input, output, std::move(finished));
    if (demo && !options.quiet)
        std::fprintf(stderr, "a misbehaving API at %s, results in %s\n", demo->url().c_str(),
                     options.output == "-" ? "standard output" : options.output.c_str());
    Surroundings surroundings(io, options, runner, input, output);

    asio::co_spawn(io, surroundings.tick(), rethrow);
    asio::co_spawn(io, surroundings.listen(), rethrow);
    asio::co_spawn(io, runner.run(), [&](std::exception_ptr error) {
        surroundings.end();
        rethrow(error);
    });
    io.run();
    if (!options.quiet) print_summary(runner.tally(), runner.client());
    return exit_code(runner, options);
}

} // namespace
} // namespace bulk

int main(int argc, char** argv)
{
    try {
        std::signal(SIGPIPE, SIG_IGN);
        const auto parsed = bulk::parse_options(argc, argv);
        if (const int* code = std::get_if<int>(&parsed)) return *code;
        return bulk::run(std::get<bulk::Options>(parsed));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bulk: %s\n", error.what());
        return bulk::exit_usage;
    }
}

// SPDX-License-Identifier: BSL-1.0
#include "options.hpp"
#include "exit_codes.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <sstream>

#include <unistd.h>

namespace bulk {
namespace {

constexpr const char* footer = R"(
Each input line is a JSON object, of which only path is required:
  {"id": "u-1", "method": "POST", "path": "/users", "query": {"dry_run": true, "tag": ["a", "b"]},
   "headers": {"Idempotency-Key": "u-1"}, "body": {"name": "Ann"}, "cost": 2}
A body that is a string is sent as it is, any other as JSON. Method is GET, cost is 1.

Each output line is a JSON object, in the order in which lines finish:
  {"id": "u-1", "line": 1, "status": 201, "attempts": 2, "elapsed_ms": 241.8,
   "waits": {"rate_ms": 0, "slot_ms": 0, "pool_ms": 0, "backoff_ms": 190.2}, "body": {"created": true}}
A body that is not JSON comes as a string, with "encoding": "text" or "base64". A line that failed has
  "error": {"kind": "status", "message": "...", "retryable": false, "final": true, "maybe_processed": false}

--resume reads the output of an earlier run and leaves out the lines that succeeded or whose error is final: the same would
happen again, or a request that must not be repeated may have been acted on (unless --retry-unsafe). It knows lines by their
id, those without one by their number; a half-written last line is cut off. An id takes 8 to 24 bytes of memory.

Ctrl-C takes no new lines, finishes those under way and prints the summary. A second one ends at once: what it interrupts
is not in the output, and --resume repeats it.

Exit code: 0 all lines succeeded, 1 some failed, 2 wrong usage, input or output, 130 interrupted.)";

void add_seconds(CLI::App& app, const std::string& name, khive::Duration& value, const std::string& help)
{
    std::ostringstream standard;
    standard << khive::to_seconds(value);
    auto* option = app.add_option_function<double>(
        name, [&value](const double& seconds) { value = khive::from_seconds(seconds); }, help);
    option->type_name("SECONDS")->check(CLI::PositiveNumber.name(""));
    option->default_str(value == khive::unlimited ? "none" : standard.str());
}

BadLines bad_lines_of(const std::string& policy)
{
    if (policy == "skip") return BadLines::skip;
    return policy == "stop" ? BadLines::stop : BadLines::report;
}

void add_files(CLI::App& app, Options& options)
{
    app.add_option("input", options.input, "JSON Lines of requests; - is standard input");
    app.add_option("-o,--output", options.output, "JSON Lines of results; - is standard output");
    app.add_flag("--resume", options.resume, "Append to the output; leave out lines it has finished");
    app.add_flag("--overwrite", options.overwrite, "Replace the output if it is there")->excludes("--resume");
    app.add_flag("-q,--quiet", options.quiet, "No progress and no summary");
    app.add_option_function<std::string>(
           "--input-errors", [&options](const std::string& policy) { options.bad_lines = bad_lines_of(policy); },
           "Lines that are no request: report, skip or stop")
        ->check(CLI::IsMember({"report", "skip", "stop"}).name(""))
        ->type_name("POLICY")
        ->default_str("report");
    app.add_option("--max-line", options.max_line, "Longest input line")
        ->type_name("BYTES")
        ->check(CLI::PositiveNumber.name(""));
    app.add_option("--max-body", options.max_body, "Longest body of an answer")->type_name("BYTES");
}

void add_api(CLI::App& app, Options& options)
{
    app.add_option("-u,--base-url", options.base_url, "Where the API is; paths are appended")->type_name("URL")->group("API");
    app.add_option("-H,--header", options.headers, "Header for every request, \"Name: value\"; may be repeated")
        ->type_size(1)
        ->allow_extra_args(false)
        ->group("API");
    app.add_option("--auth-env", options.auth_env, "Environment variable with a bearer token")->type_name("VAR")->group("API");
    app.add_option("--ca", options.ca_file, "More certificate authorities, a PEM file")->type_name("FILE")->group("API");
    add_seconds(app, "--timeout", options.timeout, "Of a line, waits and all attempts included");
    add_seconds(app, "--attempt-timeout", options.attempt_timeout, "Of one attempt");
}

void add_policies(CLI::App& app, Options& options)
{
    app.add_option("-r,--rate", options.limiter.rate, "Attempts per second, weighted by cost");
    app.add_option("--burst", options.limiter.burst, "Attempts that may be saved up; 0 is as many as --rate");
    app.add_option("-c,--concurrency", options.executor.max_concurrency, "Attempts at once")
        ->check(CLI::Range(1, 10'000).name("1-10000"));
    app.add_option_function<unsigned>(
           "--retries", [&options](const unsigned& retries) { options.retry.max_attempts = retries + 1; },
           "More attempts for what may pass")
        ->default_str("3");
    add_seconds(app, "--retry-delay", options.retry.base_delay, "Before the second attempt; doubles, with jitter");
    add_seconds(app, "--max-retry-after", options.retry.max_retry_after, "Give up where the API asks for a longer pause");
    app.add_flag("--retry-unsafe", options.retry.retry_unsafe, "Repeat also what may be done twice by that");
    app.add_option("--breaker-failures", options.breaker.consecutive_failures,
                   "Open the circuit after so many failures in a row; 0: off");
    app.add_option("--breaker-ratio", options.breaker.failure_ratio, "Or when this share of the last 30 s failed; 0: off");
    add_seconds(app, "--breaker-open", options.breaker.open_for, "How long it stays open the first time");
    add_seconds(app, "--max-outage", options.max_outage, "How long a line waits for an open circuit before it fails");
}

/// The demo server has a quota of 50 a second and an outage of a second.
void set_demo_defaults(Options& options)
{
    options.limiter = {.rate = 80, .burst = 20};
    options.retry.max_attempts = 7;
    options.retry.base_delay = std::chrono::milliseconds{100};
    options.breaker.consecutive_failures = 5;
    options.breaker.open_for = std::chrono::milliseconds{500};
}

/// On a terminal, results would hide the progress line.
void set_demo_output(Options& options)
{
    if (options.output != "-" || ::isatty(STDOUT_FILENO) == 0) return;
    options.output = "bulk-demo-results.jsonl";
    options.overwrite = true;
}

std::string contradiction(const Options& options)
{
    if (options.demo != options.base_url.empty()) return "give either --base-url or --demo; see --help";
    if (options.resume && options.output == "-") return "--resume needs --output FILE";
    return {};
}

} // namespace

std::size_t Options::max_calls() const
{
    const std::size_t wanted = 2 * executor.max_concurrency;
    if (timeout == khive::unlimited) return wanted;
    const double served = limiter.rate * khive::to_seconds(timeout) / 2;
    return served < static_cast<double>(wanted) ? std::max<std::size_t>(1, static_cast<std::size_t>(served)) : wanted;
}

std::variant<Options, int> parse_options(int argc, const char* const* argv)
{
    Options options;
    options.demo = std::any_of(argv, argv + argc, [](const std::string& argument) { return argument == "--demo"; });
    if (options.demo) set_demo_defaults(options);
    CLI::App app("Runs a file of API requests through a rate limiter, a concurrency limit, a circuit breaker and retries.");
    app.footer(footer);
    app.option_defaults()->always_capture_default();
    add_files(app, options);
    add_api(app, options);
    add_policies(app, options);
    app.add_flag("--demo", options.demo, "Start a misbehaving API in this process and send the requests there");
    try {
        app.parse(argc, argv);
        if (const auto problem = contradiction(options); !problem.empty()) throw CLI::ValidationError(problem);
        if (options.demo) set_demo_output(options);
        return options;
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? exit_ok : exit_usage;
    }
}

} // namespace bulk

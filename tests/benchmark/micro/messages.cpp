// SPDX-License-Identifier: BSL-1.0
//
// Making requests and reading answers, without I/O.

#include "allocations.hpp"
#include "loopback.hpp"

#include <khive/client/async_api_client.hpp>

#include <benchmark/benchmark.h>

#include <boost/asio/io_context.hpp>

#include <cstring>
#include <memory>
#include <string_view>

namespace {

using namespace khive;

/// What is behind a client without policies.
std::shared_ptr<detail::PolicyCore<>> make_core(asio::io_context& io)
{
    ClientOptions options("https://api.example.com/v1");
    options.header("User-Agent", "micro/1.0").header("Accept", "application/json").bearer(Secret("a-token-of-some-length"));
    return std::make_shared<detail::PolicyCore<>>(io.get_executor(), options, std::tuple<>{});
}

void request_get(benchmark::State& state)
{
    asio::io_context io;
    const auto core = make_core(io);
    micro::repeat(state, [&] {
        const auto call = detail::ClientCore::new_call(core);
        detail::set_line(call->fields, "GET", "/users/{}", 42);
        append_query(call->fields.more().query, "expand", "teams");
        benchmark::DoNotOptimize(core->prepare(*call));
    });
}
BENCHMARK(request_get);

void request_post_with_header(benchmark::State& state)
{
    asio::io_context io;
    const auto core = make_core(io);
    micro::repeat(state, [&] {
        const auto call = detail::ClientCore::new_call(core);
        detail::set_line(call->fields, "POST", "/users/{}/notes", 42);
        call->fields.more().set_header("Idempotency-Key", "7f3c2a90-5b1e-4c7e-9a55");
        call->fields.more().set_body(R"({"text":"hello"})", "application/json");
        benchmark::DoNotOptimize(core->prepare(*call));
    });
}
BENCHMARK(request_post_with_header);

void url_parse(benchmark::State& state)
{
    micro::repeat(state, [] { benchmark::DoNotOptimize(Url::parse("https://api.example.com:8443/v1/users/42?expand=teams")); });
}
BENCHMARK(url_parse);

void url_join(benchmark::State& state)
{
    const auto base = Url::parse("https://api.example.com/v1").value();
    micro::repeat(state, [&] { benchmark::DoNotOptimize(join(base, "/users/42?expand=teams")); });
}
BENCHMARK(url_join);

/// Feeds the whole answer at once.
http::ReadStep read(http::ResponseReader& reader, std::string_view bytes)
{
    reader.start(false);
    for (;;) {
        const auto room = reader.prepare();
        const auto count = bytes.copy(room.data(), room.size());
        bytes.remove_prefix(count);
        const auto step = reader.commit(count);
        if (step != http::ReadStep::more) return step;
    }
}

void response_read(benchmark::State& state)
{
    http::Content content;
    http::ResponseReader reader;
    reader.read_into(content);
    micro::repeat(state, [&] { benchmark::DoNotOptimize(read(reader, micro::small_answer())); });
}
BENCHMARK(response_read);

void header_lookup(benchmark::State& state, std::string_view name)
{
    http::Content content;
    http::ResponseReader reader;
    reader.read_into(content);
    read(reader, micro::small_answer());
    micro::repeat(state, [&] { benchmark::DoNotOptimize(content.headers.get(name)); });
}
BENCHMARK_CAPTURE(header_lookup, first, "date");
BENCHMARK_CAPTURE(header_lookup, last, "x-request-id");
BENCHMARK_CAPTURE(header_lookup, absent, "retry-after");

} // namespace

// SPDX-License-Identifier: BSL-1.0
// Clients on a context of several threads, and their end with calls in flight. Meant for ThreadSanitizer too.
#include "integration/real_world.hpp"

#include <khive/testing/fault_server.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <vector>

namespace khive_tests::threads_test {

using namespace khive::testing;

namespace {

/// How calls ended, from any thread.
struct Ends {
    std::atomic<int> answered{0};
    std::atomic<int> failed{0};
    std::atomic<int> wrong{0};
    std::atomic<int> thrown{0};
    std::array<std::atomic<int>, 32> kinds{};

    [[nodiscard]] int all() const { return answered + failed + thrown; }
    [[nodiscard]] int of(ErrorKind kind) const { return kinds[static_cast<std::size_t>(kind)]; }
};

asio::awaitable<void> call_times(AnyAPIClient api, int caller, int times, Ends* ends)
{
    for (int i = 0; i < times; ++i) {
        const auto result = co_await api.get("/{}/{}", caller, i).try_send();
        if (result) {
            ++ends->answered;
            if (result->body() != "/" + std::to_string(caller) + "/" + std::to_string(i)) ++ends->wrong;
        } else {
            ++ends->failed;
            ++ends->kinds[static_cast<std::size_t>(result.error().kind())];
        }
    }
}

/// A call on a strand of its own, so that it can be cancelled from elsewhere.
class Cancellable {
public:
    Cancellable(asio::io_context& io, AnyAPIClient api, int number, Ends* ends) : strand_(asio::make_strand(io))
    {
        asio::co_spawn(strand_, call_times(std::move(api), number, 1, ends),
                       asio::bind_cancellation_slot(signal_->slot(), [signal = signal_, ends](std::exception_ptr error) {
                           if (error) ++ends->thrown;
                       }));
    }
    void cancel()
    {
        asio::post(strand_, [signal = signal_] { signal->emit(asio::cancellation_type::terminal); });
    }

private:
    asio::strand<asio::io_context::executor_type> strand_;
    std::shared_ptr<asio::cancellation_signal> signal_ = std::make_shared<asio::cancellation_signal>();
};

/// Bodies that fill their first read, their buffer and the socket's, and some that do not, one after the other.
asio::awaitable<void> call_for_sizes(AnyAPIClient api, int rounds, Ends* ends)
{
    const std::array<std::size_t, 7> sizes{0, 800, 900, 5'000, 65'536, 300'000, 20};
    for (int i = 0; i < rounds; ++i)
        for (const std::size_t size : sizes) {
            const auto result = co_await api.get("/{}", size).try_send();
            ++(result ? ends->answered : ends->failed);
            if (result && result->body() != std::string(size, 'x')) ++ends->wrong;
        }
}

Reply so_many(const ReceivedRequest& request)
{
    const Reply reply = ok(std::string(std::stoul(request.target.substr(1)), 'x'));
    switch (request.number % 4) {
    case 1: return Reply(reply).chunked(3'000);
    case 2: return Reply(reply).in_pieces(7'777);
    case 3: return Reply(reply).chunked(50'000).in_pieces(20'000);
    default: return reply;
    }
}

Reply echo(const ReceivedRequest& request)
{
    return ok(request.target);
}

/// Answers most requests and spoils some.
Reply moody(const ReceivedRequest& request)
{
    switch (request.number % 16) {
    case 3: return reset();
    case 7: return close_without_answer();
    case 11: return ok(request.target).cut_after(30).then_reset();
    case 13: return ok(request.target).header("Connection", "close");
    default: return ok(request.target);
    }
}

} // namespace

TEST_CASE("Threads: many callers on four threads each get their own answer", "[integration][threads]")
{
    FaultServer server(echo);
    server.forget_requests();
    asio::io_context io{4};
    AsyncAPIClient api{io, ClientOptions(server.url()).pool({.max_connections = 8}).timeouts({.pool_wait = 30s})};
    Ends ends;
    for (int i = 0; i < 32; ++i) asio::co_spawn(io, call_times(api, i, 25, &ends), asio::detached);

    run_on_threads(io, 4);

    CHECK(ends.answered == 800);
    CHECK(ends.wrong == 0);
    CHECK(server.connections() <= 8);
    CHECK(api.connections().leased == 0);
    CHECK(api.connections().waiting == 0);
}

TEST_CASE("Threads: answers that no read has room for come whole and at once", "[integration][threads]")
{
    const auto threads = GENERATE(1u, 4u);
    const bool with_tls = GENERATE(false, true);
    const TestIdentity identity;
    auto server =
        with_tls
            ? std::make_unique<FaultServer>(FaultServerTls(identity.server.chain_pem(), identity.server.key_pem()), so_many)
            : std::make_unique<FaultServer>(so_many);
    server->forget_requests();
    asio::io_context io{static_cast<int>(threads)};
    AsyncAPIClient api{io, ClientOptions(server->url("localhost")).tls(trusting(identity.root))};
    Ends ends;
    for (int i = 0; i < 8; ++i) asio::co_spawn(io, call_for_sizes(api, 20, &ends), asio::detached);
    const auto began = std::chrono::steady_clock::now();

    run_on_threads(io, threads);

    CHECK(ends.answered == 8 * 20 * 7);
    CHECK(ends.wrong == 0);
    // A read that was not told of what has come would look after 250 ms: 140 such calls take half a minute.
    CHECK(std::chrono::steady_clock::now() - began < 20s);
}

TEST_CASE("Threads: over TLS too", "[integration][threads][tls]")
{
    const TestIdentity identity;
    FaultServer server(FaultServerTls(identity.server.chain_pem(), identity.server.key_pem()), echo);
    server.forget_requests();
    TlsContext tls;
    tls.trust_nothing().add_ca_pem(identity.root.pem());
    asio::io_context io{4};
    AsyncAPIClient api{io, ClientOptions(server.url("localhost")).tls(tls).pool({.max_connections = 8}).timeouts({.pool_wait = 30s})};
    Ends ends;
    for (int i = 0; i < 16; ++i) asio::co_spawn(io, call_times(api, i, 20, &ends), asio::detached);

    run_on_threads(io, 4);

    CHECK(ends.answered == 320);
    CHECK(ends.wrong == 0);
    CHECK(api.connections().leased == 0);
}

TEST_CASE("Threads: with every policy and a server in a bad mood, every call ends and the books balance", "[integration][threads]")
{
    FaultServer server(moody);
    server.forget_requests();
    asio::io_context io{4};
    AsyncAPIClient api{io,
                       ClientOptions(server.url()).pool({.max_connections = 6}).timeouts({.pool_wait = 30s}),
                       TokenBucketRateLimiter{{.rate = 20'000, .burst = 50}},
                       AsyncExecutor{{.max_concurrency = 10}},
                       CircuitBreaker{{.open_for = 1ms}},
                       RetryWithBackoff{{.max_attempts = 3, .base_delay = 1ms}}};
    Ends ends;
    for (int i = 0; i < 24; ++i) asio::co_spawn(io, call_times(api, i, 20, &ends), asio::detached);

    run_on_threads(io, 4);

    CHECK(ends.all() == 480);
    CHECK(ends.wrong == 0);
    CHECK(api.in_flight() == 0);
    CHECK(api.connections().leased == 0);
    CHECK(api.connections().connecting == 0);
    CHECK(api.connections().waiting == 0);
}

TEST_CASE("Threads: calls cancelled from elsewhere end once and leave the pool balanced", "[integration][threads]")
{
    FaultServer server([](const ReceivedRequest& request) {
        return request.number % 3 == 0 ? no_answer() : ok(request.target).after(1ms);
    });
    server.forget_requests();
    asio::io_context io{4};
    AsyncAPIClient api{io, ClientOptions(server.url()).pool({.max_connections = 8}).timeouts({.pool_wait = 30s})};
    Ends ends;
    std::vector<std::unique_ptr<Cancellable>> calls;
    for (int i = 0; i < 200; ++i) {
        calls.push_back(std::make_unique<Cancellable>(io, api, i, &ends));
        asio::post(io, [call = calls.back().get(), i] {
            if (i % 2 == 0) call->cancel();
        });
    }
    // Those that get no answer are cancelled once everything else is over.
    auto rest = std::make_shared<std::function<void()>>();
    *rest = [&io, &calls, &ends, weak = std::weak_ptr(rest)] {
        for (auto& call : calls) call->cancel();
        if (const auto again = weak.lock(); again && ends.all() < 200) asio::post(io, [again] { (*again)(); });
    };
    asio::post(io, [rest] { (*rest)(); });

    run_on_threads(io, 4);

    CHECK(ends.all() == 200);
    CHECK(ends.wrong == 0);
    CHECK(ends.failed == ends.of(ErrorKind::cancelled));
    CHECK(api.in_flight() == 0);
    CHECK(api.connections().leased == 0);
    CHECK(api.connections().waiting == 0);
}

TEST_CASE("Threads: connections broken under load on four threads", "[integration][threads]")
{
    FaultServer server(echo);
    server.forget_requests();
    asio::io_context io{4};
    AsyncAPIClient api{io, server.url(), RetryWithBackoff{{.max_attempts = 10, .base_delay = 1ms}}};
    Ends ends;
    for (int i = 0; i < 16; ++i) asio::co_spawn(io, call_times(api, i, 40, &ends), asio::detached);
    std::thread breaker([&] {
        for (std::size_t round = 1; round <= 5; ++round) {
            server.wait_for_requests(round * 60);
            server.reset_connections();
        }
    });

    run_on_threads(io, 4);
    breaker.join();

    CHECK(ends.answered == 640);
    CHECK(ends.wrong == 0);
}

// --- The end of a client ----------------------------------------------------------------------------------------------

TEST_CASE("Closing: a client that is destroyed ends its calls with `closed`", "[integration][closing]")
{
    const unsigned threads = GENERATE(1u, 4u);
    FaultServer server([](const ReceivedRequest&) { return no_answer(); });
    asio::io_context io{static_cast<int>(threads)};
    Ends ends;
    auto api = std::make_unique<AsyncAPIClient<>>(io, ClientOptions(server.url()).pool({.max_connections = 4}));
    for (int i = 0; i < 8; ++i) {
        // A call keeps only the core, not the handle.
        asio::co_spawn(io, api->get("/{}", i).try_send(), [&ends](std::exception_ptr error, const Result<Response>& result) {
            if (error) ++ends.thrown;
            else if (!result) ++ends.failed, ++ends.kinds[static_cast<std::size_t>(result.error().kind())];
            else ++ends.answered;
        });
    }
    std::thread destroyer([&] {
        server.wait_for_requests(4);
        api.reset();
    });

    run_on_threads(io, threads);
    destroyer.join();

    CHECK(ends.of(ErrorKind::closed) == 8);
    server.wait_for_open_connections(0);
}

TEST_CASE("Closing: close lets calls end and refuses new ones", "[integration][closing]")
{
    FaultServer server([](const ReceivedRequest& request) { return ok(request.target).after(20ms); });
    asio::io_context io;
    AsyncAPIClient api{io, server.url()};
    Ends ends;
    for (int i = 0; i < 4; ++i) asio::co_spawn(io, call_times(api, i, 1, &ends), asio::detached);
    while (api.in_flight() != 4) REQUIRE(io.run_one() == 1);

    CHECK(run(io, api.close(10s)));

    CHECK(ends.answered == 4);
    CHECK(api.connections().open() == 0);
    CHECK(kind_of(run(io, api.get("/").try_send())) == ErrorKind::closed);
    CHECK(run(io, api.close(10s))); // again
}

TEST_CASE("Closing: what does not end in time is ended", "[integration][closing]")
{
    FaultServer server([](const ReceivedRequest&) { return no_answer(); });
    asio::io_context io;
    AsyncAPIClient api{io, server.url()};
    Ends ends;
    for (int i = 0; i < 4; ++i) asio::co_spawn(io, call_times(api, i, 1, &ends), asio::detached);
    while (api.in_flight() != 4) REQUIRE(io.run_one() == 1);

    CHECK_FALSE(run(io, api.close(30ms)));

    CHECK(ends.of(ErrorKind::closed) == 4);
    CHECK(api.connections().open() == 0);
}

TEST_CASE("Closing: over TLS it never waits for the peer's goodbye", "[integration][closing][tls]")
{
    const TestIdentity identity;
    FaultServerTls silent(identity.server.chain_pem(), identity.server.key_pem());
    silent.without_close_notify();
    FaultServer server(silent);
    TlsContext tls;
    tls.trust_nothing().add_ca_pem(identity.root.pem());
    asio::io_context io;
    AsyncAPIClient api{io, ClientOptions(server.url("localhost")).tls(tls)};
    CHECK(run(io, api.get("/").send()).status() == 200);

    CHECK(run(io, api.close(1s)));

    CHECK(api.connections().open() == 0);
    server.wait_for_open_connections(0);
}

TEST_CASE("Closing: an io_context that ends before its calls destroys them in good order", "[integration][closing]")
{
    FaultServer server([](const ReceivedRequest&) { return no_answer(); });
    Ends ends;
    {
        asio::io_context io;
        AsyncAPIClient api{io, ClientOptions(server.url()).pool({.max_connections = 2})};
        for (int i = 0; i < 6; ++i) asio::co_spawn(io, call_times(api, i, 1, &ends), asio::detached);
        while (api.connections().leased != 2) REQUIRE(io.run_one() == 1);
    }
    CHECK(ends.answered == 0);
    server.wait_for_open_connections(0);
}

} // namespace khive_tests::threads_test

// SPDX-License-Identifier: BSL-1.0
// Mixed load with faults, on two threads: plain and TLS against an nginx that restarts, and a server that spoils answers. What a
// client holds must not grow. `tests/endurance/mixed_load.sh` does the same for half an hour.
#include "integration/real_world.hpp"

#include <khive/async/sleep.hpp>
#include <khive/core/sanitizer.hpp>
#include <khive/testing/fault_server.hpp>

#include "support/catch.hpp"
#include "support/nginx.hpp"

#include <array>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace khive_tests::mixed_load_test {

#if KHIVE_ADDRESS_SANITIZER || KHIVE_THREAD_SANITIZER
extern "C" std::size_t __sanitizer_get_current_allocated_bytes(); // GCC has no header for it
#endif

using namespace khive::testing;

namespace {

constexpr int callers_per_client = 16;

/// What must stay as it is.
struct Holdings {
    std::size_t memory = 0; ///< bytes: allocated under a sanitizer, resident without
    std::size_t descriptors = 0;
    std::size_t timers = 0;
};

std::size_t memory_in_use()
{
#if KHIVE_ADDRESS_SANITIZER || KHIVE_THREAD_SANITIZER
    return __sanitizer_get_current_allocated_bytes();
#else
    std::ifstream statm("/proc/self/statm");
    std::size_t all = 0;
    std::size_t resident = 0;
    statm >> all >> resident;
    return resident * 4096;
#endif
}

std::size_t open_descriptors()
{
    const std::filesystem::directory_iterator open("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(open), end(open)));
}

struct Tally {
    std::atomic<std::size_t> answered{0};
    std::atomic<std::size_t> wrong{0};
    std::array<std::atomic<std::size_t>, 64> failed{};

    [[nodiscard]] std::string describe() const
    {
        std::string text = std::to_string(answered) + " answered";
        for (std::size_t kind = 0; kind < failed.size(); ++kind)
            if (failed[kind] != 0)
                text += ", " + std::to_string(failed[kind]) + " " + std::string(to_string(static_cast<ErrorKind>(kind)));
        return text;
    }
};

struct Wanted {
    const char* method;
    const char* path;
    std::size_t length;
};

/// What a caller asks for as its `n`-th call.
Wanted wanted(unsigned n)
{
    constexpr std::array<Wanted, 6> nginx{{{"GET", "/small.txt", 12},
                                           {"GET", "/chunked/small.txt", 12},
                                           {"GET", "/medium.bin", 64 * 1024},
                                           {"GET", "/empty", 0},
                                           {"HEAD", "/small.txt", 0},
                                           {"GET", "/chunked/medium.bin", 64 * 1024}}};
    return nginx[n % nginx.size()];
}

asio::awaitable<void> keep_calling(AnyAPIClient api, unsigned caller, TimePoint until, Tally* tally)
{
    for (unsigned n = caller; Clock::now() < until; n += 7) {
        const Wanted want = wanted(n);
        auto request = api.request(want.method, want.path);
        if (n % 11 == 0) request.timeout(std::chrono::milliseconds{1 + n % 5}); // most of them run out
        const auto result = co_await std::move(request).try_send();
        if (!result) {
            ++tally->failed[static_cast<std::size_t>(result.error().kind())];
            (void)co_await async::sleep_until(Clock::now() + 5ms);
            continue;
        }
        ++tally->answered;
        if (result->body().size() != want.length) ++tally->wrong;
    }
}

asio::awaitable<void> keep_restarting(Nginx* nginx, TimePoint until)
{
    for (int round = 0;; ++round) {
        (void)co_await async::sleep_until(Clock::now() + 300ms);
        if (Clock::now() >= until) co_return;
        if (round % 3 == 2)
            nginx->restart();
        else
            nginx->reload();
    }
}

/// The length that `wanted` expects, spoilt now and then.
Reply moody(const ReceivedRequest& request)
{
    Reply reply(200);
    for (unsigned n = 0; n < 6; ++n)
        if (request.target == wanted(n).path && wanted(n).length != 0) reply = ok(std::string(wanted(n).length, 'x'));
    switch (request.number % 37) {
    case 3: return reset();
    case 7: return close_without_answer();
    case 11: return reply.cut_after(30).then_reset();
    case 13: return reply.header("Connection", "close");
    case 17: return status(503);
    case 23: return too_many_requests(0s);
    case 29: return reply.chunked(100).in_pieces(1000);
    default: return reply;
    }
}

class World {
public:
    World()
        : faults_(moody),
          tls_(trusting(nginx_.identity().root)),
          plain_(client(nginx_.url())),
          secure_(client(nginx_.tls_url())),
          moody_(client(faults_.url()))
    {
        faults_.forget_requests();
    }

    /// Load for a while, until everything has ended.
    void run(Duration length)
    {
        const TimePoint until = Clock::now() + length;
        for (const AnyAPIClient& api : {plain_, secure_, moody_})
            for (unsigned caller = 0; caller < callers_per_client; ++caller)
                asio::co_spawn(io_, keep_calling(api, caller, until, &tally_), asio::detached);
        asio::io_context here{1}; // nginx ends with the thread that has started it
        asio::co_spawn(here, keep_restarting(&nginx_, until), asio::detached);
        std::thread load([this] { run_on_threads(io_, 2); });
        here.run();
        load.join();
    }

    [[nodiscard]] Holdings holdings()
    {
        return {memory_in_use(), open_descriptors(), async::time_service(io_.get_executor()).armed()};
    }

    /// Empty, or what is not balanced.
    [[nodiscard]] std::string unbalanced() const
    {
        for (const AnyAPIClient& api : {plain_, secure_, moody_}) {
            const net::PoolCounts counts = api.connections();
            if (counts.leased + counts.connecting + counts.waiting != 0) return "a pool";
            if (api.in_flight() != 0) return "calls in flight";
        }
        if (executor_.stats().running + executor_.stats().queued != 0) return "the executor";
        if (limiter_.waiting() != 0) return "the limiter";
        return {};
    }
    [[nodiscard]] const Tally& tally() const noexcept { return tally_; }

private:
    [[nodiscard]] AnyAPIClient client(const std::string& url)
    {
        return AsyncAPIClient(io_, ClientOptions(url).tls(tls_).pool({.max_connections = 8}), executor_, limiter_,
                              CircuitBreaker{{.consecutive_failures = 100, .open_for = 20ms}},
                              RetryWithBackoff{{.max_attempts = 4, .base_delay = 2ms, .max_delay = 50ms}});
    }

    Nginx nginx_;
    FaultServer faults_;
    asio::io_context io_{2};
    TlsContext tls_;
    AsyncExecutor executor_{{.max_concurrency = 32}};
    TokenBucketRateLimiter limiter_{{.rate = 20'000, .burst = 100}};
    AnyAPIClient plain_;
    AnyAPIClient secure_;
    AnyAPIClient moody_;
    Tally tally_;
};

int seconds_wanted()
{
    const char* const text = std::getenv("KHIVE_ENDURANCE_SECONDS");
    return text != nullptr ? std::stoi(text) : 6;
}

} // namespace

TEST_CASE("Endurance: under mixed load with faults a client holds no more than at first", "[endurance][nginx][threads]")
{
    World world;
    const int rounds = 6;
    const Duration round = std::chrono::milliseconds{1000LL * seconds_wanted() / rounds};
    world.run(round);
    world.run(round); // every pool, cache and stack has been as large as it gets
    const Holdings before = world.holdings();
    for (int i = 2; i < rounds; ++i) {
        world.run(round);
        CHECK(world.unbalanced() == "");
    }
    const Holdings after = world.holdings();

    std::cout << "endurance: " << world.tally().describe() << "; memory " << before.memory / 1024 << " then "
              << after.memory / 1024 << " KiB, descriptors " << before.descriptors << " then " << after.descriptors
              << ", timers " << before.timers << " then " << after.timers << '\n';
    CHECK(world.tally().wrong == 0);
    CHECK(world.tally().answered > 100);
    CHECK(after.memory <= before.memory + before.memory / 10 + 2 * 1024 * 1024);
    CHECK(after.descriptors <= before.descriptors + 5 * 8); // idle connections, and the other end of those of the FaultServer
    CHECK(after.timers <= before.timers + 3 * 8);
}

} // namespace khive_tests::mixed_load_test

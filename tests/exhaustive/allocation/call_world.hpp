// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "exhaustive/allocation/every_allocation.hpp"
#include "exhaustive/allocation/starved_network.hpp"
#include "support/scripted_client.hpp"

#include <khive/client/async_api_client.hpp>
#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>
#include <khive/testing/scripted_server.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace khive_tests {

using namespace std::chrono_literals;

/// What a kind of call needs of its world.
struct CallSetup {
    std::size_t slots = 10;       ///< of the executor
    std::size_t connections = 10; ///< of the pool
    bool combined = false;        ///< `RateLimitedExecutor` instead of limiter and executor
    bool observed = false;        ///< by a log
};

/// Keeps the requests for `/held` until it is told to answer; behind it is the real server.
class HoldingServer final : public khive::testing::SimulatedServer {
public:
    explicit HoldingServer(std::shared_ptr<khive::testing::SimulatedServer> server) : server_(std::move(server)) {}

    [[nodiscard]] std::size_t held() const noexcept { return held_; }
    void answer()
    {
        for (auto& peer : std::exchange(waiting_, {})) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nheld");
    }

    void on_connection(khive::testing::SimulatedPeer peer) override { server_->on_connection(std::move(peer)); }
    void on_end(khive::testing::SimulatedPeer peer) override { server_->on_end(std::move(peer)); }
    void on_bytes(khive::testing::SimulatedPeer peer, std::string_view bytes) override
    {
        if (!bytes.starts_with("GET /held ")) return server_->on_bytes(std::move(peer), bytes);
        ++held_;
        waiting_.push_back(std::move(peer));
    }

private:
    std::shared_ptr<khive::testing::SimulatedServer> server_;
    std::vector<khive::testing::SimulatedPeer> waiting_;
    std::size_t held_ = 0;
};

class StarvedCall;

/// One way to call, with what it meets.
struct CallKind {
    const char* name;
    CallSetup setup;
    /// What has happened before.
    void (*prepare)(StarvedCall&);
    asio::awaitable<std::string> (*call)(StarvedCall&);
    /// How it ends where nothing fails.
    const char* end = "value";
    /// What is done once nothing is left to happen at that time.
    void (*when_idle)(StarvedCall&) = nullptr;
    bool closes = false; ///< the client
};

/// A client with every policy on a network without memory, and a call of one kind.
class StarvedCall {
    const CallKind& kind_;

public:
    static constexpr double tokens = 100; ///< there at the start; one more a second
    static constexpr std::size_t too_many_steps = 20'000;

    explicit StarvedCall(const CallKind& kind) : kind_(kind)
    {
        khive::net::network_service(time.executor()).install(network);
        address = &network->simulated().serve("api.test", 80, front);
        // The clock of a bucket starts with the first token.
        REQUIRE(limiter.try_acquire(1, time.now()));
        combined.try_dispatch(1, time.now()).value().spend();
        open_client();
        kind.prepare(*this);
    }

    /// Runs the call with the memory as planned, and checks all that must hold then.
    void run(memory::Plan plan)
    {
        auto call = time.start(starving<StarvedCall>(this, kind_.call, plan, &ending_));
        started_ = &call;
        run_steps();
        started_ = nullptr;
        const memory::Aside aside;
        memory::disarm();
        check_end();
        for (int attempts = 0; attempts < 3; ++attempts) {
            release();        // others' calls are repeated too
            time.run_for(2s); // and a dial outlives the caller it was begun for
        }
        for (auto& other : others) CHECK(other.done());
        check_permits();
        check_connections();
        check_next_call();
    }

    void open_client();
    /// Begins a call that is answered when `release` is called, and has its connection when this returns.
    void occupy()
    {
        others.push_back(time.start(text_of(client->get("/held").timeout(1h).send())));
        time.settle();
        REQUIRE(client->connections().leased == others.size());
    }
    void release()
    {
        const memory::Aside aside;
        front->answer();
    }
    void cancel()
    {
        const memory::Aside aside;
        started_->cancel();
    }

    khive::testing::VirtualTime time;
    std::shared_ptr<StarvedNetwork> network = std::make_shared<StarvedNetwork>(time);
    std::shared_ptr<khive::testing::ScriptedServer> server = std::make_shared<khive::testing::ScriptedServer>();
    std::shared_ptr<HoldingServer> front = std::make_shared<HoldingServer>(server);
    khive::testing::SimulatedAddress* address = nullptr;
    khive::TokenBucketRateLimiter limiter{{.rate = 1, .burst = 1'000'000, .initial_tokens = tokens + 1}};
    khive::AsyncExecutor executor{{.max_concurrency = kind_.setup.slots}};
    khive::CircuitBreaker breaker{{.consecutive_failures = 3, .open_for = 10s, .open_jitter = 0}};
    khive::RateLimitedExecutor combined{
        {.rate = 1, .burst = 1'000'000, .initial_tokens = tokens + 1, .max_concurrency = kind_.setup.slots}};
    khive::RetryWithBackoff retry{{.max_attempts = 3, .jitter = khive::Jitter::none}};
    std::shared_ptr<khive::CallObserver> observer;
    std::optional<khive::AnyAPIClient> client;
    std::vector<khive::testing::Started<std::string>> others;
    std::vector<std::shared_ptr<void>> held; ///< permits that are in others' hands
    double taken = 0;                        ///< tokens, by others

private:
    void run_steps();
    void check_end();
    void check_permits();
    void check_connections();
    void check_next_call();

    Ending ending_;
    khive::testing::Started<void>* started_ = nullptr;
};

inline void StarvedCall::open_client()
{
    khive::ClientOptions options("http://api.test");
    options.pool({.max_connections = kind_.setup.connections});
    if (observer) options.observer(observer);
    if (kind_.setup.combined)
        client.emplace(khive::AsyncAPIClient(time.context(), std::move(options), combined, breaker, retry));
    else
        client.emplace(khive::AsyncAPIClient(time.context(), std::move(options), limiter, executor, breaker, retry));
}

inline void StarvedCall::run_steps()
{
    bool was_idle = false;
    for (std::size_t steps = 0; !ending_.done; ++steps) {
        if (steps == too_many_steps) break;
        time.context().restart();
        try {
            if (time.context().poll_one() != 0) continue;
        } catch (const std::exception& error) {
            memory::disarm();
            FAIL("out of run() comes " << error.what());
        }
        if (kind_.when_idle != nullptr && !std::exchange(was_idle, true)) {
            kind_.when_idle(*this);
            continue;
        }
        const auto due = time.service().next_due();
        if (!due) break;
        time.service().advance_to(std::max(*due, time.now()));
    }
    memory::disarm();
    REQUIRE(ending_.done);
}

inline void StarvedCall::check_end()
{
    INFO("the call ended with: " << ending_.how);
    if (memory::failed() == 0) {
        CHECK(ending_.how == kind_.end);
        return;
    }
    CHECK_FALSE(ending_.how.starts_with("exception"));
    if (!kind_.closes) CHECK(ending_.how != "closed");
    if (kind_.end != std::string("cancelled")) CHECK(ending_.how != "cancelled");
}

/// Every permit is back, and tokens are spent by what was sent.
inline void StarvedCall::check_permits()
{
    held.clear();
    CHECK(executor.stats().running + combined.stats().running == 0);
    CHECK(executor.stats().queued + combined.stats().queued == 0);
    CHECK(limiter.waiting() == 0);
    const auto stats = breaker.stats(time.now());
    CHECK(stats.admitted == stats.succeeded + stats.failed + stats.neutral + stats.late);
    if (kind_.setup.combined) return;
    const double there = tokens + std::chrono::duration<double>(time.elapsed()).count() - taken;
    const double spent = there - limiter.tokens(time.now());
    const double seen = static_cast<double>(server->requests().size() + front->held());
    INFO("tokens spent: " << spent << ", requests seen: " << seen);
    CHECK(std::abs(spent - std::round(spent)) < 1e-3);
    CHECK(std::round(spent) >= seen - 1); // one that met a dying connection is repeated for the same token
    CHECK(std::round(spent) <= seen + 3); // those that were cut off
}

inline void StarvedCall::check_connections()
{
    const auto counts = client->connections();
    CHECK(client->in_flight() == 0);
    CHECK(counts.leased == 0);
    CHECK(counts.connecting == 0);
    CHECK(counts.waiting == 0);
    CHECK(counts.idle == network->simulated().open_connections());
}

inline void StarvedCall::check_next_call()
{
    if (kind_.closes) open_client();
    server->otherwise(
        [](const khive::testing::ReceivedRequest& request) { return khive::testing::ok("hello " + request.target); });
    if (breaker.state(time.now()) != khive::BreakerState::closed) time.run_for(30s);
    auto next = client->get("/next").send();
    CHECK(time.run(std::move(next)).text() == "hello /next");
}

} // namespace khive_tests

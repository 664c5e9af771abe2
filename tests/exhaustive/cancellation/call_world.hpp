// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/scripted_client.hpp"
#include "support/stepwise.hpp"
#include "support/tally.hpp"
#include "support/tls_front.hpp"

#include <khive/client/any_api_client.hpp>
#include <khive/core/exceptions.hpp>
#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace khive_tests {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using khive::Duration;
using khive::TimePoint;

inline Tally interruptions{"suspension points interrupted"};

/// What happens to a call in the middle of it.
enum class How {
    terminal,      ///< cancelled by a signal of that type
    partial,       ///< likewise, where the coroutine lets it through
    total,         ///< likewise
    timeout,       ///< its total time runs out right there
    close_at_once, ///< the client is closed, with no time left for calls in flight
    close_in_time, ///< the client is closed, and waits for calls in flight
    last_handle,   ///< the last handle of the client goes
    context,       ///< the execution context is destroyed; the client was before
    owned,         ///< the execution context is destroyed, and with the coroutine the last handle of its client
    owned_strand   ///< likewise, where the coroutine runs on a strand, as tasks of an executor do
};

inline constexpr std::array every_how{How::terminal,      How::partial,     How::total,   How::timeout, How::close_at_once,
                                      How::close_in_time, How::last_handle, How::context, How::owned,   How::owned_strand};

/// Lets every type of cancellation through.
inline asio::awaitable<std::string> listening(asio::awaitable<std::string> call)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_return co_await std::move(call);
}

/// How something ended: `value`, or the kind of its error.
template <class T>
std::string end_of(khive::testing::Started<T>& started)
{
    if (!started.done()) return "not at all";
    try {
        (void)started.get();
        return "value";
    } catch (const khive::APIClientError& error) {
        return std::string(to_string(error.error().kind()));
    } catch (const std::exception& error) {
        return error.what();
    }
}

/// What a kind of call needs of its world.
struct CallSetup {
    double tokens = 100;          ///< there at the start; one more a second
    std::size_t slots = 10;       ///< of the executor
    std::size_t connections = 10; ///< of the pool
    std::size_t write_at_most = 100'000;
    bool tls = false;
    bool combined = false; ///< `RateLimitedExecutor` instead of limiter and executor
};

/// Counts the requests of which a part at least has arrived; behind it is the real server.
class RequestLines final : public khive::testing::SimulatedServer {
public:
    explicit RequestLines(std::shared_ptr<khive::testing::SimulatedServer> server) : server_(std::move(server)) {}
    [[nodiscard]] double seen() const noexcept { return seen_; }

    void on_connection(khive::testing::SimulatedPeer peer) override { server_->on_connection(std::move(peer)); }
    void on_end(khive::testing::SimulatedPeer peer) override { server_->on_end(std::move(peer)); }
    void on_bytes(khive::testing::SimulatedPeer peer, std::string_view bytes) override
    {
        if (bytes.find(" HTTP/1.1\r\n") != std::string_view::npos) ++seen_;
        server_->on_bytes(std::move(peer), bytes);
    }

private:
    std::shared_ptr<khive::testing::SimulatedServer> server_;
    double seen_ = 0;
};

class CallWorld;

/// One way to call, with what it meets.
struct CallKind {
    const char* name;
    CallSetup setup;
    /// What has happened before.
    void (*prepare)(CallWorld&);
    /// The call, not yet begun. It does not own the client.
    asio::awaitable<std::string> (*call)(const khive::AnyAPIClient&);
    /// How it ends if left alone.
    const char* end = "value";
    /// How many requests more, or less, than tokens the server may have seen: one that met a dying connection is repeated for
    /// the same token, and one that was cut off inside a TLS record is not seen.
    double least_unpaid = 0;
    double most_unpaid = 0;
    /// What has to be put right for the next call.
    void (*repair)(CallWorld&) = [](CallWorld&) {};
};

/// A client with every policy, a call of one kind, and what interrupts it.
class CallWorld {
    const How how_;
    const CallKind& kind_;
    std::unique_ptr<khive::testing::VirtualTime> time_ = std::make_unique<khive::testing::VirtualTime>();

public:
    CallWorld(const CallKind& kind, How how) : how_(how), kind_(kind)
    {
        there.address->serve(requests);
        if (kind.setup.tls) {
            tls_front = std::make_shared<TlsFront>(tls_identity().server, &hello);
            there.address = &there.network->serve("api.test", 443, tls_front);
        }
        there.address->latency(1ms).connect_delay(1ms).write_at_most(kind.setup.write_at_most);
        // The clock of a bucket starts with the first token.
        REQUIRE(limiter.try_acquire(1, time_->now()));
        if (auto grant = combined.try_dispatch(1, time_->now())) grant->spend();
        open_client();
        kind.prepare(*this);
    }

    /// \name For `interrupt_after_every_step`
    /// @{
    void begin()
    {
        if (!owns()) {
            call_.emplace(time_->start(listening(kind_.call(*client))));
            return;
        }
        auto call = owning(std::move(*client), kind_.call);
        client.reset();
        call_.emplace(time_->start(how_ == How::owned_strand ? on_strand(std::move(call)) : std::move(call)));
    }
    [[nodiscard]] bool done() const { return call_->done(); }
    [[nodiscard]] khive::testing::VirtualTime& time() { return *time_; }
    void interrupt();
    void finish();
    /// @}

    void open_client()
    {
        khive::ClientOptions options(kind_.setup.tls ? "https://api.test" : "http://api.test");
        options.pool({.max_connections = kind_.setup.connections});
        if (kind_.setup.tls) options.tls(khive::TlsContext{}.trust_nothing().add_ca_pem(tls_identity().root.pem()));
        if (kind_.setup.combined)
            client.emplace(khive::AsyncAPIClient(time_->context(), std::move(options), combined, breaker, exact_retry()));
        else
            client.emplace(
                khive::AsyncAPIClient(time_->context(), std::move(options), limiter, executor, breaker, exact_retry()));
    }
    /// Takes one of everything for two seconds.
    void occupy()
    {
        others_.push_back(time_->start(text_of(client->get("/slow").send())));
        while (client->connections().leased == 0) REQUIRE(step(*time_));
    }
    void take_token()
    {
        REQUIRE(limiter.try_acquire(1, time_->now()));
        auto grant = combined.try_dispatch(1, time_->now());
        REQUIRE(grant.has_value());
        grant->spend();
        ++taken_elsewhere_;
    }
    /// Fails calls until the breaker opens, and lets the time pass after which it lets a probe through.
    void open_breaker()
    {
        for (int i = 0; i < 3; ++i) {
            auto ticket = breaker.try_admit(time_->now());
            ticket.value().record(khive::Outcome{.verdict = khive::Verdict::failure}, time_->now());
        }
        time_->run_for(10s);
        REQUIRE(breaker.state(time_->now()) == khive::BreakerState::half_open);
    }

    ScriptedWorld there{*time_};
    std::shared_ptr<RequestLines> requests = std::make_shared<RequestLines>(there.server);
    khive::TokenBucketRateLimiter limiter{{.rate = 1, .burst = 1'000'000, .initial_tokens = kind_.setup.tokens + 1}};
    khive::AsyncExecutor executor{{.max_concurrency = kind_.setup.slots}};
    khive::CircuitBreaker breaker{{.consecutive_failures = 3, .open_for = 10s, .open_jitter = 0}};
    khive::RateLimitedExecutor combined{
        {.rate = 1, .burst = 1'000'000, .initial_tokens = kind_.setup.tokens + 1, .max_concurrency = kind_.setup.slots}};
    std::shared_ptr<TlsFront> tls_front;
    std::optional<khive::AnyAPIClient> client;

private:
    struct TlsIdentity {
        Certificate root = CertificateBuilder("khive test root").authority().self_signed();
        Certificate server = CertificateBuilder("api.test").dns("api.test").signed_by(root);
    };
    static const TlsIdentity& tls_identity()
    {
        static const TlsIdentity identity;
        return identity;
    }
    static khive::testing::Reply hello(const khive::testing::ReceivedRequest&) { return khive::testing::ok("hello"); }

    static asio::awaitable<std::string> owning(khive::AnyAPIClient client,
                                               asio::awaitable<std::string> (*make)(const khive::AnyAPIClient&))
    {
        auto call = make(client);
        co_return co_await std::move(call);
    }
    static asio::awaitable<std::string> on_strand(asio::awaitable<std::string> call)
    {
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        auto end = asio::co_spawn(asio::make_strand(executor), std::move(call), asio::use_awaitable);
        co_return co_await std::move(end);
    }
    [[nodiscard]] bool owns() const noexcept { return how_ == How::owned || how_ == How::owned_strand; }
    [[nodiscard]] double seen() const { return tls_front ? static_cast<double>(tls_front->requests()) : requests->seen(); }
    /// What a bucket that nobody has used would hold, less what was taken on purpose.
    [[nodiscard]] double tokens_there() const
    {
        return kind_.setup.tokens + std::chrono::duration<double>(time_->elapsed()).count() - taken_elsewhere_;
    }
    /// Takes all that is left in the bucket of `combined`, whole tokens only.
    [[nodiscard]] double drain_combined(TimePoint now)
    {
        for (double left = 0;; ++left) {
            auto grant = combined.try_dispatch(1, now);
            if (!grant) return left;
            grant->spend();
        }
    }

    void check_end();
    void check_permits();
    void check_connections();
    void check_next_call();
    void check_combined_tokens();
    void check_without_context();

    std::vector<khive::testing::Started<std::string>> others_;
    std::optional<khive::testing::Started<std::string>> call_;
    std::optional<khive::testing::Started<bool>> closing_;
    double taken_elsewhere_ = 0;
};

inline void CallWorld::interrupt()
{
    interruptions.add(1);
    switch (how_) {
    case How::terminal: return call_->cancel(asio::cancellation_type::terminal);
    case How::partial: return call_->cancel(asio::cancellation_type::partial);
    case How::total: return call_->cancel(asio::cancellation_type::total);
    case How::timeout: return time_->service().advance_to(time_->now() + 60s);
    case How::close_at_once: closing_.emplace(time_->start(client->close(0s))); return;
    case How::close_in_time: closing_.emplace(time_->start(client->close(10s))); return;
    case How::last_handle:
    case How::context: return client.reset();
    case How::owned:
    case How::owned_strand: return;
    }
}

inline void CallWorld::finish()
{
    if (how_ == How::context || owns()) return check_without_context();
    REQUIRE(step_until(*time_, [this] {
        bool all = call_->done() && (!closing_ || closing_->done());
        for (const auto& other : others_) all = all && other.done();
        return all;
    }));
    check_end();
    time_->run_for(1s); // a dial outlives the caller it was begun for
    check_permits();
    check_connections();
    check_next_call();
}

inline void CallWorld::check_end()
{
    std::set<std::string> allowed{kind_.end};
    switch (how_) {
    case How::terminal:
    case How::partial:
    case How::total: allowed.insert("cancelled"); break;
    case How::timeout: // or what the last attempt met, where no time is left for another
        allowed.insert({"timeout", "pool_timeout", "connect"});
        break;
    case How::close_at_once:
    case How::close_in_time:
    case How::last_handle: allowed.insert("closed"); break;
    case How::context:
    case How::owned:
    case How::owned_strand: break;
    }
    const std::string end = end_of(*call_);
    INFO("the call ended with: " << end);
    CHECK(allowed.contains(end));
    for (auto& other : others_) CHECK(end_of(other) != "not at all");
}

/// Every permit is back, and the tokens of what was sent, and of nothing else, are spent.
inline void CallWorld::check_permits()
{
    CHECK(executor.stats().running + combined.stats().running == 0);
    CHECK(executor.stats().queued + combined.stats().queued == 0);
    CHECK(limiter.waiting() == 0);
    const auto stats = breaker.stats(time_->now());
    CHECK(stats.admitted == stats.succeeded + stats.failed + stats.neutral + stats.late);
    if (kind_.setup.combined) return;
    const double unpaid = seen() - (tokens_there() - limiter.tokens(time_->now()));
    INFO("requests beyond tokens: " << unpaid);
    CHECK(std::abs(unpaid - std::round(unpaid)) < 1e-3);
    CHECK(std::round(unpaid) >= kind_.least_unpaid);
    CHECK(std::round(unpaid) <= kind_.most_unpaid);
}

inline void CallWorld::check_combined_tokens()
{
    if (!kind_.setup.combined) return;
    const double expected = std::floor(tokens_there() - seen() + 1e-3);
    CHECK(drain_combined(time_->now()) == expected);
}

inline void CallWorld::check_connections()
{
    if (!client) {
        CHECK(there.network->open_connections() == 0);
        return;
    }
    const auto counts = client->connections();
    CHECK(client->in_flight() == 0);
    CHECK(counts.leased == 0);
    CHECK(counts.connecting == 0);
    CHECK(counts.waiting == 0);
    CHECK(counts.idle == there.network->open_connections());
}

/// On the same client where there still is one, else on another with the same policies.
inline void CallWorld::check_next_call()
{
    if (closing_ || !client) {
        client.reset();
        open_client();
    }
    kind_.repair(*this);
    if (breaker.state(time_->now()) != khive::BreakerState::closed) time_->run_for(30s);
    auto next = client->get("/next").send();
    CHECK(time_->run(std::move(next)).text() == "hello");
    check_combined_tokens();
}

/// Frames were destroyed where they stood; what the policies have handed out is back all the same.
inline void CallWorld::check_without_context()
{
    const double there_should_be = tokens_there();
    const double sent = seen();
    const TimePoint now = time_->now();
    client.reset();
    if (how_ == How::owned_strand) call_.reset(); // it holds the strand, which must not outlive its context
    time_.reset();

    const double left = kind_.setup.combined ? drain_combined(now) : limiter.tokens(now);
    const double taken = std::floor(there_should_be - left + 1e-3);
    CHECK(taken >= sent - kind_.most_unpaid);                       // what has arrived,
    CHECK(taken <= sent + 1 + static_cast<double>(others_.size())); // and perhaps what was on its way
    if (!kind_.setup.combined) CHECK(std::abs(taken - (there_should_be - left)) < 1e-3);
    CHECK(executor.stats().running + combined.stats().running == 0);
    CHECK(executor.stats().queued + combined.stats().queued == 0);
    CHECK(limiter.waiting() == 0);
    const auto stats = breaker.stats(now);
    CHECK(stats.admitted == stats.succeeded + stats.failed + stats.neutral + stats.late);
    CHECK(executor.try_enter(now).has_value());
}

} // namespace khive_tests

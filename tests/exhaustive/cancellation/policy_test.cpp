// SPDX-License-Identifier: BSL-1.0
// Every verb of the policies alone, interrupted in every way at every point where it is suspended.
#include "support/guarded.hpp"
#include "support/stepwise.hpp"
#include "support/tally.hpp"

#include <khive/core/exceptions.hpp>
#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include "support/catch.hpp"

#include <boost/asio/cancellation_state.hpp>

#include <array>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace khive_tests::policy_test {

using namespace std::chrono_literals;
using khive::Duration;
using khive::TimePoint;
using khive::testing::VirtualTime;
namespace asio = boost::asio;

namespace {

Tally interruptions{"suspension points interrupted"};

/// What happens to the verb in the middle of it.
enum class How {
    terminal,     ///< cancelled by a signal of that type
    total,        ///< likewise
    later,        ///< an hour passes right there, which is more than any of its timeouts
    shut_down,    ///< the executors are shut down, with no time left
    no_handle,    ///< the last handles of the policies go, but for those of the verb
    context       ///< the execution context is destroyed
};

struct Policies {
    khive::TokenBucketRateLimiter limiter{{.rate = 1, .burst = 1'000'000, .initial_tokens = 4}};
    khive::AsyncExecutor executor{{.max_concurrency = 2}};
    khive::RateLimitedExecutor combined{{.rate = 1, .burst = 1'000'000, .initial_tokens = 3, .max_concurrency = 2}};
    khive::CircuitBreaker breaker{{.consecutive_failures = 3, .open_for = 10s, .open_jitter = 0}};
    khive::RetryWithBackoff retry = exact_retry();
};

using Verb = asio::awaitable<void>;

struct VerbKind {
    const char* name;
    /// The verb, not yet begun.
    Verb (*make)(Policies&);
    std::set<std::string> ends = {"value"}; ///< if left alone or if time passes
    /// What has happened before.
    void (*prepare)(Policies&, VirtualTime&) = [](Policies&, VirtualTime&) {};
    /// What it takes from the limiter if it ends well; nothing otherwise.
    std::optional<double> cost = 0;
};

template <class T>
Verb discard(asio::awaitable<T> operation)
{
    (void)co_await std::move(operation);
}

asio::awaitable<int> nap()
{
    co_await take(1s);
    co_return 1;
}

template <class Executor>
Verb submit_and_join(Executor executor)
{
    const asio::any_io_executor own = co_await asio::this_coro::executor;
    auto first = executor.submit(own, &nap);
    auto second = executor.submit(own, &nap);
    auto third = executor.submit(own, &nap);
    (void)co_await std::move(third).join();
    (void)co_await std::move(first).join();
}

template <class Executor>
Verb submit_and_shut_down(Executor executor)
{
    const asio::any_io_executor own = co_await asio::this_coro::executor;
    auto first = executor.submit(own, &nap);
    auto second = executor.submit(own, &nap);
    auto third = executor.submit(own, &nap);
    (void)co_await executor.shutdown(5s);
}

const std::vector<int>& six()
{
    static const std::vector<int> numbers{1, 2, 3, 4, 5, 6};
    return numbers;
}

void empty_buckets(Policies& policies, VirtualTime& time)
{
    REQUIRE(policies.limiter.try_acquire(3, time.now()));
    auto grant = policies.combined.try_dispatch(3, time.now());
    grant.value().spend();
}

void half_open(Policies& policies, VirtualTime& time)
{
    for (int i = 0; i < 3; ++i) {
        auto ticket = policies.breaker.try_admit(time.now());
        ticket.value().record(khive::Outcome{.verdict = khive::Verdict::failure}, time.now());
    }
    time.run_for(10s);
}

const VerbKind verbs[] = {
    {"limiter.acquire", [](Policies& p) { return p.limiter.acquire(); }, {"value"}, [](Policies&, VirtualTime&) {}, 1},
    {"limiter.acquire that waits", [](Policies& p) { return p.limiter.acquire({.cost = 2}); }, {"value"}, &empty_buckets, 2},
    {"limiter.acquire with a bound",
     [](Policies& p) { return p.limiter.acquire({.cost = 2, .max_wait = 5s}); },
     {"value"},
     &empty_buckets,
     2},
    {"limiter.execute that waits",
     [](Policies& p) { return discard(p.limiter.execute(&nap)); },
     {"value"},
     &empty_buckets,
     std::nullopt},
    {"executor.execute", [](Policies& p) { return discard(p.executor.execute(&nap)); }},
    {"executor.map", [](Policies& p) { return discard(p.executor.map(six(), &doubled)); }},
    {"executor.map that collects", [](Policies& p) { return discard(p.executor.map(six(), &doubled, khive::MapMode::collect)); }},
    {"executor.submit and join", [](Policies& p) { return submit_and_join(p.executor); }},
    {"executor.submit and shutdown", [](Policies& p) { return submit_and_shut_down(p.executor); }},
    {"combined.execute that waits", [](Policies& p) { return discard(p.combined.execute(&nap)); }, {"value"}, &empty_buckets},
    {"combined.map", [](Policies& p) { return discard(p.combined.map(six(), &doubled)); }},
    {"combined.submit and join", [](Policies& p) { return submit_and_join(p.combined); }},
    {"combined.submit and shutdown", [](Policies& p) { return submit_and_shut_down(p.combined); }},
    {"breaker.execute", [](Policies& p) { return discard(p.breaker.execute(&nap)); }},
    {"breaker.execute as a probe", [](Policies& p) { return discard(p.breaker.execute(&nap)); }, {"value"}, &half_open},
    {"retry.execute", [](Policies& p) { return discard(p.retry.execute(&second_time_lucky)); }},
    {"retry.execute with timeouts",
     [](Policies&) {
         const khive::RetryWithBackoff limited({.jitter = khive::Jitter::none, .attempt_timeout = 5s, .total_timeout = 60s});
         return discard(limited.execute(&second_time_lucky));
     },
     {"value", "timeout", "not yet"}},
};

std::string end_of(khive::testing::Started<void>& started)
{
    if (!started.done()) return "not at all";
    try {
        started.get();
        return "value";
    } catch (const khive::APIClientError& error) {
        return std::string(to_string(error.error().kind()));
    } catch (const boost::system::system_error& error) {
        return error.code() == asio::error::operation_aborted ? "aborted" : error.what();
    } catch (const std::exception& error) {
        return error.what();
    }
}

Verb listening(Verb verb)
{
    co_await asio::this_coro::reset_cancellation_state(asio::enable_total_cancellation());
    co_await std::move(verb);
}

/// A verb of a policy, and what interrupts it.
class VerbWorld {
public:
    VerbWorld(const VerbKind& kind, How how) : how_(how), kind_(kind)
    {
        REQUIRE(policies_->limiter.try_acquire(1, time_->now())); // its clock starts with the first token
        kind.prepare(*policies_, *time_);
        tokens_ = policies_->limiter.tokens(time_->now()) - std::chrono::duration<double>(time_->elapsed()).count();
    }

    void begin() { verb_.emplace(time_->start(listening(kind_.make(*policies_)))); }
    [[nodiscard]] bool done() const { return verb_->done(); }
    [[nodiscard]] VirtualTime& time() { return *time_; }

    void interrupt()
    {
        interruptions.add(1);
        switch (how_) {
        case How::terminal: return verb_->cancel(asio::cancellation_type::terminal);
        case How::total: return verb_->cancel(asio::cancellation_type::total);
        case How::later: return time_->service().advance_to(time_->now() + 1h);
        case How::shut_down:
            time_->spawn(discard(policies_->executor.shutdown(0s)));
            time_->spawn(discard(policies_->combined.shutdown(0s)));
            return;
        case How::no_handle: return policies_.reset();
        case How::context: return;
        }
    }

    void finish()
    {
        if (how_ == How::context) {
            time_.reset();
            time_ = std::make_unique<VirtualTime>();
        } else {
            REQUIRE(step_until(*time_, [this] { return done(); }));
            check_end();
            time_->run_for(1h); // submitted tasks may have outlived it, and buckets are full enough
        }
        if (!policies_) return; // nothing but the sanitizer sees that all is well
        check_permits();
        if (how_ != How::shut_down && kind_.name != std::string("executor.submit and shutdown") &&
            kind_.name != std::string("combined.submit and shutdown"))
            check_next();
    }

private:
    void check_end()
    {
        std::set<std::string> allowed = kind_.ends;
        if (how_ == How::terminal || how_ == How::total) allowed.insert({"cancelled", "aborted"});
        if (how_ == How::shut_down) allowed.insert({"closed", "cancelled", "aborted"});
        const std::string end = end_of(*verb_);
        INFO("it ended with: " << end);
        CHECK(allowed.contains(end));
    }

    void check_permits()
    {
        CHECK(policies_->executor.stats().running + policies_->combined.stats().running == 0);
        CHECK(policies_->executor.stats().queued + policies_->combined.stats().queued == 0);
        CHECK(policies_->limiter.waiting() == 0);
        if (kind_.cost && how_ != How::context) {
            const double elapsed = std::chrono::duration<double>(time_->elapsed()).count();
            const double spent = tokens_ + elapsed - policies_->limiter.tokens(time_->now());
            CHECK(std::abs(spent - (end_of(*verb_) == "value" ? *kind_.cost : 0)) < 1e-3);
        }
        const auto stats = policies_->breaker.stats(time_->now());
        CHECK(stats.admitted == stats.succeeded + stats.failed + stats.neutral + stats.late);
    }

    void check_next()
    {
        auto acquire = policies_->limiter.acquire();
        time_->run(std::move(acquire));
        for (int i = 0; i < 3; ++i) { // one more than there are slots
            CHECK(time_->run(policies_->executor.execute(&nap)) == 1);
            CHECK(time_->run(policies_->combined.execute(&nap)) == 1);
        }
        if (policies_->breaker.state(time_->now()) == khive::BreakerState::open) time_->run_for(10s);
        CHECK(time_->run(policies_->breaker.execute(&nap)) == 1);
        CHECK(time_->run(policies_->retry.execute(&nap)) == 1);
    }

    How how_;
    const VerbKind& kind_;
    std::unique_ptr<VirtualTime> time_ = std::make_unique<VirtualTime>();
    std::optional<Policies> policies_{std::in_place};
    std::optional<khive::testing::Started<void>> verb_;
    double tokens_ = 0; ///< there at the beginning, less what time had brought
};

void interrupt_all(How how)
{
    for (const VerbKind& kind : verbs) {
        INFO(kind.name);
        const auto points = interrupt_after_every_step([&] { return std::make_unique<VerbWorld>(kind, how); },
                                                       [](VerbWorld& world) { world.interrupt(); });
        CHECK(points >= 1);
    }
}

} // namespace

TEST_CASE("Policies: cancelled at any point their verbs end, and leave nothing behind", "[exhaustive][cancellation]")
{
    interrupt_all(GENERATE(How::terminal, How::total));
}

TEST_CASE("Policies: whatever the time is at any point, their verbs end and leave nothing behind", "[exhaustive][cancellation]")
{
    interrupt_all(How::later);
}

TEST_CASE("Policies: shut down at any point, their verbs end and leave nothing behind", "[exhaustive][cancellation]")
{
    interrupt_all(How::shut_down);
}

TEST_CASE("Policies: without a handle at any point, their verbs end", "[exhaustive][cancellation]")
{
    interrupt_all(How::no_handle);
}

TEST_CASE("Policies: whose caller is destroyed at any point get everything back", "[exhaustive][cancellation]")
{
    interrupt_all(How::context);
}

} // namespace khive_tests::policy_test

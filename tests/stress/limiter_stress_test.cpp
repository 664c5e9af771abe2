// SPDX-License-Identifier: BSL-1.0
// TokenBucketRateLimiter and RateLimitedExecutor under several threads: short bounds, cancellation, changes of rate, the last
// handle let go.
#include "stress/stress.hpp"

#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

namespace khive_tests::limiter_stress_test {

namespace {

constexpr double fastest = 50'000;
constexpr double largest_burst = 10;

/// What was let through; no more than `burst + rate * t`.
class Meter {
public:
    void add(double cost) noexcept { spent_.fetch_add(static_cast<std::int64_t>(cost)); }
    [[nodiscard]] bool within_bound() const
    {
        const double bound = largest_burst + fastest * to_seconds(Clock::now() - began_);
        return static_cast<double>(spent_.load()) <= bound;
    }

private:
    TimePoint began_ = Clock::now();
    std::atomic<std::int64_t> spent_{0};
};

asio::awaitable<void> note(Meter* meter, double cost)
{
    meter->add(cost);
    co_return;
}

asio::awaitable<void> acquire_once(TokenBucketRateLimiter limiter, Meter* meter, AcquireOptions options, int how)
{
    if (how == 0) {
        auto fn = [meter, cost = options.cost] { return note(meter, cost); };
        auto executing = limiter.execute(fn, options);
        co_await std::move(executing);
    } else if (how == 1) {
        auto acquiring = limiter.acquire_or_error(options);
        const auto acquired = co_await std::move(acquiring);
        if (acquired) meter->add(options.cost);
    } else {
        // A permit by hand, given back or spent.
        auto token = limiter.try_take(options.cost, Clock::now());
        if (!token) co_return;
        KHIVE_YIELD_POINT();
        if (how == 2) co_return;
        token->spend();
        meter->add(options.cost);
    }
}

void change_rate(TokenBucketRateLimiter limiter, Dice& dice)
{
    limiter.set_rate(dice.real(2'000, fastest), dice.chance(0.5) ? std::optional(dice.real(3, largest_burst)) : std::nullopt);
}

} // namespace

TEST_CASE("Stress: a limiter keeps its bound while it is cancelled and changed, and serves everybody", "[stress][limiter]")
{
    Threads threads;
    Rounds rounds("limiter");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        Meter meter;
        TokenBucketRateLimiter limiter{{.rate = 20'000, .burst = largest_burst, .max_waiters = 30}};
        Callers callers(threads);
        for (int i = 0; i < 60; ++i) {
            AcquireOptions options{.cost = static_cast<double>(dice.whole(1, 3))};
            if (dice.chance(0.3)) options.max_wait = std::chrono::microseconds{dice.whole(1, 300)};
            callers.start(dice, acquire_once(limiter, &meter, options, dice.whole(0, 3)));
            if (dice.chance(0.3)) callers.cancel_one(dice);
            if (dice.chance(0.1)) change_rate(limiter, dice);
            CHECK(limiter.tokens() <= largest_burst);
        }
        rounds.count(callers.size(), callers.cancelled());

        REQUIRE(callers.missing() == 0);
        CHECK(meter.within_bound());
        CHECK(limiter.waiting() == 0);
        CHECK(eventually([&] { return limiter.try_acquire(3); }));
    }
}

TEST_CASE("Stress: a limiter goes with the last of its handles and tokens, once", "[stress][limiter]")
{
    using Token = TokenBucketRateLimiter::Token;
    Rounds rounds("limiter, lifetime");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        std::optional<TokenBucketRateLimiter> limiter{TokenBucketRateLimiter{{.rate = 1, .burst = 100}}};
        std::atomic<bool> go{false};
        std::vector<std::thread> threads;
        for (unsigned i = 0; i < 3; ++i) {
            std::vector<Token> tokens;
            for (int n = dice.whole(0, 3); n > 0; --n) tokens.push_back(*limiter->try_take(1, Clock::now()));
            rounds.count(tokens.size(), 0);
            threads.emplace_back([&go, tokens = std::move(tokens), spends = dice.chance(0.5)]() mutable {
                while (!go) std::this_thread::yield();
                for (auto& token : tokens)
                    if (spends) token.spend();
                tokens.clear();
            });
        }
        threads.emplace_back([&go, &limiter] {
            while (!go) std::this_thread::yield();
            limiter.reset();
        });
        go = true;
        for (auto& thread : threads) thread.join();
    }
}

namespace {

asio::awaitable<void> count_in(Meter* meter, Gauge* gauge, double cost, int length)
{
    const Gauge::Inside inside(*gauge);
    meter->add(cost);
    if (length > 0) {
        auto napping = nap(std::chrono::microseconds{length});
        co_await std::move(napping);
    }
}

struct Books {
    Meter meter;
    Gauge gauge;
};

asio::awaitable<void> execute_once(RateLimitedExecutor executor, Books* books, double cost, int length)
{
    auto fn = [books, cost, length] { return count_in(&books->meter, &books->gauge, cost, length); };
    auto executing = executor.execute(fn, cost);
    co_await std::move(executing);
}

/// As a client does that waits for a connection: gives the token back and pays again.
asio::awaitable<void> dispatch_once(RateLimitedExecutor executor, Books* books, double cost, Duration patience)
{
    const TimePoint deadline = patience == unlimited ? no_deadline : Clock::now() + patience;
    async::WaitRequest request;
    request.cost = cost;
    request.deadline = deadline;
    auto dispatching = executor.dispatch(request);
    auto grant = co_await std::move(dispatching);
    if (!grant) co_return;
    std::optional<Gauge::Inside> inside(std::in_place, books->gauge);
    grant->refund();
    KHIVE_YIELD_POINT();
    if (!executor.try_charge(*grant, cost, Clock::now())) {
        inside.reset(); // where it fails, `charge` gives the slot back before it says so
        auto charging = executor.charge(std::move(*grant), request);
        auto charged = co_await std::move(charging);
        if (!charged) co_return;
        *grant = std::move(*charged);
        inside.emplace(books->gauge);
    }
    grant->spend();
    books->meter.add(cost);
}

asio::awaitable<void> shut_down(RateLimitedExecutor executor)
{
    auto ending = executor.shutdown(unlimited);
    (void)co_await std::move(ending);
}

} // namespace

TEST_CASE("Stress: a rate-limited executor keeps both bounds and ends with nothing held", "[stress][limiter][executor]")
{
    Threads threads;
    Rounds rounds("rate-limited executor");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        Books books;
        RateLimitedExecutor executor{{.rate = 20'000, .burst = largest_burst, .max_concurrency = 3}};
        Callers callers(threads);
        for (int i = 0; i < 40; ++i) {
            const double cost = dice.whole(1, 3);
            const Duration patience = dice.chance(0.3) ? Duration{std::chrono::microseconds{dice.whole(1, 300)}} : unlimited;
            if (dice.chance(0.5))
                callers.start(dice, dispatch_once(executor, &books, cost, patience));
            else
                callers.start(dice, execute_once(executor, &books, cost, dice.whole(-100, 100)));
            if (dice.chance(0.3)) callers.cancel_one(dice);
        }
        if (dice.chance(0.5)) {
            callers.start(dice, shut_down(executor));
            for (int i = 0; i < 10; ++i) callers.cancel_one(dice);
        }
        rounds.count(callers.size(), callers.cancelled());

        REQUIRE(callers.missing() == 0);
        CHECK(books.meter.within_bound());
        CHECK(books.gauge.peak() <= 3);
        CHECK(books.gauge.inside() == 0);
        CHECK(eventually([&] { return executor.stats().running == 0; }));
        CHECK(executor.stats().queued == 0);
    }
}

} // namespace khive_tests::limiter_stress_test

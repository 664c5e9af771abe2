// SPDX-License-Identifier: BSL-1.0
// RetryWithBackoff, sleeps and the time service under several threads: timeouts of microseconds and cancellation at any moment.
#include "stress/stress.hpp"

#include <khive/async/time_service.hpp>
#include <khive/policy/retry_with_backoff.hpp>

#include <array>
#include <set>

namespace khive_tests::retry_stress_test {

namespace {

struct Tally {
    Gauge gauge;
    std::atomic<int> wrong{0};
};

struct Plan {
    int length;        ///< of an attempt, microseconds
    unsigned succeeds; ///< with which attempt
};

asio::awaitable<unsigned> attempt(Tally* tally, Plan plan, unsigned number)
{
    const Gauge::Inside inside(tally->gauge);
    co_await asio::this_coro::executor;
    if (plan.length > 0) {
        auto napping = nap(std::chrono::microseconds{plan.length});
        co_await std::move(napping);
    }
    if (number < plan.succeeds) Error{ErrorKind::connect}.with_retryable(true).raise();
    co_return number;
}

asio::awaitable<void> retry_once(RetryWithBackoff retry, Tally* tally, Plan plan)
{
    auto fn = [tally, plan](unsigned number) { return attempt(tally, plan, number); };
    auto retrying = retry.execute(fn);
    const unsigned number = co_await std::move(retrying);
    if (number < plan.succeeds) tally->wrong.fetch_add(1);
}

asio::awaitable<void> sleep_once(Tally* tally, std::shared_ptr<async::WaitScope> scope, int length)
{
    const TimePoint due = Clock::now() + std::chrono::microseconds{length};
    auto sleeping = async::sleep_until(due, std::move(scope));
    const bool slept = co_await std::move(sleeping);
    if (slept && Clock::now() < due) tally->wrong.fetch_add(1); // early
}

} // namespace

TEST_CASE("Stress: a retried call ends once, after its last attempt", "[stress][retry]")
{
    Threads threads;
    Rounds rounds("retry");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        const RetryWithBackoff retry{{.max_attempts = 4,
                                      .base_delay = 20us,
                                      .max_delay = 100us,
                                      .attempt_timeout = dice.chance(0.8) ? Duration{100us} : unlimited,
                                      .total_timeout = dice.chance(0.5) ? Duration{500us} : unlimited}};
        Tally tally;
        Callers callers(threads);
        for (int i = 0; i < 30; ++i) {
            callers.start(dice, retry_once(retry, &tally, {dice.whole(-50, 150), static_cast<unsigned>(dice.whole(1, 5))}));
            if (dice.chance(0.5)) callers.cancel_one(dice);
        }
        rounds.count(callers.size(), callers.cancelled());

        REQUIRE(callers.missing() == 0);
        CHECK(tally.gauge.inside() == 0);
        CHECK(tally.wrong == 0);
    }
    CHECK(async::time_service(threads.main().get_executor()).armed() == 0);
    CHECK(async::time_service(threads.side().get_executor()).armed() == 0);
}

TEST_CASE("Stress: of shared random numbers each is given out once", "[stress][random]")
{
    constexpr std::size_t each = 2'000;
    Rounds rounds("random");
    Random random(rounds.seed());
    std::array<std::vector<std::uint64_t>, 4> taken;
    std::vector<std::thread> threads;
    for (auto& numbers : taken)
        threads.emplace_back([&numbers, &random] {
            for (std::size_t i = 0; i < each; ++i) numbers.push_back(random.next());
        });
    for (auto& thread : threads) thread.join();

    std::set<std::uint64_t> all;
    for (const auto& numbers : taken) all.insert(numbers.begin(), numbers.end());
    CHECK(all.size() == each * taken.size());
}

TEST_CASE("Stress: a sleep ends once and never early, also when its scope closes", "[stress][time]")
{
    Threads threads;
    Rounds rounds("sleep");
    while (rounds.more()) {
        Dice dice = rounds.dice();
        Tally tally;
        const auto scope = std::make_shared<async::WaitScope>();
        Callers callers(threads);
        const bool closes = dice.chance(0.7);
        for (int i = 0; i < 40; ++i) {
            const bool for_ever = closes && dice.chance(0.2);
            callers.start(dice, sleep_once(&tally, scope, for_ever ? 100'000'000 : dice.whole(-20, 200)));
            if (dice.chance(0.5)) callers.cancel_one(dice);
            if (closes && i == 30) scope->close(Error{ErrorKind::closed});
        }
        rounds.count(callers.size(), callers.cancelled());

        REQUIRE(callers.missing() == 0);
        CHECK(tally.wrong == 0);
    }
    CHECK(async::time_service(threads.main().get_executor()).armed() == 0);
    CHECK(async::time_service(threads.side().get_executor()).armed() == 0);
}

namespace {

/// A deadline that moves, as a connection's does: set under a lock, then armed.
class Deadline final : public async::TimerNode {
public:
    explicit Deadline(async::TimeService& time) : time_(time) {}
    ~Deadline()
    {
        time_.disarm(*this);
        gone_ = true;
    }
    void set(TimePoint due)
    {
        {
            const std::lock_guard lock(mutex_);
            due_ = due;
        }
        KHIVE_YIELD_POINT();
        time_.arm(*this, due);
    }
    /// It has been told of the deadline that was set last.
    [[nodiscard]] bool fired() const
    {
        const std::lock_guard lock(mutex_);
        return due_ == no_deadline;
    }
    [[nodiscard]] bool wrong() const noexcept { return wrong_; }

private:
    TimePoint on_time(TimePoint now) noexcept override
    {
        if (gone_) wrong_ = true;
        const std::lock_guard lock(mutex_);
        if (due_ > now) return due_; // of an earlier wish, or already served
        due_ = no_deadline;
        return no_deadline;
    }

    async::TimeService& time_;
    mutable std::mutex mutex_;
    TimePoint due_ = no_deadline;
    bool gone_ = false;
    std::atomic<bool> wrong_{false};
};

} // namespace

TEST_CASE("Stress: a deadline that is moved from several threads is not lost, and silent once it is taken back", "[stress][time]")
{
    Threads threads;
    auto& time = async::time_service(threads.main().get_executor());
    Rounds rounds("time service");
    while (rounds.more()) {
        std::array<std::optional<Deadline>, 4> deadlines;
        for (auto& deadline : deadlines) deadline.emplace(time);
        std::vector<std::thread> movers;
        for (unsigned who = 0; who < 2; ++who)
            movers.emplace_back([&, who] {
                Dice dice = rounds.dice(who);
                for (int i = 0; i < 50; ++i) {
                    auto& deadline = deadlines[static_cast<std::size_t>(dice.whole(0, 3))];
                    deadline->set(Clock::now() + std::chrono::microseconds{dice.whole(0, 60)});
                    if (dice.chance(0.2)) spin(30us);
                }
            });
        for (auto& mover : movers) mover.join();
        rounds.count(100, 0);

        for (const auto& deadline : deadlines) {
            CHECK(eventually([&] { return deadline->fired(); }));
            CHECK_FALSE(deadline->wrong());
        }
        for (auto& deadline : deadlines) {
            deadline->set(Clock::now() + 10us); // about to fire while it goes
            deadline.reset();
        }
    }
    CHECK(time.armed() == 0);
}

} // namespace khive_tests::retry_stress_test

// SPDX-License-Identifier: BSL-1.0
// What must hold for every schedule of calls through a client whose pool is smaller than what its policies let through.
#include <khive/policy/async_executor.hpp>
#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include "support/catch.hpp"
#include "support/dice.hpp"
#include "support/scripted_client.hpp"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

namespace khive_tests::client_schedules_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::Started;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

namespace {

/// A dispatch policy of a user's own that cannot charge a grant again.
class PlainDispatch {
public:
    struct Grant {
        explicit Grant(RateLimitedExecutor::Grant from) : inner(std::move(from)) {}
        void spend() noexcept { inner.spend(); }
        RateLimitedExecutor::Grant inner;
    };

    explicit PlainDispatch(const RateLimitedExecutorOptions& options) : inner_(options) {}
    std::optional<Grant> try_dispatch(double cost, TimePoint now)
    {
        auto grant = inner_.try_dispatch(cost, now);
        if (!grant) return std::nullopt;
        return Grant(std::move(*grant));
    }
    asio::awaitable<Result<Grant>> dispatch(async::WaitRequest request)
    {
        auto grant = co_await inner_.dispatch(request);
        if (!grant) co_return grant.error();
        co_return Grant(std::move(*grant));
    }
    std::optional<Error> check_cost(double cost) { return inner_.check_cost(cost); }
    ExecutorStats stats() const { return inner_.stats(); }

private:
    RateLimitedExecutor inner_;
};
static_assert(DispatchPolicy<PlainDispatch> && !ChargesGrants<PlainDispatch>);

/// A limited client of a server that stalls now and then, and what it may do.
struct Limits {
    explicit Limits(Dice& dice)
        : rate(dice.real(5, 100)),
          burst(dice.whole(1, 6)),
          slots(static_cast<std::size_t>(dice.whole(1, 8))),
          connections(static_cast<std::size_t>(dice.whole(1, 3)))
    {}

    [[nodiscard]] RateLimitedExecutorOptions both() const
    {
        return {.rate = rate, .burst = burst, .max_concurrency = slots};
    }
    [[nodiscard]] TokenBucketOptions bucket() const { return {.rate = rate, .burst = burst}; }
    [[nodiscard]] AsyncExecutorOptions executor() const { return {.max_concurrency = slots}; }
    [[nodiscard]] ClientOptions client() const
    {
        ClientOptions options("http://api.test");
        options.timeouts({.pool_wait = unlimited, .read_stall = unlimited, .total = unlimited});
        options.pool({.max_connections = connections});
        return options;
    }

    double rate;
    double burst;
    std::size_t slots;
    std::size_t connections;
};

/// The most that any interval admits beyond `rate * t`.
double largest_burst(const std::vector<ReceivedRequest>& requests, double rate)
{
    double level = 0;
    double largest = 0;
    TimePoint last{};
    for (const auto& request : requests) {
        level = std::max(0.0, level - to_seconds(request.time - last) * rate) + 1;
        largest = std::max(largest, level);
        last = request.time;
    }
    return largest;
}

template <class Client>
void run_schedule(VirtualTime& time, const Client& api, const Limits& limits, Dice& dice)
{
    api.server().otherwise([&dice](const ReceivedRequest&) {
        Reply reply = ok();
        if (dice.chance(0.1)) reply.after(std::chrono::milliseconds{dice.whole(500, 3000)});
        if (dice.chance(0.1)) reply.then_close();
        return reply;
    });
    std::vector<Started<Result<Response>>> calls;
    for (int who = 0; who < 40; ++who) {
        calls.push_back(time.start(api.get("/").try_send()));
        time.run_for(0s);
        if (dice.chance(0.3)) time.run_for(from_seconds(dice.real(0, 3 / limits.rate)));
        if (dice.chance(0.1)) calls[static_cast<std::size_t>(dice.whole(0, who))].cancel();
    }
    time.run_for(10min);

    CHECK(std::ranges::all_of(calls, [](const auto& call) { return call.done(); }));
    for (auto& call : calls) {
        const auto result = call.get();
        CHECK((result || result.error().kind() == ErrorKind::cancelled));
    }
    CHECK(largest_burst(api.server().requests(), limits.rate) <= limits.burst * (1 + 1e-6));
    CHECK(api.server().open_connections() <= limits.connections);
}

} // namespace

TEMPLATE_TEST_CASE_SIG("AsyncAPIClient: a pool smaller than the executor keeps the limiter's bound",
                       "[client][property][CO-1]", ((unsigned First), First), 0U, 100U, 200U, 300U)
{
    Dice dice(GENERATE(range(First, First + 100U)));
    const Limits limits(dice);
    VirtualTime time;
    const AsyncExecutor executor(limits.executor());
    const TokenBucketRateLimiter limiter(limits.bucket());
    run_schedule(time, scripted_client(time, {}, limits.client(), executor, limiter), limits, dice);

    CHECK(executor.stats().running == 0);
    CHECK(executor.stats().peak <= limits.slots);
    CHECK(limiter.waiting() == 0);
    CHECK(limiter.tokens(time.now()) == Approx(limits.burst));
}

TEMPLATE_TEST_CASE_SIG("AsyncAPIClient: a pool smaller than the rate-limited executor keeps its bounds",
                       "[client][property][CO-1]", ((unsigned First), First), 0U, 100U, 200U, 300U)
{
    Dice dice(GENERATE(range(First, First + 100U)));
    const Limits limits(dice);
    VirtualTime time;
    const RateLimitedExecutor both(limits.both());
    run_schedule(time, scripted_client(time, {}, limits.client(), both), limits, dice);

    CHECK(both.stats().running == 0);
    CHECK(both.stats().queued == 0);
    CHECK(both.stats().peak <= limits.slots);
}

TEMPLATE_TEST_CASE_SIG("AsyncAPIClient: a pool smaller than a dispatch policy of one's own keeps its bounds",
                       "[client][property][CO-1]", ((unsigned First), First), 0U, 100U)
{
    Dice dice(GENERATE(range(First, First + 100U)));
    const Limits limits(dice);
    VirtualTime time;
    const PlainDispatch both(limits.both());
    run_schedule(time, scripted_client(time, {}, limits.client(), both), limits, dice);

    CHECK(both.stats().running == 0);
    CHECK(both.stats().queued == 0);
}

} // namespace khive_tests::client_schedules_test

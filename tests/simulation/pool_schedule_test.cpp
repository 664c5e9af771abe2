// SPDX-License-Identifier: BSL-1.0
// Random schedules of calls, cancellations, time, faults and closing against one pool, and what must hold after every step.
#include "unit/net/net_world.hpp"

#include <khive/core/random.hpp>

#include "support/catch.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace khive_tests::pool_schedule_test {

using namespace khive::testing;

namespace {

/// What a family of schedules is like.
struct Profile {
    std::size_t max_connections = 3;
    std::size_t max_per_origin = 0;
    std::size_t max_waiting = 8;
    double faults = 0.2;   ///< how often an answer is spoilt
    bool outages = true;   ///< servers die, refuse and fall silent
    bool shuts_down = false; ///< in the middle of it all
};

/// A call as the client's loop makes it, with stale replay. `answer` is what its own server sends for it.
asio::awaitable<Result<std::string>> call(PoolPtr pool, Entry* entry, std::shared_ptr<Sending> sending)
{
    bool fresh = false;
    for (;;) {
        auto lease = co_await lease_from(pool, entry, sending->deadline, sending->checkout, fresh);
        if (!lease) co_return lease.error();
        net::ConnectionPtr connection(&**lease);
        auto got = co_await exchange_on(std::move(connection), sending);
        if (got.end.ok()) co_return got.body;
        if (fresh || !got.end.stale(true)) co_return got.end.error;
        lease->reset();
        pool->discard_idle(*entry);
        fresh = true;
    }
}

class Schedule {
public:
    Schedule(std::uint64_t seed, const Profile& profile) : random_(seed), profile_(profile)
    {
        world_.network->shuffle(seed);
        world_.timeouts = {3s, {2s, 3s, 2s}};
        world_.open_pool({.max_connections = profile.max_connections,
                          .max_per_origin = profile.max_per_origin,
                          .max_waiting = profile.max_waiting,
                          .idle_timeout = 4s,
                          .max_lifetime = 15s});
        world_.server->otherwise([this](const ReceivedRequest& request) { return reply_to(request); });
        for (std::size_t i = 0; i < addresses_.size(); ++i) {
            addresses_[i] = &world_.network->serve(host(i), 80, world_.server).latency(1ms).jitter(5ms).connect_delay(3ms);
            entries_[i] = &world_.entry(host(i));
        }
    }

    /// Empty, or what did not hold.
    std::string run(int steps)
    {
        for (int i = 0; i < steps; ++i) {
            act();
            if (auto wrong = check(); !wrong.empty()) return wrong + " after step " + std::to_string(i);
        }
        return finish();
    }

private:
    struct Running {
        Started<Result<std::string>> call;
        std::string expected;
    };

    static std::string host(std::size_t index) { return "host" + std::to_string(index) + ".test"; }
    [[nodiscard]] std::uint64_t below(std::uint64_t limit) { return random_.next() % limit; }
    [[nodiscard]] bool chance(double ratio) { return random_.uniform() < ratio; }
    [[nodiscard]] SimulatedAddress& any_address() { return *addresses_[below(addresses_.size())]; }

    void act()
    {
        switch (below(12)) {
        case 0: case 1: case 2: case 3: return start_call();
        case 4: return cancel_one();
        case 5: return world_.time.settle();
        case 6: return world_.time.run_for(Duration{std::chrono::milliseconds{below(20)}});
        case 7: return world_.time.run_for(Duration{std::chrono::milliseconds{below(3000)}});
        case 8: return void(world_.server->do_to_all(chance(0.5) ? close_without_answer() : reset()));
        case 9: if (profile_.outages) outage(); return;
        case 10: return world_.pool->discard_idle(*entries_[below(entries_.size())]);
        default: if (profile_.shuts_down && chance(0.1)) world_.pool->shut_down(); return;
        }
    }

    void start_call()
    {
        const std::size_t to = below(entries_.size());
        const std::string path = "/" + host(to) + "/" + std::to_string(++calls_);
        Sending sending = a_get(path);
        sending.timeouts = {1s, 1s, 1s};
        sending.deadline = {world_.time.now() + std::chrono::milliseconds{1 + below(8000)}, Timer::total, 8s};
        running_.push_back({world_.time.start(call(world_.pool, entries_[to], std::make_shared<Sending>(sending))), path});
    }

    void cancel_one()
    {
        if (!running_.empty()) running_[below(running_.size())].call.cancel();
    }

    void outage()
    {
        switch (below(4)) {
        case 0: any_address().reset_connections(); break;
        case 1: any_address().refuse(); break;
        case 2: any_address().black_hole(); break;
        default: for (auto* address : addresses_) address->accept(); break;
        }
    }

    Reply reply_to(const ReceivedRequest& request)
    {
        Reply reply = ok(request.target + std::string(below(200), '.'));
        if (chance(0.3)) reply.after(Duration{std::chrono::milliseconds{below(300)}});
        if (chance(0.2)) reply.chunked(16);
        if (chance(0.2)) reply.in_pieces(30, 1ms);
        if (!chance(profile_.faults)) return reply;
        switch (below(7)) {
        case 0: return no_answer();
        case 1: return reset();
        case 2: return close_without_answer();
        case 3: return reply.cut_after(below(80)).then_reset();
        case 4: return reply.cut_after(below(80)).then_close();
        case 5: return reply.header("Connection", "close");
        default: return reply.followed_by("?"); // no answer begins like that
        }
    }

    std::string check()
    {
        const net::PoolCounts total = world_.pool->counts();
        net::PoolCounts sum;
        for (Entry* entry : entries_) {
            const net::PoolCounts counts = world_.pool->counts(*entry);
            sum.leased += counts.leased;
            sum.idle += counts.idle;
            sum.connecting += counts.connecting;
            sum.waiting += counts.waiting;
            if (profile_.max_per_origin != 0 && counts.open() > profile_.max_per_origin) return "over the cap of an origin";
        }
        if (NetWorld::text(sum) != NetWorld::text(total)) return "the counts do not add up";
        if (total.open() > profile_.max_connections) return "over the cap";
        if (total.waiting != world_.pool->waiting()) return "a waiter is lost";
        // Those that a dial is, or was, under way for come on top.
        if (total.waiting > profile_.max_waiting + profile_.max_connections) return "the queue is too long";
        return take_results();
    }

    /// Takes what has ended; who got another's answer?
    std::string take_results()
    {
        for (auto& running : running_) {
            if (!running.call.done() || running.expected.empty()) continue;
            const std::string expected = std::exchange(running.expected, {});
            ++ended_;
            if (running.call.error()) continue; // cancelled before it could say so
            const auto result = running.call.get();
            if (!result) continue;
            ++answered_;
            if (!result->starts_with(expected) || result->find_first_not_of('.', expected.size()) != std::string::npos)
                return "call " + expected + " got " + *result;
        }
        return {};
    }

    std::string finish()
    {
        world_.time.run_for(20s); // longer than every time limit
        if (auto wrong = check(); !wrong.empty()) return wrong + " at the end";
        if (ended_ != running_.size()) return std::to_string(running_.size() - ended_) + " calls hang";
        const net::PoolCounts counts = world_.pool->counts();
        if (counts.leased + counts.connecting + counts.waiting != 0) return "not balanced: " + NetWorld::text(counts);
        world_.pool->shut_down();
        world_.time.run_until_idle();
        if (NetWorld::text(world_.pool->counts()) != "0 0 0 0") return "not empty after the end";
        if (world_.network->open_connections() != 0) return "a connection was left open";
        return {};
    }

public:
    [[nodiscard]] std::size_t answered() const noexcept { return answered_; }

private:
    Random random_;
    Profile profile_;
    NetWorld world_;
    std::array<SimulatedAddress*, 3> addresses_{};
    std::array<Entry*, 3> entries_{};
    std::vector<Running> running_;
    std::uint64_t calls_ = 0;
    std::size_t ended_ = 0;
    std::size_t answered_ = 0;
};

void run_schedules(const Profile& profile, std::uint64_t first_seed, int count)
{
    std::size_t answered = 0;
    for (std::uint64_t seed = first_seed; seed < first_seed + static_cast<std::uint64_t>(count); ++seed) {
        Schedule schedule(seed, profile);
        const std::string wrong = schedule.run(30);
        answered += schedule.answered();
        INFO("seed " << seed);
        REQUIRE(wrong == "");
    }
    CHECK(answered > static_cast<std::size_t>(count)); // the schedules are not all failures
}

} // namespace

TEST_CASE("ConnectionPool: invariants hold on random schedules with good servers", "[net][pool][property]")
{
    run_schedules({.faults = 0.0, .outages = false}, 1, 300);
}

TEST_CASE("ConnectionPool: invariants hold on random schedules with bad servers", "[net][pool][property]")
{
    run_schedules({.faults = 0.4}, 10'000, 300);
}

TEST_CASE("ConnectionPool: invariants hold on random schedules with one connection", "[net][pool][property]")
{
    run_schedules({.max_connections = 1, .max_waiting = 20}, 20'000, 300);
}

TEST_CASE("ConnectionPool: invariants hold on random schedules with room for everybody", "[net][pool][property]")
{
    run_schedules({.max_connections = 50, .max_waiting = 50}, 25'000, 300);
}

TEST_CASE("ConnectionPool: invariants hold on random schedules with a cap per origin", "[net][pool][property]")
{
    run_schedules({.max_connections = 5, .max_per_origin = 2, .max_waiting = 20}, 30'000, 300);
}

TEST_CASE("ConnectionPool: invariants hold on random schedules that shut it down on the way", "[net][pool][property]")
{
    run_schedules({.max_connections = 2, .shuts_down = true}, 40'000, 300);
}

} // namespace khive_tests::pool_schedule_test

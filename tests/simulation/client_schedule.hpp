// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/async_api_client.hpp>
#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/rate_limited_executor.hpp>
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>
#include <khive/testing/scripted_server.hpp>
#include <khive/testing/simulated_network.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/dice.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace khive_tests {

/// Whom a limiter let through, and when: the moment of the grant, which a dial may separate from that of sending.
struct SpendLog {
    struct Spent {
        khive::TimePoint at;
        double cost;
    };
    khive::testing::VirtualTime* time;
    std::vector<Spent> spent;

    void add(khive::TimePoint granted, double cost) { spent.push_back({granted, cost}); }
};

/// khive's limiter, with a record of the tokens that were spent.
class LoggedLimiter {
public:
    struct Token {
        khive::TokenBucketRateLimiter::Token inner;
        std::shared_ptr<SpendLog> log;
        double cost;
        khive::TimePoint granted = log->time->now();
        bool is_spent = false; ///< an exchange and its replay are one attempt
        void spend() noexcept
        {
            inner.spend();
            if (!std::exchange(is_spent, true)) log->add(granted, cost);
        }
        Token(khive::TokenBucketRateLimiter::Token token, std::shared_ptr<SpendLog> to, double of)
            : inner(std::move(token)), log(std::move(to)), cost(of)
        {}
        Token(Token&&) = default;
        Token& operator=(Token&&) = default;
    };

    LoggedLimiter(khive::TokenBucketRateLimiter limiter, std::shared_ptr<SpendLog> log)
        : inner_(std::move(limiter)), log_(std::move(log))
    {}
    std::optional<Token> try_take(double cost, khive::TimePoint now)
    {
        auto token = inner_.try_take(cost, now);
        if (!token) return std::nullopt;
        return Token(std::move(*token), log_, cost);
    }
    khive::asio::awaitable<khive::Result<Token>> take(khive::async::WaitRequest request)
    {
        auto token = co_await inner_.take(request);
        if (!token) co_return token.error();
        co_return Token(std::move(*token), log_, request.cost);
    }
    std::optional<khive::Error> check_cost(double cost) { return inner_.check_cost(cost); }

private:
    khive::TokenBucketRateLimiter inner_;
    std::shared_ptr<SpendLog> log_;
};

/// The same of khive's rate-limited executor.
class LoggedDispatch {
public:
    struct Grant {
        khive::RateLimitedExecutor::Grant inner;
        std::shared_ptr<SpendLog> log;
        double cost;
        khive::TimePoint granted = log->time->now();
        bool is_spent = false; ///< an exchange and its replay are one attempt
        void spend() noexcept
        {
            inner.spend();
            if (!std::exchange(is_spent, true)) log->add(granted, cost);
        }
        void refund() noexcept { inner.refund(); }
        Grant(khive::RateLimitedExecutor::Grant grant, std::shared_ptr<SpendLog> to, double of)
            : inner(std::move(grant)), log(std::move(to)), cost(of)
        {}
        Grant(Grant&&) = default;
        Grant& operator=(Grant&&) = default;
    };

    LoggedDispatch(khive::RateLimitedExecutor executor, std::shared_ptr<SpendLog> log)
        : inner_(std::move(executor)), log_(std::move(log))
    {}
    std::optional<Grant> try_dispatch(double cost, khive::TimePoint now)
    {
        auto grant = inner_.try_dispatch(cost, now);
        if (!grant) return std::nullopt;
        return Grant(std::move(*grant), log_, cost);
    }
    khive::asio::awaitable<khive::Result<Grant>> dispatch(khive::async::WaitRequest request)
    {
        auto grant = co_await inner_.dispatch(request);
        if (!grant) co_return grant.error();
        co_return Grant(std::move(*grant), log_, request.cost);
    }
    std::optional<khive::Error> check_cost(double cost) { return inner_.check_cost(cost); }
    bool try_charge(Grant& grant, double cost, khive::TimePoint now)
    {
        if (!inner_.try_charge(grant.inner, cost, now)) return false;
        grant.is_spent = false;
        grant.granted = now;
        return true;
    }
    khive::asio::awaitable<khive::Result<Grant>> charge(Grant grant, khive::async::WaitRequest request)
    {
        auto charged = co_await inner_.charge(std::move(grant.inner), request);
        if (!charged) co_return charged.error();
        grant.inner = std::move(*charged);
        grant.is_spent = false;
        grant.granted = log_->time->now();
        co_return grant;
    }

private:
    khive::RateLimitedExecutor inner_;
    std::shared_ptr<SpendLog> log_;
};

/// One thing that happens in a schedule. What it does in detail is decided by `choice` alone, so that a schedule of which some
/// actions are taken out does with the others what it did.
struct Action {
    enum class Kind : std::uint8_t {
        call,
        cancel,
        settle,
        wait,
        break_connections,
        outage,
        isolate,
        change_rate,
        close_client
    };
    Kind kind;
    unsigned choice;
};

/// What a schedule makes of its seed before anything happens.
struct ScheduleLimits {
    explicit ScheduleLimits(unsigned seed);

    bool combined;     ///< rate and slots as one policy
    bool closes;       ///< clients are closed on the way
    bool changes_rate; ///< then the rate's bound is not checked
    bool abrupt;       ///< the world ends in the middle of it all
    double faults;     ///< how often an answer is spoilt
    double rate;
    double burst;
    std::size_t slots;
    std::size_t connections;
    std::size_t max_queue;
    unsigned max_attempts;
    bool shuffles; ///< what is ready runs in a random order
};

/// Two clients of two hosts that share a limiter and an executor, on a simulated network in virtual time.
class ClientSchedule {
public:
    explicit ClientSchedule(unsigned seed);
    ~ClientSchedule();
    ClientSchedule(const ClientSchedule&) = delete;
    ClientSchedule& operator=(const ClientSchedule&) = delete;

    /// Does all of that. Empty, or what did not hold.
    std::string run(const std::vector<Action>& actions);
    [[nodiscard]] std::size_t answered() const noexcept { return answered_; }
    [[nodiscard]] std::size_t ended() const noexcept { return ended_; }

    /// The actions of a seed.
    static std::vector<Action> actions_of(unsigned seed, std::size_t count);

private:
    using Duration = khive::Duration;
    struct Running {
        khive::testing::Started<khive::Result<khive::Response>> call;
        std::string path;
        khive::TimePoint due;
        bool is_head;
    };
    struct Side {
        std::shared_ptr<khive::testing::ScriptedServer> server;
        khive::testing::SimulatedAddress* address = nullptr;
        std::optional<khive::CircuitBreaker> breaker;
        std::optional<khive::AnyAPIClient> api;
        khive::BreakerState state = khive::BreakerState::closed;
        bool closed = false;
    };

    void add_side(std::size_t index);
    [[nodiscard]] khive::ClientOptions options(std::size_t index) const;
    void act(const Action& action);
    void jump(khive::Duration duration);
    void start_call(Dice dice);
    void outage(Dice dice);
    khive::testing::Reply reply_to(const khive::testing::ReceivedRequest& request);
    void on_state(Side& side, const khive::BreakerTransition& change);

    bool run_for(Duration duration);
    std::string check();
    std::string take_results();
    std::string check_result(const Running& call, const khive::Result<khive::Response>& result);
    std::string check_ledger(const Running& call, const khive::Ledger& ledger) const;
    std::string finish();
    std::string check_balance();
    std::string check_recovery();

    unsigned seed_;
    ScheduleLimits limits_;
    khive::testing::VirtualTime time_;
    std::shared_ptr<khive::testing::SimulatedNetwork> network_;
    std::shared_ptr<SpendLog> log_;
    khive::AsyncExecutor executor_;
    khive::TokenBucketRateLimiter limiter_;
    khive::RateLimitedExecutor both_;
    std::array<Side, 2> sides_;
    std::vector<Running> running_;
    std::vector<khive::testing::Started<bool>> closings_;
    std::map<std::string, unsigned> seen_; ///< how often the servers have got a path
    unsigned calls_ = 0;
    std::size_t answered_ = 0;
    std::size_t ended_ = 0;
    bool faultless_ = false;
    std::string wrong_;
};

/// Runs the schedule of a seed, and where something does not hold, looks for the fewest actions with which it does not. Empty,
/// or what did not hold, and how to repeat it.
std::string try_seed(unsigned seed, std::size_t& answered);

} // namespace khive_tests

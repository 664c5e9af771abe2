// SPDX-License-Identifier: BSL-1.0
#include <khive/async/time_service.hpp>

#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <array>
#include <chrono>
#include <memory>
#include <vector>

namespace khive_tests::time_service_test {

namespace asio = boost::asio;
using namespace std::chrono_literals;
using khive::TimePoint;
using khive::async::TimerNode;
using khive::async::TimeService;
using khive::testing::VirtualTime;

namespace {

/// Notes when it is called and asks for the next call as told.
class Bell final : public TimerNode {
public:
    explicit Bell(TimeService& service, std::vector<TimePoint> next = {}) : service_(service), next_(std::move(next)) {}
    Bell(const Bell&) = delete;
    Bell& operator=(const Bell&) = delete;
    ~Bell() { service_.disarm(*this); }

    std::vector<TimePoint> rung;
    int shutdowns = 0;

private:
    TimePoint on_time(TimePoint now) noexcept override
    {
        rung.push_back(now);
        return rung.size() <= next_.size() ? next_[rung.size() - 1] : khive::no_deadline;
    }
    void on_shutdown() noexcept override { ++shutdowns; }

    TimeService& service_;
    std::vector<TimePoint> next_;
};

/// Notes its name in a shared list.
class Named final : public TimerNode {
public:
    Named(std::vector<int>* order, int name) : order_(order), name_(name) {}

private:
    TimePoint on_time(TimePoint) noexcept override
    {
        order_->push_back(name_);
        return khive::no_deadline;
    }
    std::vector<int>* order_;
    int name_;
};

} // namespace

TEST_CASE("TimeService: one per context, whatever the executor", "[async]")
{
    VirtualTime time;
    const asio::any_io_executor strand = asio::make_strand(time.executor());

    CHECK(&khive::async::time_service(strand) == &time.service());
}

TEST_CASE("TimeService: calls at the time asked for and not before", "[async]")
{
    VirtualTime time;
    Bell bell(time.service());
    const TimePoint due = time.now() + 10ms;
    time.service().arm(bell, due);

    time.run_for(10ms - 1ns);
    CHECK(bell.rung.empty());
    time.run_for(1ns);
    CHECK(bell.rung == std::vector{due});
    time.run_for(1h);
    CHECK(bell.rung.size() == 1);
}

TEST_CASE("TimeService: an earlier wish moves the call forward and a later one does not move it", "[async]")
{
    VirtualTime time;
    Bell bell(time.service());
    const TimePoint start = time.now();
    time.service().arm(bell, start + 10s);

    time.service().arm(bell, start + 20s);
    CHECK(time.service().next_due() == start + 10s);
    time.service().arm(bell, start + 5s);
    CHECK(time.service().next_due() == start + 5s);
}

TEST_CASE("TimeService: a node says itself when to be called again", "[async]")
{
    VirtualTime time;
    const TimePoint start = time.now();
    Bell bell(time.service(), {start + 3s, start + 7s});
    time.service().arm(bell, start + 1s);

    time.run_for(1min);

    CHECK(bell.rung == std::vector{start + 1s, start + 3s, start + 7s});
}

TEST_CASE("TimeService: a node that asks for the past is not called for ever", "[async]")
{
    VirtualTime time;
    const TimePoint start = time.now();
    Bell bell(time.service(), {start, start});
    time.service().arm(bell, start);

    time.run_for(1s);

    CHECK(bell.rung.size() == 3);
}

TEST_CASE("TimeService: a disarmed node is not called", "[async]")
{
    VirtualTime time;
    Bell bell(time.service());
    time.service().arm(bell, time.now() + 1s);

    time.service().disarm(bell);
    time.service().disarm(bell);
    time.run_for(1min);

    CHECK(bell.rung.empty());
    CHECK_FALSE(time.service().next_due());
}

TEST_CASE("TimeService: nodes are called in the order of their times, equal ones as they came", "[async]")
{
    VirtualTime time;
    std::vector<int> order;
    Named first(&order, 1);
    Named second(&order, 2);
    Named third(&order, 3);
    const TimePoint start = time.now();
    time.service().arm(third, start + 2s);
    time.service().arm(first, start + 1s);
    time.service().arm(second, start + 1s);

    time.service().advance_to(start + 1min);

    CHECK(order == std::vector{1, 2, 3});
}

TEST_CASE("TimeService: no deadline keeps a node for the end of the context only", "[async]")
{
    auto time = std::make_unique<VirtualTime>();
    struct Waiting final : TimerNode {
        int shutdowns = 0;
        TimePoint on_time(TimePoint) noexcept override { return khive::no_deadline; }
        void on_shutdown() noexcept override { ++shutdowns; }
    } node;
    time->service().arm(node, khive::no_deadline);
    CHECK_FALSE(time->service().next_due());

    time.reset();

    CHECK(node.shutdowns == 1);
}

TEST_CASE("TimeService: real time runs by the steady clock", "[async]")
{
    asio::io_context io;
    TimeService& service = khive::async::time_service(io.get_executor());
    Bell bell(service);
    const TimePoint due = service.now() + 2ms;
    service.arm(bell, due);
    const auto work = asio::make_work_guard(io);

    while (bell.rung.empty()) io.run_one();

    CHECK(bell.rung.front() >= due);
}

TEST_CASE("TimeService: runs on its context itself, whichever strand of it asks first", "[async]")
{
    const std::size_t which = GENERATE(0u, 1u, 2u);
    asio::io_context io;
    const asio::any_io_executor strand = asio::make_strand(io);
    const std::array<asio::any_io_executor, 3> executors{
        strand, asio::prefer(strand, asio::execution::outstanding_work.tracked), asio::make_strand(strand)};

    CHECK(khive::async::time_service(executors[which]).home() == khive::async::home_of(io.get_executor()));
}

TEST_CASE("TimeService: keeps neither work nor strand of who asks first", "[async]")
{
    const bool on_strand = GENERATE(false, true);
    asio::io_context io;
    const asio::any_io_executor executor =
        on_strand ? asio::any_io_executor(asio::make_strand(io)) : asio::any_io_executor(io.get_executor());
    (void)khive::async::time_service(asio::prefer(executor, asio::execution::outstanding_work.tracked));

    io.run(); // or the test ends in CTest's timeout

    CHECK(io.stopped());
}

TEST_CASE("TimeService: a distant deadline does not keep a program running", "[async]")
{
    const bool on_strand = GENERATE(false, true);
    asio::io_context io;
    const asio::any_io_executor executor =
        on_strand ? asio::any_io_executor(asio::make_strand(io)) : asio::any_io_executor(io.get_executor());
    TimeService& service = khive::async::time_service(executor);
    Bell bell(service);
    asio::post(executor, [&] { service.arm(bell, service.now() + 1h); });

    io.run(); // or the test ends in CTest's timeout

    CHECK(bell.rung.empty());
}

TEST_CASE("TimeService: a distant deadline does not keep a pool of threads running", "[async][threads]")
{
    const bool on_strand = GENERATE(false, true);
    asio::thread_pool pool(2);
    const asio::any_io_executor executor =
        on_strand ? asio::any_io_executor(asio::make_strand(pool)) : asio::any_io_executor(pool.get_executor());
    TimeService& service = khive::async::time_service(executor);
    Bell bell(service);
    asio::post(executor, [&] {
        service.arm(bell, service.now() + 1h);
        service.arm(bell, service.now() + 30min);
    });

    pool.join();

    CHECK(bell.rung.empty());
}

} // namespace khive_tests::time_service_test

// SPDX-License-Identifier: BSL-1.0
#include <khive/async/owned_task.hpp>

#include <khive/core/error.hpp>
#include <khive/core/exceptions.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <stdexcept>
#include <vector>

namespace khive_tests::owned_task_test {

using namespace std::chrono_literals;
using khive::async::OwnedTask;
using khive::testing::VirtualTime;

namespace {

class Noted final : public OwnedTask {
public:
    explicit Noted(const asio::any_io_executor& parent, std::atomic<int>* count = nullptr) : OwnedTask(parent), ends_(count) {}

    int ends = 0;
    std::exception_ptr error;

private:
    void on_end(std::exception_ptr what) noexcept override
    {
        ++ends;
        error = std::move(what);
        if (ends_ != nullptr) ++*ends_;
    }
    std::atomic<int>* ends_;
};

template <class Exception>
bool threw(const Noted& task)
{
    try {
        if (task.error) std::rethrow_exception(task.error);
    } catch (const Exception&) {
        return true;
    } catch (...) {
    }
    return false;
}

asio::awaitable<void> fail()
{
    throw std::runtime_error("no");
    co_return;
}

asio::awaitable<void> look(const OwnedTask* task, bool* own)
{
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    *own = task->runs_on(executor);
}

} // namespace

TEST_CASE("OwnedTask: tells its end once, with what was thrown", "[async]")
{
    VirtualTime time;
    const auto good = std::make_shared<Noted>(time.executor());
    const auto bad = std::make_shared<Noted>(time.executor());
    good->start(take(1s));
    bad->start(fail());

    time.run_for(1s);

    CHECK(good->ends == 1);
    CHECK_FALSE(good->error);
    CHECK(bad->ends == 1);
    CHECK(threw<std::runtime_error>(*bad));
}

TEST_CASE("OwnedTask: is cancelled at any point", "[async]")
{
    VirtualTime time;
    const auto task = std::make_shared<Noted>(time.executor());
    const int when = GENERATE(0, 1, 2, 3);

    if (when == 0) task->cancel();
    task->start(take(1h));
    if (when == 1) task->cancel();
    time.settle();
    if (when == 2) task->cancel();
    time.run_for(1s);
    if (when == 3) task->cancel();
    time.settle();

    CHECK(task->ends == 1);
    CHECK(task->is_cancelled());
    CHECK(threw<boost::system::system_error>(*task));
    task->cancel(); // after the end: nothing
    time.settle();
    CHECK(task->ends == 1);
}

TEST_CASE("OwnedTask: keeps itself alive until it has ended", "[async]")
{
    VirtualTime time;
    std::weak_ptr<Noted> task;
    {
        const auto owner = std::make_shared<Noted>(time.executor());
        owner->start(take(1s));
        task = owner;
    }
    time.settle();
    CHECK_FALSE(task.expired());
    time.run_for(1s);
    CHECK(task.expired());
}

TEST_CASE("OwnedTask: knows its own executor", "[async]")
{
    VirtualTime time;
    const auto task = std::make_shared<Noted>(time.executor());
    bool own = false;

    task->start(look(task.get(), &own));
    time.settle();

    CHECK(own);
    CHECK_FALSE(task->runs_on(time.executor()));
}

TEST_CASE("OwnedTask: a context that ends is an end, too", "[async]")
{
    std::shared_ptr<Noted> task;
    const bool begun = GENERATE(false, true);
    {
        VirtualTime time;
        task = std::make_shared<Noted>(time.executor());
        task->start(take(1h));
        if (begun) time.settle();
    }
    CHECK(task->ends == 1);
    CHECK(threw<khive::CancelledError>(*task));
}

TEST_CASE("OwnedTask: cancellations from other threads meet it at every point", "[async][threads]")
{
    asio::thread_pool pool(3);
    std::atomic<int> ends{0};
    std::vector<std::shared_ptr<Noted>> tasks;
    for (int i = 0; i < 300; ++i) {
        tasks.push_back(std::make_shared<Noted>(pool.get_executor(), &ends));
        tasks.back()->start(take(std::chrono::microseconds{i % 50}));
        if (i % 2 == 0) tasks[static_cast<std::size_t>(i / 2)]->cancel();
    }
    pool.join();
    CHECK(ends == 300);
}

} // namespace khive_tests::owned_task_test

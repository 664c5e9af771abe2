// SPDX-License-Identifier: BSL-1.0
#include <khive/async/completion.hpp>

#include "support/catch.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <array>
#include <exception>
#include <memory>
#include <new>
#include <utility>

namespace khive_tests::completion_test {

namespace asio = boost::asio;
using khive::async::BeforeResume;
using khive::async::Completion;
using khive::async::suspend;
using khive::async::Suspension;

namespace {

/// A handler that counts its calls; the padding decides whether it fits inside.
template <std::size_t Padding>
struct Count {
    std::shared_ptr<int> calls;
    std::array<char, Padding> padding{};
    void operator()() { ++*calls; }
};

template <std::size_t Padding>
void check_all_ends()
{
    asio::io_context io;
    const auto calls = std::make_shared<int>(0);

    Completion posted(Count<Padding>{calls}, io.get_executor());
    Completion moved = std::move(posted);
    CHECK_FALSE(posted);
    std::move(moved).post();
    CHECK(*calls == 0);
    io.run();
    CHECK(*calls == 1);

    io.restart();
    Completion run(Count<Padding>{calls}, io.get_executor());
    std::move(run).run();
    CHECK(*calls == 2);

    {
        Completion dropped(Count<Padding>{calls}, io.get_executor());
        Completion overwritten(Count<Padding>{calls}, io.get_executor());
        CHECK(calls.use_count() == 3);
        overwritten = std::move(dropped);
        CHECK(calls.use_count() == 2);
    }
    CHECK(calls.use_count() == 1);
}

struct Note final : BeforeResume {
    std::shared_ptr<int> calls;
    int seen = -1;
    khive::async::Resumption resumption;
    void before_resume() noexcept override { seen = *calls; }
};

/// Keeps the rest of the coroutine.
struct Keep final : Suspension {
    Completion rest;
    void start(Completion& completion, asio::cancellation_slot) override { rest = std::move(completion); }
    void failed(std::exception_ptr why) noexcept override { failure = std::move(why); }
    std::exception_ptr failure;
};

asio::awaitable<void> wait_for(Keep* kept, std::shared_ptr<int> count)
{
    auto wait = suspend(*kept);
    co_await std::move(wait);
    ++*count;
}

} // namespace

TEST_CASE("Completion: a small handler is called, moved and dropped", "[async]")
{
    check_all_ends<1>();
}

TEST_CASE("Completion: a large handler is called, moved and dropped", "[async]")
{
    check_all_ends<200>();
}

TEST_CASE("Completion: tracked, it keeps its executor running", "[async]")
{
    asio::io_context io;
    const auto calls = std::make_shared<int>(0);
    {
        Completion tracked(Count<1>{calls}, io.get_executor());
        tracked.track();
        CHECK(io.poll() == 0);
        CHECK_FALSE(io.stopped());
    }
    io.restart();
    const Completion untracked(Count<1>{calls}, io.get_executor());
    io.poll();
    CHECK(io.stopped());
}

TEST_CASE("Resumption: what is to be told before is told right before", "[async]")
{
    asio::io_context io;
    const auto note = std::make_shared<Note>();
    note->calls = std::make_shared<int>(0);
    Completion completion(Count<1>{note->calls}, io.get_executor());

    note->resumption.post(std::move(completion), note, note.get());
    CHECK(note->seen == -1);
    io.run();

    CHECK(note->seen == 0);
    CHECK(*note->calls == 1);
}

TEST_CASE("Completion: posted to a context that ends, it is destroyed", "[async]")
{
    const auto calls = std::make_shared<int>(0);
    {
        asio::io_context io;
        Completion completion(Count<1>{calls}, io.get_executor());
        std::move(completion).post();
    }
    CHECK(*calls == 0);
    CHECK(calls.use_count() == 1);
}

TEST_CASE("suspend: the coroutine goes on when it is told to, or is destroyed", "[async]")
{
    asio::io_context io;
    const auto count = std::make_shared<int>(0);
    Keep kept;
    asio::co_spawn(io, wait_for(&kept, count), asio::detached);
    io.poll();
    REQUIRE(kept.rest);

    SECTION("posted")
    {
        std::move(kept.rest).post();
        CHECK(*count == 0);
        io.restart();
        io.run();
        CHECK(*count == 1);
    }
    SECTION("run at once")
    {
        std::move(kept.rest).run();
        CHECK(*count == 1);
    }
    SECTION("dropped")
    {
        kept.rest.reset();
        CHECK(*count == 0);
    }
    io.restart();
    io.run();
    CHECK(count.use_count() == 1);
}

namespace {

/// Something for which there is no memory.
struct Starved final : Suspension {
    std::exception_ptr failure;
    void start(Completion&, asio::cancellation_slot) override { throw std::bad_alloc(); }
    void failed(std::exception_ptr why) noexcept override { failure = std::move(why); }
};

asio::awaitable<void> wait_in_vain(Starved* starved, std::shared_ptr<int> count)
{
    auto wait = suspend(*starved);
    co_await std::move(wait);
    if (starved->failure) ++*count;
}

} // namespace

TEST_CASE("suspend: a coroutine whose wait could not be started goes on at once, and knows why", "[async]")
{
    asio::io_context io;
    const auto count = std::make_shared<int>(0);
    Starved starved;
    asio::co_spawn(io, wait_in_vain(&starved, count), asio::detached);
    io.run();
    CHECK(*count == 1);
    CHECK(count.use_count() == 1);
}

} // namespace khive_tests::completion_test

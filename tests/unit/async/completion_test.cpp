// SPDX-License-Identifier: BSL-1.0
#include <khive/async/completion.hpp>

#include "support/catch.hpp"

#include <boost/asio/io_context.hpp>

#include <array>
#include <memory>
#include <utility>

namespace asio = boost::asio;
using khive::async::Completion;

namespace {

using Value = std::unique_ptr<int>;

/// A handler that notes its value and its own end; the padding decides whether it fits inside.
template <std::size_t Padding>
struct Note {
    std::shared_ptr<int> seen;
    std::array<char, Padding> padding{};
    void operator()(Value value) { *seen = *value; }
};

template <std::size_t Padding>
void check_all_ends()
{
    asio::io_context io;
    const auto seen = std::make_shared<int>(0);

    Completion<Value> posted(Note<Padding>{seen}, io.get_executor());
    Completion<Value> moved = std::move(posted);
    CHECK_FALSE(posted);
    std::move(moved).post(std::make_unique<int>(3));
    CHECK(*seen == 0);
    io.run();
    CHECK(*seen == 3);

    io.restart();
    Completion<Value> run(Note<Padding>{seen}, io.get_executor());
    std::move(run).run(std::make_unique<int>(4));
    CHECK(*seen == 4);

    {
        const Completion<Value> dropped(Note<Padding>{seen}, io.get_executor());
        CHECK(seen.use_count() == 2);
    }
    CHECK(seen.use_count() == 1);
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

TEST_CASE("Completion: it keeps its executor running, unless taken untracked", "[async]")
{
    asio::io_context io;
    const auto seen = std::make_shared<int>(0);
    {
        const Completion<Value> tracked(Note<1>{seen}, io.get_executor());
        CHECK(io.poll() == 0);
        CHECK_FALSE(io.stopped());
    }
    io.restart();
    const Completion<Value> untracked(Note<1>{seen}, io.get_executor(), Completion<Value>::Untracked{});
    io.poll();
    CHECK(io.stopped());
}

TEST_CASE("Completion: a value that is posted to a context that ends is released before the rest", "[async]")
{
    struct Order {
        std::shared_ptr<int> count;
        int* at;
        Order(std::shared_ptr<int> counter, int* where) : count(std::move(counter)), at(where) {}
        Order(Order&& other) noexcept : count(std::move(other.count)), at(std::exchange(other.at, nullptr)) {}
        ~Order()
        {
            if (at != nullptr) *at = ++*count;
        }
    };
    const auto count = std::make_shared<int>(0);
    int value_gone = 0;
    int rest_gone = 0;
    {
        asio::io_context io;
        Completion<Order> completion([rest = Order(count, &rest_gone)](Order) {}, io.get_executor());
        std::move(completion).post(Order(count, &value_gone));
    }
    CHECK(value_gone == 1);
    CHECK(rest_gone == 2);
}

TEST_CASE("Completion: what is to be done before comes right before the rest", "[async]")
{
    asio::io_context io;
    const auto seen = std::make_shared<int>(0);
    int before = -1;
    Completion<Value> completion(Note<1>{seen}, io.get_executor());

    std::move(completion).post(std::make_unique<int>(5), [&] { before = *seen; });
    io.run();

    CHECK(before == 0);
    CHECK(*seen == 5);
}

// SPDX-License-Identifier: BSL-1.0
#include "unit/net/net_world.hpp"

#include "support/catch.hpp"

#include <khive/net/write_batch.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace khive_tests::write_batch_test {

using namespace khive::testing;

namespace {

/// Says whose turn it was, and that nobody's will come.
class Writer final : public net::WireListener {
public:
    Writer(std::string name, std::shared_ptr<std::string> told) : name_(std::move(name)), told_(std::move(told)) {}

private:
    void on_turn(TimePoint) override { *told_ += name_; }
    void on_abandoned() noexcept override { *told_ += "(" + name_ + ")"; }
    void on_connected(boost::system::error_code) override {}
    void on_written(boost::system::error_code, std::size_t) override {}
    std::span<char> read_buffer() override { return {}; }
    void on_read(boost::system::error_code, std::size_t) override {}
    void on_readable(boost::system::error_code) override {}

    std::string name_;
    std::shared_ptr<std::string> told_;
};

struct BatchWorld {
    std::shared_ptr<std::string> kept = std::make_shared<std::string>();
    std::string& told = *kept;
    VirtualTime time;
    net::WriteBatch& batch = net::network_service(time.executor()).writes();

    /// In the thread of the context, as it must be.
    void here(std::function<void()> act)
    {
        asio::post(time.context(), std::move(act));
        time.settle();
    }
    [[nodiscard]] bool expects() { return batch.expects(time.now(), time.service().home()); }
    /// The next request; by its name, in small letters, where it waits for its turn.
    void request(char name)
    {
        if (!expects()) {
            told += static_cast<char>(name - 'a' + 'A');
            return;
        }
        batch.join(net::ListenerPtr(new Writer(std::string{name}, kept)), time.now(), time.service());
    }
    void requests(const std::string& names)
    {
        for (const char name : names) request(name);
    }
    void later(Duration by) { time.service().advance_to(time.now() + by); }
};

/// With so many idle connections.
struct BusyWorld : NetWorld {
    BusyWorld()
    {
        open_pool({.max_connections = 8, .max_waiting = 8});
        for (int i = 0; i < 8; ++i) calls.push_back(start_fetch(entry()));
        time.settle();
        calls.clear();
        REQUIRE(counts() == "0 8 0 0");
        seen = server->requests().size();
    }
    /// Starts eight at once, and does so once the last of them waits for its turn to write.
    void start_and(std::function<void()> act)
    {
        for (int i = 0; i < 8; ++i) calls.push_back(start_fetch(entry(), a_get("/" + std::to_string(i))));
        asio::post(time.context(), std::move(act));
    }
    [[nodiscard]] std::size_t arrived() const { return server->requests().size() - seen; }

    std::size_t seen = 0;
    std::vector<Started<Result<Exchanged>>> calls;
};

} // namespace

TEST_CASE_METHOD(BatchWorld, "WriteBatch: waits for others where requests come thick", "[net][write_batch]")
{
    here([this] {
        requests("abcd");
        CHECK(told == "ABCD"); // the first few show that they do
        requests("efg");
        CHECK(told == "ABCD");
    });
    CHECK(told == "ABCDefg");
}

TEST_CASE_METHOD(BatchWorld, "WriteBatch: one that comes alone writes at once", "[net][write_batch]")
{
    here([this] {
        for (const char name : std::string("abcdefgh")) {
            request(name);
            later(51us);
        }
    });
    CHECK(told == "ABCDEFGH");
}

TEST_CASE_METHOD(BatchWorld, "WriteBatch: eight are enough", "[net][write_batch]")
{
    here([this] {
        requests("abcdefghijkl");
        CHECK(told == "ABCD");
        request('m');
        CHECK(told == "ABCDefghijkl");
    });
    CHECK(told == "ABCDefghijklm");
}

TEST_CASE_METHOD(BatchWorld, "WriteBatch: nobody waits longer than it takes the next to come after 100 us",
                 "[net][write_batch]")
{
    here([this] {
        requests("abcde");
        later(50us);
        request('f');
        later(50us);
        request('g');
        CHECK(told == "ABCD");
        later(1us);
        request('h');
        CHECK(told == "ABCDefg");
        later(1s);
        request('i'); // and what comes late does not wait, but who waits writes before it
        CHECK(told == "ABCDefghI");
    });
}

TEST_CASE_METHOD(BatchWorld, "WriteBatch: who waited in vain makes the next ones write at once, twice as many each time",
                 "[net][write_batch]")
{
    here([this] { requests("abcde"); });
    CHECK(told == "ABCDe");
    told.clear();
    here([this] { requests("fg"); });
    CHECK(told == "Fg");
    told.clear();
    here([this] { requests("hij"); });
    CHECK(told == "HIj");
    told.clear();
    here([this] { requests("klmnop"); });
    CHECK(told == "KLMNop");
    told.clear();
    here([this] { requests("qr"); }); // two came together
    CHECK(told == "qr");
}

TEST_CASE("WriteBatch: who waits when the context ends is abandoned", "[net][write_batch]")
{
    std::shared_ptr<std::string> told;
    {
        BatchWorld world;
        told = world.kept;
        asio::post(world.time.context(), [&world] { world.requests("abcdef"); });
        world.time.context().run_one();
        CHECK(*told == "ABCD");
    }
    CHECK(*told == "ABCD(e)(f)");
}

TEST_CASE("WriteBatch: is for one thread", "[net][write_batch]")
{
    std::latch done{1};
    std::jthread other([&done] { done.wait(); }); // the process has more than one
    const auto joins = [](asio::io_context& io) {
        const asio::any_io_executor executor = io.get_executor();
        net::WriteBatch& batch = net::network_service(executor).writes();
        int expected = 0;
        const auto ask = [&] {
            for (int i = 0; i < 8; ++i)
                expected += batch.expects(TimePoint{} + 1h, async::time_service(executor).home()) ? 1 : 0;
        };
        ask();
        CHECK(expected == 0); // not a thread of the context
        asio::post(io, ask);
        io.run();
        return expected;
    };
    asio::io_context one(1);
    asio::io_context several;
    CHECK(joins(one) == 4);
    CHECK(joins(several) == 0);
    done.count_down();
}

TEST_CASE_METHOD(BusyWorld, "Connection: requests made at the same time are all answered", "[net][write_batch]")
{
    start_and([] {});
    time.settle();
    for (auto& call : calls) CHECK(call.get().value().end.ok());
    CHECK(arrived() == 8);
    CHECK(counts() == "0 8 0 0");
}

TEST_CASE_METHOD(BusyWorld, "Connection: a request cancelled before its turn is not written", "[net][write_batch]")
{
    start_and([this] { calls[6].cancel(); });
    time.settle();
    const Exchanged ended = calls[6].get().value();
    CHECK(ended.end.error.kind() == ErrorKind::cancelled);
    CHECK_FALSE(ended.end.error.maybe_processed());
    CHECK(ended.attempt.bytes_sent == 0);
    CHECK(arrived() == 7);
    for (std::size_t i = 0; i < 8; ++i) CHECK((i == 6 || calls[i].get().value().end.ok()));
    CHECK(counts() == "0 7 0 0");
}

TEST_CASE_METHOD(BusyWorld, "Connection: a pool closed before a request's turn", "[net][write_batch]")
{
    start_and([this] { pool->shut_down(); });
    time.settle();
    for (auto& call : calls) CHECK(call.get().value().end.error.kind() == ErrorKind::closed);
    CHECK(arrived() < 8);
    CHECK(counts() == "0 0 0 0");
}

TEST_CASE_METHOD(BusyWorld, "Connection: a wire that has failed by a request's turn", "[net][write_batch]")
{
    start_and([this] { there.reset_connections(); });
    time.settle();
    for (auto& call : calls) {
        const Exchanged ended = call.get().value();
        CHECK(ended.end.error.kind() == ErrorKind::connection_lost);
        CHECK(ended.end.error.retryable());
    }
}

TEST_CASE("Connection: the context ends before a request's turn", "[net][write_batch]")
{
    BusyWorld world;
    world.start_and([] {});
    for (int i = 0; i < 8; ++i) world.time.context().run_one();
    for (auto& call : world.calls) CHECK_FALSE(call.done()); // and what they hold goes with the context, as a sanitizer sees
}

} // namespace khive_tests::write_batch_test

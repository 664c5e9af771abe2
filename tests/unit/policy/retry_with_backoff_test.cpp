// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include <khive/policy/circuit_breaker.hpp>
#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <boost/asio/thread_pool.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace khive_tests::retry_with_backoff_test {

using namespace std::chrono_literals;
using khive::Duration;
using khive::Error;
using khive::ErrorKind;
using khive::Failure;
using khive::Jitter;
using khive::Outcome;
using khive::Result;
using khive::RetryOptions;
using khive::RetryWithBackoff;
using khive::StopReason;
using khive::TimePoint;
using khive::Verdict;
using khive::testing::VirtualTime;

namespace {

/// Delays of 1, 2, 4, ... seconds sharp.
constexpr RetryOptions sharp{.max_attempts = 4, .base_delay = 1s, .jitter = Jitter::none};

constexpr RetryOptions with(Duration attempt_timeout, Duration total_timeout)
{
    RetryOptions options = sharp;
    options.attempt_timeout = attempt_timeout;
    options.total_timeout = total_timeout;
    return options;
}

/// Fails a number of times, then gives 7. Keeps when it was called.
struct Flaky {
    explicit Flaky(VirtualTime& clock, int bad) : time(clock), failures(bad) {}

    asio::awaitable<int> operator()()
    {
        calls.push_back(time.elapsed());
        if (static_cast<int>(calls.size()) <= failures) return throwing(std::runtime_error("down"));
        return give(7);
    }

    VirtualTime& time;
    int failures;
    std::vector<Duration> calls;
};

Error transient()
{
    return Error{ErrorKind::connect}.with_retryable(true);
}

asio::awaitable<Result<int>> take_and_give_result(Duration length, int value)
{
    auto nap = take(length);
    co_await std::move(nap);
    co_return value;
}

/// Hears its cancellation but needs time to end.
asio::awaitable<int> end_slowly(Duration length)
{
    const auto executor = co_await asio::this_coro::executor;
    co_await asio::this_coro::throw_if_cancelled(false);
    auto first = khive::async::sleep_until(khive::no_deadline - 1h);
    co_await std::move(first);
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    auto second = khive::async::sleep_until(khive::async::time_service(executor).now() + length);
    co_await std::move(second);
    throw boost::system::system_error(asio::error::operation_aborted);
}

} // namespace

TEST_CASE("RetryWithBackoff: a success needs one attempt", "[retry]")
{
    VirtualTime time;
    Flaky flaky{time, 0};

    CHECK(time.run(RetryWithBackoff{}.execute(std::ref(flaky))) == 7);

    CHECK(flaky.calls.size() == 1);
}

TEST_CASE("RetryWithBackoff: repeats after growing delays until it succeeds", "[retry]")
{
    VirtualTime time;
    Flaky flaky{time, 3};

    CHECK(time.run(RetryWithBackoff{sharp}.execute(std::ref(flaky))) == 7);

    CHECK(flaky.calls == std::vector<Duration>{0s, 1s, 3s, 7s});
}

TEST_CASE("RetryWithBackoff: after the last attempt the last exception comes out unchanged", "[retry]")
{
    VirtualTime time;
    int calls = 0;

    CHECK_THROWS_WITH(time.run(RetryWithBackoff{sharp}.execute(
                          [&calls] { return throwing(std::runtime_error("down " + std::to_string(++calls))); })),
                      "down 4");
    CHECK(calls == 4);
}

TEST_CASE("RetryWithBackoff: the function may want the number of the attempt", "[retry]")
{
    VirtualTime time;
    std::vector<unsigned> seen;

    const int value = time.run(RetryWithBackoff{sharp}.execute([&seen](unsigned attempt) {
        seen.push_back(attempt);
        return attempt < 3 ? throwing(std::runtime_error("down")) : give(5);
    }));

    CHECK(value == 5);
    CHECK(seen == std::vector<unsigned>{1, 2, 3});
}

TEST_CASE("RetryWithBackoff: a function that throws before there is anything to await is repeated too", "[retry]")
{
    VirtualTime time;
    int calls = 0;

    const int value = time.run(RetryWithBackoff{sharp}.execute([&calls]() -> asio::awaitable<int> {
        if (++calls < 2) throw std::runtime_error("down");
        return give(5);
    }));

    CHECK(value == 5);
}

TEST_CASE("RetryWithBackoff: works for functions that give nothing", "[retry]")
{
    VirtualTime time;
    int calls = 0;

    time.run(RetryWithBackoff{sharp}.execute([&calls]() -> asio::awaitable<void> {
        if (++calls < 3) throw std::runtime_error("down");
        return take(1s);
    }));

    CHECK(calls == 3);
    CHECK(time.elapsed() == 4s);
}

TEST_CASE("RetryWithBackoff: errors that come as values are repeated and given back as values", "[retry]")
{
    VirtualTime time;
    int calls = 0;

    const auto result = time.run(RetryWithBackoff{sharp}.execute([&calls] { return ++calls, give_result(transient()); }));

    REQUIRE(result.has_error());
    CHECK(result.error().kind() == ErrorKind::connect);
    CHECK(calls == 4);
}

TEST_CASE("RetryWithBackoff: the final error carries every attempt and why it stopped", "[retry]")
{
    VirtualTime time;

    const auto result = time.run(RetryWithBackoff{sharp}.execute([] { return give_result(transient()); }));
    const auto ledger = result.error().ledger();

    REQUIRE(ledger.size() == 4);
    CHECK(ledger[0].backoff == 0s);
    CHECK(ledger[2].backoff == 2s);
    CHECK(ledger[3].error == ErrorKind::connect);
    CHECK(ledger[3].verdict == Verdict::failure);
    CHECK(ledger.stop_reason() == StopReason::attempts);
}

TEST_CASE("RetryWithBackoff: khive's exceptions carry the ledger too", "[retry]")
{
    VirtualTime time;
    try {
        time.run(RetryWithBackoff{sharp}.execute([] { return throwing(khive::APIConnectionError(transient())); }));
        FAIL("did not throw");
    } catch (const khive::APIConnectionError& e) {
        CHECK(e.error().ledger().size() == 4);
    }
}

TEST_CASE("RetryWithBackoff: the ledger of an inner client is kept", "[retry]")
{
    VirtualTime time;
    khive::Ledger inner;
    inner.begin_attempt(time.now()).status = 500;
    inner.begin_attempt(time.now()).status = 503;
    Error error = Error{ErrorKind::status}.with_response(503, {}, "").with_retryable(true).with_ledger(inner);
    RetryOptions options = sharp;
    options.max_attempts = 2;

    const auto result = time.run(RetryWithBackoff{options}.execute([&error] { return give_result(error); }));
    const auto ledger = result.error().ledger();

    REQUIRE(ledger.size() == 4);
    CHECK(ledger[0].status == 500);
    CHECK(ledger[1].status == 503);
    CHECK(ledger[2].backoff == 1s);
}

TEST_CASE("RetryWithBackoff: says why it did not repeat", "[retry]")
{
    const auto [error, reason] = GENERATE(table<Error, StopReason>({
        {Error{ErrorKind::status}.with_response(404, {}, ""), StopReason::not_retryable},
        {Error{ErrorKind::decode}, StopReason::not_retryable},
        {Error{ErrorKind::circuit_open}.with_retry_after(10s), StopReason::refused},
        {Error{ErrorKind::rate_limited}, StopReason::refused},
        {Error{ErrorKind::queue_full}, StopReason::refused},
        {Error{ErrorKind::cancelled}, StopReason::cancelled},
        {Error{ErrorKind::closed}, StopReason::cancelled},
        {Error{ErrorKind::timeout}.with_retryable(true).with_maybe_processed(true), StopReason::not_replayable},
        {Error{ErrorKind::status}.with_retryable(true).with_retry_after(1h), StopReason::retry_after},
    }));
    VirtualTime time;
    int calls = 0;
    const Error& given = error;

    const auto result = time.run(RetryWithBackoff{sharp}.execute([&] { return ++calls, give_result(given); }));

    CHECK(calls == 1);
    CHECK(time.elapsed() == 0s);
    CHECK(result.error().kind() == error.kind());
    CHECK(result.error().ledger().stop_reason() == reason);
}

TEST_CASE("RetryWithBackoff: waits exactly as long as the other side asks for", "[retry]")
{
    VirtualTime time;

    const int value = time.run(RetryWithBackoff{sharp}.execute([](unsigned attempt) {
        return attempt == 1 ? throwing(khive::RateLimitError(transient().with_retry_after(90s))) : give(1);
    }));

    CHECK(value == 1);
    CHECK(time.elapsed() == 90s);
}

TEST_CASE("RetryWithBackoff: retry_if decides about errors", "[retry]")
{
    VirtualTime time;
    const auto retry = RetryWithBackoff{sharp}.retry_if([](const Failure& f) { return f.error().status() == 423; });
    int calls = 0;

    SECTION("repeats what it likes")
    {
        const Error locked = Error{ErrorKind::status}.with_response(423, {}, "");
        (void)time.run(retry.execute([&] { return ++calls, give_result(locked); }));
        CHECK(calls == 4);
    }
    SECTION("and nothing else")
    {
        (void)time.run(retry.execute([&] { return ++calls, give_result(transient()); }));
        CHECK(calls == 1);
    }
}

TEST_CASE("RetryWithBackoff: a refusal of our own is not repeated, whatever it says", "[retry]")
{
    VirtualTime time;
    khive::TokenBucketRateLimiter limiter{{.rate = 1, .burst = 1, .initial_tokens = 0}};
    int calls = 0;

    const auto result = time.run(RetryWithBackoff{sharp}.execute([&] {
        ++calls;
        khive::AcquireOptions at_once;
        at_once.max_wait = 0s;
        return limiter.acquire_or_error(at_once);
    }));

    CHECK(result.error().kind() == ErrorKind::rate_limited);
    CHECK(calls == 1);
}

TEST_CASE("RetryWithBackoff: a predicate that fails itself hides nothing", "[retry]")
{
    VirtualTime time;
    int calls = 0;

    SECTION("about an error")
    {
        const auto retry = RetryWithBackoff{sharp}.retry_if([](const Failure&) -> bool { throw std::logic_error("oops"); });
        const auto result = time.run(retry.execute([&] { return ++calls, give_result(transient()); }));
        CHECK(result.error().kind() == transient().kind());
        CHECK(calls == 4);
    }
    SECTION("about a value")
    {
        const auto retry = RetryWithBackoff{sharp}.retry_result_if([](int) -> bool { throw std::logic_error("oops"); });
        CHECK(time.run(retry.execute([&] { return ++calls, give(7); })) == 7);
        CHECK(calls == 1);
    }
}

TEST_CASE("RetryWithBackoff: retry_if cannot repeat what is cancelled, closed, or unsafe", "[retry]")
{
    const auto error = GENERATE(Error{ErrorKind::cancelled}, Error{ErrorKind::closed},
                                Error{ErrorKind::timeout}.with_maybe_processed(true));
    VirtualTime time;
    const auto retry = RetryWithBackoff{sharp}.retry_if([](const Failure&) { return true; });
    int calls = 0;

    (void)time.run(retry.execute([&] { return ++calls, give_result(error); }));

    CHECK(calls == 1);
}

TEST_CASE("RetryWithBackoff: told to, it waits for an open circuit", "[retry][breaker]")
{
    VirtualTime time;
    const khive::CircuitBreaker breaker{{.consecutive_failures = 1, .open_for = 20s, .open_jitter = 0}};
    breaker.try_admit(time.now()).value().record(Outcome{.verdict = Verdict::failure}, time.now());
    const auto retry = RetryWithBackoff{sharp}.retry_if([](const Failure&) { return true; });
    const auto guarded = [&breaker] { return breaker.execute([] { return give(3); }); };

    CHECK(time.run(retry.execute(guarded)) == 3);

    CHECK(time.elapsed() == 20s);
}

TEST_CASE("RetryWithBackoff: retry_result_if repeats values, and gives back the last", "[retry]")
{
    VirtualTime time;
    int calls = 0;
    const auto pending = [](int value) { return value < 3; };

    CHECK(time.run(RetryWithBackoff{sharp}.retry_result_if(pending).execute([&] { return give(++calls); })) == 3);

    calls = -10;
    CHECK(time.run(RetryWithBackoff{sharp}.retry_result_if(pending).execute([&] { return give(++calls); })) == -6);
}

TEST_CASE("RetryWithBackoff: retry_result_if goes together with retry_if", "[retry]")
{
    VirtualTime time;
    int calls = 0;
    const auto retry =
        RetryWithBackoff{sharp}.retry_result_if([](int value) { return value < 3; }).retry_if([](const Failure& f) {
            return f.is<std::logic_error>();
        });

    const int value =
        time.run(retry.execute([&] { return ++calls == 1 ? throwing(std::logic_error("not yet")) : give(calls); }));

    CHECK(value == 3);
}

TEST_CASE("RetryWithBackoff: an attempt that takes too long is cancelled and repeated", "[retry]")
{
    VirtualTime time;

    const int value = time.run(RetryWithBackoff{with(3s, khive::unlimited)}.execute(
        [](unsigned attempt) { return take_and_give(attempt == 1 ? Duration{1h} : Duration{2s}, 9); }));

    CHECK(value == 9);
    CHECK(time.elapsed() == 3s + 1s + 2s);
}

TEST_CASE("RetryWithBackoff: an attempt that always takes too long ends as a timeout that names its timer", "[retry]")
{
    VirtualTime time;
    const RetryWithBackoff retry{with(3s, khive::unlimited)};

    SECTION("as an exception")
    {
        try {
            time.run(retry.execute([] { return take_and_give(1h, 9); }));
            FAIL("did not throw");
        } catch (const khive::APITimeoutError& e) {
            CHECK(e.error().timer() == khive::Timer::attempt);
            CHECK(e.error().timer_value() == 3s);
            CHECK(e.error().ledger().size() == 4);
            CHECK(e.error().ledger()[1].error == ErrorKind::timeout);
            CHECK(e.error().ledger()[1].elapsed == 3s);
        }
    }
    SECTION("as a value")
    {
        const auto result = time.run(retry.execute([] { return take_and_give_result(1h, 9); }));
        CHECK(result.error().timer() == khive::Timer::attempt);
    }
    CHECK(time.elapsed() == 4 * 3s + 7s);
}

TEST_CASE("RetryWithBackoff: the total time cancels the attempt that exceeds it", "[retry]")
{
    VirtualTime time;

    const auto result = time.run(RetryWithBackoff{with(6s, 10s)}.execute([] { return take_and_give_result(1h, 9); }));

    CHECK(result.error().timer() == khive::Timer::total);
    CHECK(result.error().timer_value() == 10s);
    CHECK(result.error().ledger().size() == 2);
    CHECK(result.error().ledger().stop_reason() == StopReason::deadline);
    CHECK(time.elapsed() == 10s);
}

TEST_CASE("RetryWithBackoff: stops at once where the next delay does not fit in the total time", "[retry]")
{
    VirtualTime time;

    const auto result =
        time.run(RetryWithBackoff{with(khive::unlimited, 5s)}.execute([] { return give_result(transient()); }));

    CHECK(result.error().kind() == ErrorKind::connect); // the last real error
    CHECK(result.error().ledger().stop_reason() == StopReason::deadline);
    CHECK(result.error().ledger().size() == 3);
    CHECK(time.elapsed() == 3s);
}

TEST_CASE("RetryWithBackoff: a value that comes at the last moment counts", "[retry]")
{
    VirtualTime time;

    const int value = time.run(RetryWithBackoff{with(3s, 3s)}.execute([] { return take_and_give(3s - 1ns, 4); }));

    CHECK(value == 4);
}

TEST_CASE("RetryWithBackoff: waits for an attempt that is slow to end", "[retry]")
{
    VirtualTime time;
    RetryOptions options = with(3s, khive::unlimited);
    options.max_attempts = 1;

    CHECK_THROWS_AS(time.run(RetryWithBackoff{options}.execute([] { return end_slowly(2s); })), khive::APITimeoutError);

    CHECK(time.elapsed() == 5s);
}

TEST_CASE("RetryWithBackoff: a cancelled delay ends at once", "[retry]")
{
    VirtualTime time;
    auto call = time.start(RetryWithBackoff{sharp}.execute([] { return give_result(transient()); }));
    time.run_for(500ms);

    call.cancel();
    time.settle();

    REQUIRE(call.done());
    const auto result = call.get();
    CHECK(result.error().kind() == ErrorKind::cancelled);
    CHECK(result.error().ledger().size() == 1);
    CHECK(result.error().ledger().stop_reason() == StopReason::cancelled);
}

TEST_CASE("RetryWithBackoff: a cancelled attempt ends at once and is not repeated", "[retry]")
{
    const auto timeout = GENERATE(Duration{1h}, khive::unlimited);
    VirtualTime time;
    int calls = 0;
    const RetryWithBackoff retry{with(timeout, khive::unlimited)};
    auto call = time.start(retry.execute([&calls] { return ++calls, take_and_give(2h, 1); }));
    time.settle();

    call.cancel();
    time.run_for(24h);

    REQUIRE(call.done());
    CHECK_THROWS_AS(call.get(), boost::system::system_error);
    CHECK(calls == 1);
}

TEST_CASE("RetryWithBackoff: may be destroyed at any point", "[retry]")
{
    const auto when = GENERATE(Duration{0s}, Duration{1s}, Duration{3s}, Duration{3500ms});
    auto held = std::make_shared<int>(1);
    {
        VirtualTime time;
        const auto fn = [held] { return take_and_give(1h, *held); };
        time.spawn([](RetryWithBackoff retry, auto work) -> asio::awaitable<void> {
            auto call = retry.execute(work);
            co_await std::move(call);
        }(RetryWithBackoff{with(3s, khive::unlimited)}, fn));
        time.run_for(when);
    }

    CHECK(held.use_count() == 1);
}

TEST_CASE("RetryWithBackoff: attempts race their timeouts on a context of several threads", "[retry][threads]")
{
    asio::thread_pool pool(4);
    const RetryWithBackoff retry{{.max_attempts = 5, .base_delay = 1us, .max_delay = 10us, .attempt_timeout = 50us}};
    std::atomic<int> ended{0};
    for (int i = 0; i < 400; ++i)
        asio::co_spawn(pool, retry.execute([] { return take_and_give(50us, 1); }),
                       [&](std::exception_ptr, int) { ++ended; });
    pool.join();

    CHECK(ended == 400);
}

TEST_CASE("RetryWithBackoff: the same seed gives the same delays", "[retry]")
{
    const auto delays = [](std::uint64_t seed) {
        const RetryWithBackoff retry{{.max_attempts = 5}, khive::Random{seed}};
        auto schedule = retry.begin();
        std::vector<Duration> all;
        for (unsigned i = 1; i < 5; ++i)
            all.push_back(
                schedule.next({.verdict = Verdict::failure, .retryable = true}, i, TimePoint{}, khive::no_deadline).delay);
        return all;
    };

    CHECK(delays(7) == delays(7));
    CHECK(delays(7) != delays(8));
}

TEST_CASE("RetryWithBackoff: calls of one policy do not share their delays", "[retry]")
{
    const RetryWithBackoff retry{{}, khive::Random{7}};
    const Outcome again{.verdict = Verdict::failure, .retryable = true};

    auto first = retry.begin();
    auto second = retry.begin();

    CHECK(first.next(again, 1, TimePoint{}, khive::no_deadline).delay !=
          second.next(again, 1, TimePoint{}, khive::no_deadline).delay);
}

TEST_CASE("retry_with_backoff: does what RetryWithBackoff does", "[retry]")
{
    VirtualTime time;
    Flaky flaky{time, 3};

    CHECK(time.run(khive::retry_with_backoff(std::ref(flaky), sharp)) == 7);

    CHECK(flaky.calls == std::vector<Duration>{0s, 1s, 3s, 7s});
}

} // namespace khive_tests::retry_with_backoff_test

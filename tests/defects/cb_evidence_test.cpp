// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/circuit_breaker.hpp>

#include <khive/testing/virtual_time.hpp>

#include "support/catch.hpp"
#include "support/guarded.hpp"

#include <new>
#include <stdexcept>

namespace khive_tests::cb_evidence_test {

using namespace std::chrono_literals;
using khive::BreakerState;
using khive::CircuitBreaker;
using khive::Error;
using khive::ErrorKind;
using khive::testing::VirtualTime;

namespace {

template <class Fn>
void ignore_errors(VirtualTime& time, const CircuitBreaker& breaker, Fn fn)
{
    try {
        (void)time.run(breaker.execute(fn));
    } catch (const std::exception&) {
        // only the breaker's opinion matters
    }
}

} // namespace

TEST_CASE("CB-3: failures with successes between them do not add up", "[defect][CB-3]")
{
    VirtualTime time;
    const CircuitBreaker breaker{{.consecutive_failures = 3}};

    for (int i = 0; i < 20; ++i) {
        ignore_errors(time, breaker, [] { return throwing(std::runtime_error("down")); });
        for (int good = 0; good < 100; ++good) ignore_errors(time, breaker, [] { return give(1); });
    }

    CHECK(breaker.state(time.now()) == BreakerState::closed);
}

TEST_CASE("CB-5: answers that say the request was wrong are no failures of the server", "[defect][CB-5]")
{
    const int status = GENERATE(400, 401, 403, 404, 409, 422, 429, 501);
    VirtualTime time;
    const CircuitBreaker breaker{{.consecutive_failures = 2}};
    const Error error = Error{ErrorKind::status}.with_response(status, {}, "");

    for (int i = 0; i < 10; ++i) (void)time.run(breaker.execute([&error] { return give_result(error); }));

    CHECK(breaker.state(time.now()) == BreakerState::closed);
}

TEST_CASE("CB-6: a bug of the caller does not trip the circuit", "[defect][CB-6]")
{
    VirtualTime time;
    const CircuitBreaker breaker{{.consecutive_failures = 1}};

    SECTION("inside the coroutine")
    {
        ignore_errors(time, breaker, [] { return throwing(std::invalid_argument("bug")); });
    }
    SECTION("before there is a coroutine")
    {
        ignore_errors(time, breaker, []() -> asio::awaitable<int> { throw std::out_of_range("bug"); });
    }

    CHECK(breaker.state(time.now()) == BreakerState::closed);
    CHECK(breaker.stats(time.now()).neutral == 1);
}

TEST_CASE("CB-11: an open inner circuit is no failure for the outer one", "[defect][CB-11]")
{
    VirtualTime time;
    const CircuitBreaker inner{{.consecutive_failures = 1}};
    const CircuitBreaker outer{{.consecutive_failures = 1}};
    inner.isolate(time.now());

    for (int i = 0; i < 10; ++i) ignore_errors(time, outer, [&inner] { return inner.execute([] { return give(1); }); });

    CHECK(outer.state(time.now()) == BreakerState::closed);
    CHECK(outer.stats(time.now()).neutral == 10);
}

TEST_CASE("CB-12: nothing comes between a failure and its record, and the exception stays what it was", "[defect][CB-12]")
{
    VirtualTime time;
    const CircuitBreaker breaker{{.consecutive_failures = 1}};
    breaker.on_state_change([](const khive::BreakerTransition&) { throw std::runtime_error("from the log"); });

    CHECK_THROWS_WITH(time.run(breaker.execute([] { return throwing(std::runtime_error("down")); })), "down");

    CHECK(breaker.state(time.now()) == BreakerState::open);
}

} // namespace khive_tests::cb_evidence_test

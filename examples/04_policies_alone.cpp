// SPDX-License-Identifier: BSL-1.0
// The four policies without HTTP: around any awaitable, here a lookup that fails now and then.

#include <khive/async/sleep.hpp>
#include <khive/policy/async_executor.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/policy/token_bucket_rate_limiter.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace asio = boost::asio;
using namespace std::chrono_literals;

namespace {

int lookups = 0;

/// Every third lookup fails.
asio::awaitable<int> lookup(int key)
{
    co_await khive::async::sleep_until(khive::Clock::now() + 2ms);
    if (++lookups % 3 == 0) throw std::runtime_error("no connection to the database");
    co_return key * key;
}

asio::awaitable<void> run()
{
    khive::TokenBucketRateLimiter limiter{{.rate = 200, .burst = 10}};
    khive::AsyncExecutor executor{{.max_concurrency = 4}};
    khive::CircuitBreaker breaker{{.consecutive_failures = 5}};
    khive::RetryWithBackoff retry{{.max_attempts = 5, .base_delay = 1ms}};

    // Each alone.
    co_await limiter.acquire(3); // a weighted cost
    const int one = co_await retry.execute([] { return lookup(1); });
    const int two = co_await breaker.execute([] { return lookup(2); });

    // Together: a task keeps its slot through all attempts and the delays between them; token and breaker are asked anew for
    // each attempt. A client asks for the slot anew too, so a call of it that backs off holds none.
    std::vector<int> keys(20);
    std::iota(keys.begin(), keys.end(), 0);
    auto careful = [limiter, breaker, retry](int key) {
        return retry.execute([limiter, breaker, key] {
            return limiter.execute([breaker, key] { return breaker.execute([key] { return lookup(key); }); });
        });
    };
    const std::vector<int> squares = co_await executor.map(keys, careful);

    std::cout << one << ' ' << two << ' ' << squares.back() << " after " << lookups << " lookups, breaker "
              << khive::to_string(breaker.state()) << '\n';
    if (squares.at(19) != 361) throw std::logic_error("19 * 19 is 361");
}

} // namespace

int main()
{
    asio::io_context io;
    asio::co_spawn(io, run(), [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    });
    io.run();
}

// SPDX-License-Identifier: BSL-1.0
// The policies' headers may be included in any order: `map` after `retry.execute` once took one's helper for the other's.
#include <khive/policy/retry_with_backoff.hpp>

#include <khive/policy/async_executor.hpp>

#include <vector>

namespace {

khive::asio::awaitable<int> same(int value)
{
    co_return value;
}

} // namespace

khive::asio::awaitable<std::vector<int>> all(khive::AsyncExecutor executor, std::vector<int> items)
{
    co_return co_await executor.map(items, &same);
}

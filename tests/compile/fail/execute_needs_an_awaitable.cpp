// SPDX-License-Identifier: BSL-1.0
// A function that returns no awaitable cannot be executed.
// expect: Awaitable
#include <khive/policy/async_executor.hpp>

int now();

void misuse(khive::AsyncExecutor& executor)
{
    (void)executor.execute(&now);
}

// SPDX-License-Identifier: BSL-1.0
// A task is used up by joining it.
// expect: as 'this' argument discards qualifiers || rvalue
#include <khive/policy/task.hpp>

void misuse(khive::Task<int>& task)
{
    (void)task.join();
}

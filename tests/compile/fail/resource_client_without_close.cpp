// SPDX-License-Identifier: BSL-1.0
// A resource client that cannot be closed is told so.
// expect: Closes
#include <khive/policy/concepts.hpp>

using namespace khive;

struct Endless {
    struct Request {};
    asio::awaitable<int> call(Request);
};
static_assert(ResourceClient<Endless>);

// SPDX-License-Identifier: BSL-1.0
// A token that can be copied would be given back twice.
// expect: MoveOnly
#include <khive/policy/concepts.hpp>

using namespace khive;

struct Careless {
    struct Token {
        void spend() noexcept {}
    };
    std::optional<Token> try_take(double, TimePoint);
    asio::awaitable<Result<Token>> take(async::WaitRequest);
    std::optional<Error> check_cost(double);
};
static_assert(RateLimiterPolicy<Careless>);

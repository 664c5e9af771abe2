// SPDX-License-Identifier: BSL-1.0
// A token without spend() would always go back.
// expect: CanBeSpent
#include <khive/policy/concepts.hpp>

using namespace khive;

struct Generous {
    struct Token {
        Token(Token&&) = default;
        Token& operator=(Token&&) = default;
    };
    std::optional<Token> try_take(double, TimePoint);
    asio::awaitable<Result<Token>> take(async::WaitRequest);
    std::optional<Error> check_cost(double);
};
static_assert(RateLimiterPolicy<Generous>);

// SPDX-License-Identifier: BSL-1.0
// A rate limiter that cannot wait is told which verb is missing.
// expect: WaitsForTokens
#include <khive/policy/concepts.hpp>

using namespace khive;

struct Impatient {
    struct Token {
        Token(Token&&) = default;
        Token& operator=(Token&&) = default;
        void spend() noexcept {}
    };
    std::optional<Token> try_take(double, TimePoint);
    std::optional<Error> check_cost(double);
};
static_assert(RateLimiterPolicy<Impatient>);

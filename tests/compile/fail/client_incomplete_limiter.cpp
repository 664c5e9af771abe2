// SPDX-License-Identifier: BSL-1.0
// A client is given a limiter that cannot wait: the compiler says whose verb is missing.
// expect: this type has a Token and is no RateLimiterPolicy
// expect: WaitsForTokens
#include <khive/khive.hpp>

#include <boost/asio/io_context.hpp>

struct Impatient {
    struct Token {
        Token(Token&&) = default;
        Token& operator=(Token&&) = default;
        void spend() noexcept {}
    };
    std::optional<Token> try_take(double, khive::TimePoint);
    std::optional<khive::Error> check_cost(double);
};

void make(boost::asio::io_context& io)
{
    khive::AsyncAPIClient api{io, "http://api.test", Impatient{}};
}

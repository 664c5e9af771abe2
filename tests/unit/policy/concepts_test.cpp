// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/concepts.hpp>

#include "support/catch.hpp"

#include <memory>
#include <optional>
#include <utility>

namespace khive_tests::concepts_test {

using khive::Error;
using khive::Result;
using khive::TimePoint;
namespace asio = khive::asio;

namespace {

/// A rate limiter of one's own: so many calls and no more.
class Quota {
public:
    class Token {
    public:
        explicit Token(std::shared_ptr<int> left) : left_(std::move(left)) {}
        Token(Token&&) noexcept = default;
        Token& operator=(Token&&) noexcept = default;
        ~Token()
        {
            if (left_) ++*left_;
        }
        void spend() noexcept { left_.reset(); }

    private:
        std::shared_ptr<int> left_;
    };

    explicit Quota(int calls) : left_(std::make_shared<int>(calls)) {}
    std::optional<Token> try_take(double, TimePoint)
    {
        if (*left_ == 0) return std::nullopt;
        --*left_;
        return Token(left_);
    }
    asio::awaitable<Result<Token>> take(khive::async::WaitRequest) { co_return Error{khive::ErrorKind::rate_limited}; }
    std::optional<Error> check_cost(double) const { return std::nullopt; }

private:
    std::shared_ptr<int> left_;
};
static_assert(khive::RateLimiterPolicy<Quota>);

struct Client {
    struct Request {};
    asio::awaitable<int> call(Request) { co_return 1; }
    asio::awaitable<void> close(khive::Duration) { co_return; }
};
static_assert(khive::ResourceClient<Client>);
static_assert(!khive::ResourceClient<Quota>);
static_assert(!khive::ExecutorPolicy<Quota>);
static_assert(khive::Awaitable<asio::awaitable<int>> && !khive::Awaitable<int>);
static_assert(khive::MoveOnly<Quota::Token> && !khive::MoveOnly<int>);

} // namespace

TEST_CASE("Concepts: a limiter of one's own is a few lines", "[policy]")
{
    Quota quota(2);
    quota.try_take(1, TimePoint{})->spend();
    static_cast<void>(quota.try_take(1, TimePoint{}));

    auto last = quota.try_take(1, TimePoint{});

    CHECK(last.has_value());
    CHECK_FALSE(quota.try_take(1, TimePoint{}).has_value());
}

} // namespace khive_tests::concepts_test

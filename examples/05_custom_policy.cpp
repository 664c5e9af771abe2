// SPDX-License-Identifier: BSL-1.0
// A policy of one's own: a daily budget instead of a rate. Whatever satisfies the concept takes the place of khive's own.

#include <khive/khive.hpp>
#include <khive/testing/fault_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <cmath>
#include <exception>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>

namespace asio = boost::asio;

/// So much may be spent, and then nothing more. Copies share it.
class Budget {
public:
    /// What one attempt has reserved; it goes back unless the attempt is sent.
    class Token {
    public:
        Token(std::shared_ptr<double> left, double cost) : left_(std::move(left)), cost_(cost) { *left_ -= cost_; }
        Token(Token&& other) noexcept : left_(std::move(other.left_)), cost_(std::exchange(other.cost_, 0)) {}
        Token& operator=(Token&& other) noexcept
        {
            std::swap(left_, other.left_);
            std::swap(cost_, other.cost_);
            return *this;
        }
        ~Token()
        {
            if (cost_ != 0) *left_ += cost_;
        }
        void spend() noexcept { cost_ = 0; }

    private:
        std::shared_ptr<double> left_;
        double cost_;
    };

    explicit Budget(double budget) : left_(std::make_shared<double>(budget)) {}

    std::optional<Token> try_take(double cost, khive::TimePoint)
    {
        if (cost > *left_) return std::nullopt;
        return Token(left_, cost);
    }
    /// Waiting would not help.
    asio::awaitable<khive::Result<Token>> take(khive::async::WaitRequest)
    {
        co_return khive::Error{khive::ErrorKind::rate_limited}.with_message("today's budget is spent");
    }
    std::optional<khive::Error> check_cost(double cost) const
    {
        if (std::isfinite(cost) && cost > 0) return std::nullopt;
        return khive::Error{khive::ErrorKind::invalid_argument}.with_message("a cost is positive");
    }
    [[nodiscard]] double left() const noexcept { return *left_; }

private:
    std::shared_ptr<double> left_; // a program with threads would protect it
};
static_assert(khive::RateLimiterPolicy<Budget>);

namespace {

asio::awaitable<void> run(khive::AnyAPIClient api, Budget budget)
{
    for (int page = 1; page <= 5; ++page) {
        const auto answer = co_await api.get("/export").query("page", page).cost(3).try_send();
        std::cout << "page " << page << ": " << (answer ? "ok" : answer.error().reason()) << ", left " << budget.left() << '\n';
        if (answer.has_value() != (page <= 3)) throw std::logic_error("ten is enough for three pages");
    }
}

} // namespace

int main()
{
    khive::testing::FaultServer server;
    asio::io_context io;
    const Budget budget(10);
    const khive::AsyncAPIClient api(io, server.url(), budget, khive::RetryWithBackoff{});
    asio::co_spawn(io, run(api, budget), [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    });
    io.run();
}

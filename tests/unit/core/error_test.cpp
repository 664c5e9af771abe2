// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/core/error.hpp>
#include <khive/core/exceptions.hpp>
#include <khive/core/result.hpp>

#include <set>
#include <thread>
#include <type_traits>

namespace khive_tests::error_test {

using namespace khive;
using namespace std::chrono_literals;

namespace {

template <class Exception>
bool raises(const Error& error)
{
    try {
        error.raise();
    } catch (const Exception& e) {
        return typeid(e) == typeid(Exception) && e.error().kind() == error.kind() && e.what() == error.message();
    }
}

Error status_error(int status)
{
    return Error{ErrorKind::status}.with_response(status, {}, {});
}

} // namespace

TEST_CASE("Error: a kind alone knows nothing else", "[core][error]")
{
    const Error error{ErrorKind::circuit_open};

    CHECK(error.kind() == ErrorKind::circuit_open);
    CHECK(error.message() == "circuit_open");
    CHECK(error.status() == 0);
    CHECK(error.headers().empty());
    CHECK(error.ledger().empty());
    CHECK(error.timer() == Timer::none);
    CHECK_FALSE(error.retry_after());
    CHECK_FALSE(error.retryable());
    CHECK_FALSE(error.maybe_processed());
    CHECK_FALSE(error.cause());
}

TEST_CASE("Error: carries what it is given", "[core][error]")
{
    Headers headers;
    headers.set("X", "y");
    const auto cause = boost::system::errc::make_error_code(boost::system::errc::connection_reset);
    const Error error = Error{ErrorKind::timeout}
                            .with_message("too slow")
                            .with_request("GET", "http://h/p?a=***")
                            .with_response(503, headers, "body")
                            .with_cause(cause)
                            .with_timer(Timer::first_byte, 2s)
                            .with_retryable(true)
                            .with_retry_after(3s)
                            .with_maybe_processed(true);

    CHECK(error.method() == "GET");
    CHECK(error.url() == "http://h/p?a=***");
    CHECK(error.reason() == "too slow");
    CHECK(error.status() == 503);
    CHECK(error.headers().get("x") == "y");
    CHECK(error.body() == "body");
    CHECK(error.cause() == cause);
    CHECK(error.timer() == Timer::first_byte);
    CHECK(error.timer_value() == 2s);
    CHECK(error.retryable());
    CHECK(error.retry_after() == 3s);
    CHECK(error.maybe_processed());
    CHECK_THAT(error.message(),
               khive_tests::contains("GET http://h/p?a=***: too slow (status 503) (timer first_byte, 2000.0ms)"));
    CHECK_THAT(error.message(), khive_tests::contains("retry after 3000.0ms"));
    CHECK(error.message().find("body") == std::string::npos);
}

TEST_CASE("Error: a copy shares and a change to one does not show in the other", "[core][error]")
{
    const Error one = Error{ErrorKind::status}.with_message("one");
    const Error two = Error{one}.with_message("two");

    CHECK(one.reason() == "one");
    CHECK(two.reason() == "two");
}

TEST_CASE("Error: threads change their copies of one error", "[core][error][threads]")
{
    constexpr int rounds = 1000;
    for (int i = 0; i < rounds; ++i) {
        Error mine = Error{ErrorKind::circuit_open}.with_message("open");
        Error other{mine};
        {
            std::jthread thread([&other] { other = Error{std::move(other)}.with_request("GET", "other"); });
            mine = Error{std::move(mine)}.with_request("GET", "mine");
        }
        REQUIRE(mine.url() == "mine");
        REQUIRE(other.url() == "other");
        REQUIRE(other.reason() == "open");
    }
}

TEST_CASE("Error: a delay of zero is a delay", "[core][error]")
{
    CHECK(Error{ErrorKind::rate_limited}.with_retry_after(0s).retry_after() == Duration::zero());
    CHECK_FALSE(Error{ErrorKind::rate_limited}.with_retry_after(std::nullopt).retry_after());
}

TEST_CASE("Error: raises the class of its kind, which holds the same error", "[core][error][CL-6][CL-13]")
{
    CHECK(raises<InvalidArgumentError>(Error{ErrorKind::invalid_argument}));
    CHECK(raises<InvalidURLError>(Error{ErrorKind::invalid_url}));
    CHECK(raises<ConfigurationError>(Error{ErrorKind::configuration}));
    CHECK(raises<ResolveError>(Error{ErrorKind::resolve}));
    CHECK(raises<APIConnectionError>(Error{ErrorKind::connect}));
    CHECK(raises<APIConnectionError>(Error{ErrorKind::connection_lost}));
    CHECK(raises<TlsError>(Error{ErrorKind::tls}));
    CHECK(raises<NoTrustAnchorsError>(Error{ErrorKind::no_trust_anchors}));
    CHECK(raises<APITimeoutError>(Error{ErrorKind::timeout}));
    CHECK(raises<PoolTimeoutError>(Error{ErrorKind::pool_timeout}));
    CHECK(raises<ProtocolError>(Error{ErrorKind::protocol}));
    CHECK(raises<TruncatedBodyError>(Error{ErrorKind::truncated_body}));
    CHECK(raises<HeaderTooLargeError>(Error{ErrorKind::header_too_large}));
    CHECK(raises<BodyTooLargeError>(Error{ErrorKind::body_too_large}));
    CHECK(raises<DecodeError>(Error{ErrorKind::decode}));
    CHECK(raises<CircuitBreakerOpenError>(Error{ErrorKind::circuit_open}));
    CHECK(raises<LocalRateLimitError>(Error{ErrorKind::rate_limited}));
    CHECK(raises<QueueFullError>(Error{ErrorKind::queue_full}));
    CHECK(raises<CancelledError>(Error{ErrorKind::cancelled}));
    CHECK(raises<ClosedError>(Error{ErrorKind::closed}));
}

TEST_CASE("Error: raises the class of its status", "[core][error]")
{
    CHECK(raises<BadRequestError>(status_error(400)));
    CHECK(raises<AuthenticationError>(status_error(401)));
    CHECK(raises<PermissionDeniedError>(status_error(403)));
    CHECK(raises<ResourceNotFoundError>(status_error(404)));
    CHECK(raises<RequestTimeoutError>(status_error(408)));
    CHECK(raises<ConflictError>(status_error(409)));
    CHECK(raises<UnprocessableEntityError>(status_error(422)));
    CHECK(raises<RateLimitError>(status_error(429)));
    CHECK(raises<ServerError>(status_error(500)));
    CHECK(raises<ServerError>(status_error(599)));
    CHECK(raises<APIStatusError>(status_error(418)));
}

TEST_CASE("Error: every class has the one root", "[core][error]")
{
    STATIC_REQUIRE(std::is_base_of_v<std::exception, APIClientError>);
    STATIC_REQUIRE(std::is_base_of_v<APIConnectionError, NoTrustAnchorsError>);
    STATIC_REQUIRE(std::is_base_of_v<APITimeoutError, PoolTimeoutError>);
    STATIC_REQUIRE(std::is_base_of_v<ProtocolError, TruncatedBodyError>);
    STATIC_REQUIRE(std::is_base_of_v<InvalidArgumentError, InvalidURLError>);
    CHECK_THROWS_AS(Error{ErrorKind::closed}.raise(), APIClientError);
    CHECK_THROWS_AS(Error{}.raise(), APIClientError);
}

TEST_CASE("Error: says what it means for the other side's health", "[core][error]")
{
    const auto [kind, verdict] = GENERATE(table<ErrorKind, Verdict>({
        {ErrorKind::resolve, Verdict::failure},
        {ErrorKind::connect, Verdict::failure},
        {ErrorKind::connection_lost, Verdict::failure},
        {ErrorKind::tls, Verdict::failure},
        {ErrorKind::timeout, Verdict::failure},
        {ErrorKind::protocol, Verdict::failure},
        {ErrorKind::truncated_body, Verdict::failure},
        {ErrorKind::decode, Verdict::success},
        {ErrorKind::body_too_large, Verdict::success},
        {ErrorKind::cancelled, Verdict::neutral},
        {ErrorKind::closed, Verdict::neutral},
        {ErrorKind::invalid_argument, Verdict::neutral},
        {ErrorKind::rate_limited, Verdict::neutral},
        {ErrorKind::circuit_open, Verdict::neutral},
        {ErrorKind::pool_timeout, Verdict::neutral},
    }));

    CHECK(Error{kind}.outcome().verdict == verdict);
}

TEST_CASE("Error: a timeout while queued says nothing about the other side", "[core][error]")
{
    CHECK(Error{ErrorKind::timeout}.with_timer(Timer::queue, 1s).outcome().verdict == Verdict::neutral);
    CHECK(Error{ErrorKind::timeout}.with_timer(Timer::attempt, 1s).outcome().verdict == Verdict::failure);
}

TEST_CASE("Error: what the server may have done makes a replay unsafe", "[core][error]")
{
    CHECK(Error{ErrorKind::connection_lost}.outcome().replay == ReplaySafety::safe);
    CHECK(Error{ErrorKind::connection_lost}.with_maybe_processed(true).outcome().replay == ReplaySafety::unsafe);
    CHECK(Error{ErrorKind::status}.with_retry_after(2s).outcome().retry_after == Duration{2s});
}

TEST_CASE("Error: is an error_code too", "[core][error]")
{
    const boost::system::error_code code = ErrorKind::queue_full;

    CHECK(code == Error{ErrorKind::queue_full}.code());
    CHECK(std::string{code.category().name()} == "khive");
    CHECK(code.message() == "queue_full");
}

TEST_CASE("ErrorKind: every kind and timer has a name of its own", "[core][error]")
{
    std::set<std::string_view> names;
    for (int i = 1; i <= static_cast<int>(ErrorKind::closed); ++i) names.insert(to_string(static_cast<ErrorKind>(i)));
    CHECK(names.size() == static_cast<std::size_t>(ErrorKind::closed));
    names.clear();
    for (int i = 0; i <= static_cast<int>(Timer::total); ++i) names.insert(to_string(static_cast<Timer>(i)));
    CHECK(names.size() == static_cast<std::size_t>(Timer::total) + 1);
    CHECK(names.count("unknown") == 0);
    CHECK(to_string(static_cast<ErrorKind>(200)) == "unknown");
}

TEST_CASE("Result: value() throws the class of the error", "[core][error]")
{
    const Result<int> bad = Error{ErrorKind::decode}.with_message("no JSON");
    const Result<int> good = 7;

    CHECK(good.value() == 7);
    CHECK(good.error().kind() == ErrorKind{});
    CHECK_THROWS_AS(bad.value(), DecodeError);
}

TEST_CASE("escape_untrusted: is safe to print and bounded", "[core][error][hostile]")
{
    using namespace std::string_literals;

    CHECK(escape_untrusted("plain text") == "plain text");
    CHECK(escape_untrusted("a\r\n\x1b[31m\0'\\\xff"s) == "a\\x0d\\x0a\\x1b[31m\\x00\\x27\\x5c\\xff");
    CHECK(escape_untrusted("abcdef", 3) == "abc...");
    CHECK(escape_untrusted(std::string(1'000'000, '\0')).size() == 256 * 4 + 3);
}

} // namespace khive_tests::error_test

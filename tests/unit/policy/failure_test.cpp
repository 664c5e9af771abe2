// SPDX-License-Identifier: BSL-1.0
#include <khive/policy/failure.hpp>

#include "support/catch.hpp"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <chrono>
#include <new>
#include <stdexcept>
#include <system_error>
#include <tuple>

namespace khive_tests::failure_test {

using namespace std::chrono_literals;
using khive::Error;
using khive::ErrorKind;
using khive::Failure;
using khive::Verdict;

namespace {

class TenantLocked : public khive::APIStatusError {
public:
    using APIStatusError::APIStatusError;
};

boost::system::system_error system(boost::system::error_code code)
{
    return boost::system::system_error(code);
}

khive::Ledger two_attempts()
{
    khive::Ledger ledger;
    ledger.begin_attempt({});
    ledger.begin_attempt({});
    return ledger;
}

} // namespace

TEST_CASE("Failure: an exception says what it should to policies", "[failure]")
{
    const auto [exception, verdict, retryable, cancelled] = GENERATE(table<std::exception_ptr, Verdict, bool, bool>({
        {std::make_exception_ptr(std::runtime_error("down")), Verdict::failure, true, false},
        {std::make_exception_ptr(42), Verdict::failure, true, false},
        {std::make_exception_ptr(std::invalid_argument("bug")), Verdict::neutral, false, false},
        {std::make_exception_ptr(std::out_of_range("bug")), Verdict::neutral, false, false},
        {std::make_exception_ptr(system(boost::asio::error::connection_reset)), Verdict::failure, true, false},
        {std::make_exception_ptr(system(boost::asio::error::operation_aborted)), Verdict::neutral, false, true},
        {std::make_exception_ptr(std::system_error(make_error_code(std::errc::operation_canceled))), Verdict::neutral, false,
         true},
        {std::make_exception_ptr(std::system_error(make_error_code(std::errc::timed_out))), Verdict::failure, true, false},
        {std::make_exception_ptr(khive::CancelledError(Error{ErrorKind::cancelled})), Verdict::neutral, false, true},
        {std::make_exception_ptr(khive::ClosedError(Error{ErrorKind::closed})), Verdict::neutral, false, false},
        {std::make_exception_ptr(khive::CircuitBreakerOpenError(Error{ErrorKind::circuit_open})), Verdict::neutral, false,
         false},
    }));

    const Failure failure(exception);

    CHECK(failure.outcome().verdict == verdict);
    CHECK(failure.outcome().retryable == retryable);
    CHECK(failure.cancelled() == cancelled);
}

TEST_CASE("Failure: khive's exceptions give their error, others one of kind zero", "[failure]")
{
    const Failure ours(std::make_exception_ptr(khive::ResolveError(Error{ErrorKind::resolve}.with_retryable(true))));
    const Failure foreign(std::make_exception_ptr(std::runtime_error("x")));

    CHECK(ours.error().kind() == ErrorKind::resolve);
    CHECK(ours.outcome().retryable);
    CHECK(foreign.error().kind() == ErrorKind{});
}

TEST_CASE("Failure: is() works for values as it does for exceptions", "[failure]")
{
    const Failure value(Error{ErrorKind::status}.with_response(429, {}, ""));
    const Failure thrown(std::make_exception_ptr(TenantLocked(Error{ErrorKind::status}.with_response(423, {}, ""))));

    CHECK(value.is<khive::RateLimitError>());
    CHECK_FALSE(value.is<khive::ServerError>());
    CHECK(thrown.is<TenantLocked>());
    CHECK(thrown.is<khive::APIStatusError>());
    CHECK_FALSE(thrown.is<std::runtime_error>());
}

TEST_CASE("Failure: raise_with adds the ledger to khive's exceptions", "[failure]")
{
    const auto failure = GENERATE(Failure(Error{ErrorKind::connect}),
                                  Failure(std::make_exception_ptr(khive::APIConnectionError(Error{ErrorKind::connect}))));
    try {
        failure.raise_with(two_attempts());
    } catch (const khive::APIConnectionError& e) {
        CHECK(e.error().ledger().size() == 2);
    }
}

TEST_CASE("Failure: raise_with leaves the exceptions of others as they are", "[failure]")
{
    const Failure derived(std::make_exception_ptr(TenantLocked(Error{ErrorKind::status}.with_response(423, {}, ""))));
    const Failure foreign(std::make_exception_ptr(std::runtime_error("down")));

    CHECK_THROWS_AS(derived.raise_with(two_attempts()), TenantLocked);
    CHECK_THROWS_WITH(foreign.raise_with(two_attempts()), "down");
}

} // namespace khive_tests::failure_test

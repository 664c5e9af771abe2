// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/policy/failure.hpp>

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include <stdexcept>
#include <system_error>
#include <typeinfo>

namespace khive::inline KHIVE_ABI {
namespace detail {

inline constexpr Outcome says_nothing{.verdict = Verdict::neutral};
inline constexpr Outcome may_pass{.verdict = Verdict::failure, .retryable = true};

/// Is it the exception of an Asio or standard operation that was cancelled?
inline bool is_aborted(const std::exception_ptr& exception)
{
    try {
        std::rethrow_exception(exception);
    } catch (const boost::system::system_error& e) {
        return e.code() == boost::asio::error::operation_aborted;
    } catch (const std::system_error& e) {
        return e.code() == std::errc::operation_canceled;
    } catch (...) {
        return false;
    }
}

} // namespace detail

KHIVE_DECL Failure::Failure(Error error) noexcept
    : error_(std::move(error)), outcome_(error_.outcome()), cancelled_(error_.kind() == ErrorKind::cancelled)
{}

KHIVE_DECL Failure::Failure(std::exception_ptr exception) : exception_(std::move(exception))
{
    try {
        std::rethrow_exception(exception_);
    } catch (const APIClientError& e) {
        error_ = e.error();
        outcome_ = error_.outcome();
        cancelled_ = error_.kind() == ErrorKind::cancelled;
    } catch (const std::logic_error&) {
        outcome_ = detail::says_nothing;
    } catch (...) {
        cancelled_ = detail::is_aborted(exception_);
        outcome_ = cancelled_ ? detail::says_nothing : detail::may_pass;
    }
}

KHIVE_DECL void Failure::raise() const
{
    if (exception_) std::rethrow_exception(exception_);
    error_.raise();
}

KHIVE_DECL void Failure::raise_with(Ledger ledger) const
{
    const std::type_info* thrown = nullptr;
    try {
        raise();
    } catch (const APIClientError& e) {
        thrown = &typeid(e);
    } catch (...) {
        throw;
    }
    try {
        Error{error_}.with_ledger(std::move(ledger)).raise();
    } catch (const APIClientError& e) {
        // A class derived from khive's by somebody else knows more than its error.
        if (*thrown == typeid(e)) throw;
    }
    raise();
}

} // namespace khive::inline KHIVE_ABI

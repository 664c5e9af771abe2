// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error.hpp>
#include <khive/core/exceptions.hpp>
#include <khive/core/outcome.hpp>

#include <exception>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// How a guarded function failed: with an `Error` as a value, with an exception of khive, or with any other exception.
///
/// What predicates and classifiers of the policies look at: `failure.is<MyBackendDown>()`, `failure.error().status() == 423`.
class Failure {
public:
    KHIVE_DECL explicit Failure(Error error) noexcept;
    /// Looks into the exception: khive's own give their error.
    KHIVE_DECL explicit Failure(std::exception_ptr exception);

    /// Khive's error; of kind zero for any other exception.
    [[nodiscard]] const Error& error() const noexcept { return error_; }
    /// Null where the failure came as a value.
    [[nodiscard]] const std::exception_ptr& exception() const noexcept { return exception_; }
    /// Would `catch (const Exception&)` catch it?
    template <class Exception>
    [[nodiscard]] bool is() const;
    /// Was it cancelled by whoever waits for it?
    [[nodiscard]] bool cancelled() const noexcept { return cancelled_; }
    /// What it says by itself. An error speaks for itself; a cancelled operation and a `std::logic_error` (a bug of the
    /// caller) say nothing and are not worth repeating; every other exception is a failure that may pass.
    [[nodiscard]] const Outcome& outcome() const noexcept { return outcome_; }

    /// Throws what it is.
    [[noreturn]] KHIVE_DECL void raise() const;
    /// Throws the error with another ledger; what is not exactly one of khive's exceptions is thrown unchanged.
    [[noreturn]] KHIVE_DECL void raise_with(Ledger ledger) const;

private:
    Error error_;
    std::exception_ptr exception_;
    Outcome outcome_;
    bool cancelled_ = false;
};

template <class Exception>
bool Failure::is() const
{
    try {
        raise();
    } catch (const Exception&) {
        return true;
    } catch (...) {
        return false;
    }
}

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/impl/failure.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error.hpp>

#include <boost/system/result.hpp>

namespace khive::inline KHIVE_ABI {

/// A value or an `Error`; `value()` throws the exception class of the error's kind, which holds the same error.
template <class T>
using Result = boost::system::result<T, Error>;

/// What a function that gives an `Error` has made, as a `Result`. Those with a `Result` in their signature are templates, so that
/// only who calls them compiles it: each costs a megabyte of a compiler's memory and more.
template <class T>
[[nodiscard]] Result<T> result_of(Error error, T made)
{
    if (error.failed()) return error;
    return made;
}

/// Lets `boost::system::result::value()` throw khive's classes.
[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&)
{
    error.raise();
}

} // namespace khive::inline KHIVE_ABI

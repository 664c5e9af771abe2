// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error.hpp>

#include <boost/system/result.hpp>

namespace khive::inline KHIVE_ABI {

/// A value or an `Error`; `value()` throws the exception class of the error's kind, which holds the same error.
template <class T>
using Result = boost::system::result<T, Error>;

/// Lets `boost::system::result::value()` throw khive's classes.
[[noreturn]] inline void throw_exception_from_error(const Error& error, const boost::source_location&)
{
    error.raise();
}

} // namespace khive::inline KHIVE_ABI

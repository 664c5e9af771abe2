// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>
#include <khive/core/result.hpp>

#include <optional>

namespace khive::inline KHIVE_ABI::detail {

/// Why a cost can never be granted by a bucket of this burst.
[[nodiscard]] KHIVE_DECL std::optional<Error> check_cost(double cost, double burst);

/// A wait that has ended before it began.
template <class T>
asio::awaitable<Result<T>> refused(Error error)
{
    co_return error;
}

} // namespace khive::inline KHIVE_ABI::detail

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/impl/check_cost.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/result.hpp>
#include <khive/policy/concepts.hpp>

#include <type_traits>

namespace khive::inline KHIVE_ABI::detail {

/// `T` of `asio::awaitable<T>`.
template <class A>
using AwaitedValue = typename AwaitableTraits<std::remove_cvref_t<A>>::value_type;

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<Result<T>> = true;

} // namespace khive::inline KHIVE_ABI::detail

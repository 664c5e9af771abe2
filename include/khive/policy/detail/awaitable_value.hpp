// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/result.hpp>
#include <khive/policy/concepts.hpp>

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/cancellation_type.hpp>

#include <type_traits>
#include <variant>

namespace khive::inline KHIVE_ABI::detail {

/// `T` of `asio::awaitable<T>`.
template <class A>
using AwaitedValue = typename AwaitableTraits<std::remove_cvref_t<A>>::value_type;

/// Something to store for every `T`.
template <class T>
using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<Result<T>> = true;

/// Is the calling coroutine asked to stop? Then its failures are the caller's.
[[nodiscard]] inline bool is_cancelled(const asio::cancellation_state& state) noexcept
{
    return state.cancelled() != asio::cancellation_type::none;
}

} // namespace khive::inline KHIVE_ABI::detail

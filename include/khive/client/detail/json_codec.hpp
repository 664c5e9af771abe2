// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/result.hpp>

#include <string>
#include <string_view>
#include <type_traits>

namespace khive::inline KHIVE_ABI {

/// How a C++ type becomes a JSON body and back; defined by `khive/client/json.hpp`.
template <class T>
struct JsonCodec;

namespace detail {

template <class T>
concept HasJsonCodec = requires { sizeof(JsonCodec<T>); };

/// A body as a `T`.
template <class T>
[[nodiscard]] Result<T> decode_body(std::string_view body)
{
    if constexpr (std::is_same_v<T, std::string>) {
        return std::string(body);
    } else {
        static_assert(HasJsonCodec<T>, "as<T>() needs #include <khive/client/json.hpp>");
        return JsonCodec<T>::decode(body);
    }
}

} // namespace detail
} // namespace khive::inline KHIVE_ABI

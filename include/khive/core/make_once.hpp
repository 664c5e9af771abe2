// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <memory>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// `std::make_shared` for what a client makes once: an allocation more, and for each type thirty functions less that every
/// program compiles.
template <class T, class... Args>
std::shared_ptr<T> make_once(Args&&... args)
{
    return std::shared_ptr<T>(new T(std::forward<Args>(args)...));
}

} // namespace khive::inline KHIVE_ABI

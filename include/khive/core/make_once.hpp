// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <memory>
#include <utility>

namespace khive::inline KHIVE_ABI {

namespace detail {

template <class T>
void delete_once(void* object)
{
    delete static_cast<T*>(object);
}

} // namespace detail

/// `std::make_shared` for what a client makes once: an allocation more, and for each type forty functions less that every
/// program compiles. All have one type of reference count, whose deleter is a pointer.
template <class T, class... Args>
std::shared_ptr<T> make_once(Args&&... args)
{
    T* const made = new T(std::forward<Args>(args)...);
    return std::shared_ptr<T>(std::shared_ptr<void>(static_cast<void*>(made), &detail::delete_once<T>), made);
}

/// The same of what finds itself by `Base`, which is a `std::enable_shared_from_this`.
template <class T, class Base, class... Args>
std::shared_ptr<T> make_once_as(Args&&... args)
{
    T* const made = new T(std::forward<Args>(args)...);
    return std::shared_ptr<T>(std::shared_ptr<Base>(static_cast<Base*>(made)), made);
}

} // namespace khive::inline KHIVE_ABI

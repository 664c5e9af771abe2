// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// What khive's own objects have in place of `std::shared_ptr<T>`, over the one of `void`: for each type a half of a megabyte less
/// of a compiler's memory, and seventy functions less that every program compiles.
template <class T>
class Shared {
public:
    Shared() noexcept = default;
    Shared(std::nullptr_t) noexcept {} // NOLINT: none
    /// The part `object` of what `holder` keeps.
    Shared(std::shared_ptr<void> holder, T* object) noexcept : holder_(std::move(holder), static_cast<void*>(object)) {}
    template <class U>
        requires(!std::same_as<U, T> && std::convertible_to<U*, T*>)
    Shared(Shared<U> other) noexcept // NOLINT: as of pointers
    {
        T* const object = other.get();
        holder_ = std::shared_ptr<void>(std::move(other).take_holder(), static_cast<void*>(object));
    }
    template <class U>
        requires std::convertible_to<U*, T*>
    Shared(const std::shared_ptr<U>& other) noexcept : Shared(other, other.get())
    {} // NOLINT: the same

    [[nodiscard]] T* get() const noexcept { return static_cast<T*>(holder_.get()); }
    [[nodiscard]] T& operator*() const noexcept { return *get(); }
    [[nodiscard]] T* operator->() const noexcept { return get(); }
    [[nodiscard]] explicit operator bool() const noexcept { return holder_ != nullptr; }
    void reset() noexcept { holder_.reset(); }

    /// What keeps it, whatever it is.
    [[nodiscard]] const std::shared_ptr<void>& holder() const noexcept { return holder_; }
    [[nodiscard]] std::shared_ptr<void> take_holder() && noexcept { return std::move(holder_); }

private:
    std::shared_ptr<void> holder_;
};

/// Finds what is shared without keeping it.
template <class T>
class Weak {
public:
    Weak(Shared<T> whom) noexcept : whom_(whom.holder()) {} // NOLINT: as of pointers
    template <class U>
        requires(!std::same_as<U, T> && std::convertible_to<U*, T*>)
    Weak(Shared<U> whom) noexcept : Weak(Shared<T>(std::move(whom)))
    {} // NOLINT: the same
    template <class U>
        requires std::convertible_to<U*, T*>
    Weak(const std::shared_ptr<U>& whom) noexcept : Weak(Shared<T>(whom))
    {} // NOLINT: the same

    /// None if it is gone.
    [[nodiscard]] Shared<T> lock() const noexcept
    {
        auto holder = whom_.lock();
        T* const object = static_cast<T*>(holder.get());
        return {std::move(holder), object};
    }

private:
    std::weak_ptr<void> whom_;
};

/// A base of what finds who keeps it, whatever its type: one `std::enable_shared_from_this` for all.
class FindsItself : public std::enable_shared_from_this<FindsItself> {
protected:
    FindsItself() = default;
    FindsItself(const FindsItself&) = delete;
    FindsItself& operator=(const FindsItself&) = delete;

public:
    virtual ~FindsItself() = default;
};

/// Another share of an object that has one.
template <std::derived_from<FindsItself> T>
[[nodiscard]] Shared<T> share(T& object)
{
    return {object.shared_from_this(), &object};
}

namespace detail {

template <class T>
void delete_shared(void* object)
{
    delete static_cast<T*>(object);
}

} // namespace detail

/// Owns what was made by `new`. All have one type of reference count, or one of two.
template <class T>
[[nodiscard]] Shared<T> own_shared(T* made)
{
    if constexpr (std::derived_from<T, FindsItself>)
        return {std::shared_ptr<FindsItself>(static_cast<FindsItself*>(made)), made};
    else
        return {std::shared_ptr<void>(static_cast<void*>(made), &detail::delete_shared<T>), made};
}

/// `std::make_shared` for what is made once: an allocation more.
template <class T, class... Args>
[[nodiscard]] Shared<T> make_once(Args&&... args)
{
    return own_shared(new T(std::forward<Args>(args)...));
}

} // namespace khive::inline KHIVE_ABI

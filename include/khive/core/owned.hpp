// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <cstddef>

namespace khive::inline KHIVE_ABI {

struct DeleteOwned {
    template <class T>
    void operator()(T* object) const noexcept
    {
        static_assert(sizeof(T) > 0, "it has to be complete where it is destroyed");
        delete object;
    }
};

/// What khive's own objects have in place of `std::unique_ptr`: for each type forty functions less that every program compiles.
template <class T, class Dispose = DeleteOwned>
class Owned {
public:
    Owned() noexcept = default;
    Owned(std::nullptr_t) noexcept {} // NOLINT: none
    explicit Owned(T* object) noexcept : object_(object) {}
    Owned(Owned&& other) noexcept : object_(other.object_) { other.object_ = nullptr; }
    Owned& operator=(Owned&& other) noexcept
    {
        reset(other.release());
        return *this;
    }
    ~Owned()
    {
        if (object_ != nullptr) Dispose()(object_);
    }

    [[nodiscard]] T* get() const noexcept { return object_; }
    [[nodiscard]] T& operator*() const noexcept { return *object_; }
    [[nodiscard]] T* operator->() const noexcept { return object_; }
    [[nodiscard]] explicit operator bool() const noexcept { return object_ != nullptr; }

    [[nodiscard]] T* release() noexcept
    {
        T* const object = object_;
        object_ = nullptr;
        return object;
    }
    void reset(T* object = nullptr) noexcept
    {
        T* const before = object_;
        object_ = object;
        if (before != nullptr) Dispose()(before);
    }
    [[nodiscard]] friend bool operator==(const Owned& owned, std::nullptr_t) noexcept { return owned.object_ == nullptr; }

private:
    T* object_ = nullptr;
};

} // namespace khive::inline KHIVE_ABI

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <memory>
#include <new>

namespace khive::inline KHIVE_ABI {

/// A place for an object that comes and goes, in place of a `std::optional` that stays where it is: for each type twenty
/// functions less that every program compiles.
template <class T>
class Maybe {
public:
    Maybe() noexcept {} // NOLINT: the object is made later
    Maybe(const Maybe&) = delete;
    Maybe& operator=(const Maybe&) = delete;
    ~Maybe() { reset(); }

    [[nodiscard]] explicit operator bool() const noexcept { return there_; }
    [[nodiscard]] T& operator*() noexcept { return object_; }
    [[nodiscard]] T* operator->() noexcept { return &object_; }

    template <class... Args>
    T& emplace(Args&&... args)
    {
        reset();
        ::new (static_cast<void*>(&object_)) T(static_cast<Args&&>(args)...);
        there_ = true;
        return object_;
    }
    void reset() noexcept
    {
        if (!there_) return;
        there_ = false;
        object_.~T();
    }

private:
    union {
        T object_;
    };
    bool there_ = false;
};

} // namespace khive::inline KHIVE_ABI

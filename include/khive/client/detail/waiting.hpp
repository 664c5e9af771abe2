// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/sleep.hpp>
#include <khive/net/async_exchange.hpp>
#include <khive/net/connection_pool.hpp>

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::detail {

/// What a call waits for: a connection, the end of an exchange, or a time. In place of `std::variant`, which has a hundred
/// functions that every program compiles. Its last word has room for what follows it.
class Waiting {
public:
    Waiting() noexcept {} // NOLINT: the room stays as it is
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting() { clear(); }

    template <class T, class... Args>
    T& emplace(Args&&... args)
    {
        static_assert(sizeof(T) <= sizeof room_ && alignof(T) <= alignof(Room));
        clear();
        T* const made = ::new (static_cast<void*>(room_)) T(std::forward<Args>(args)...);
        if constexpr (std::is_same_v<T, net::Checkout>)
            holds_ = Holds::checkout;
        else if constexpr (std::is_same_v<T, async::Sleep>)
            holds_ = Holds::sleep;
        else
            static_assert(std::is_trivially_destructible_v<T>);
        return *made;
    }
    /// What was put there last, which is a `T`.
    template <class T>
    [[nodiscard]] T& as() noexcept
    {
        return *std::launder(static_cast<T*>(static_cast<void*>(room_)));
    }
    void clear() noexcept
    {
        if (holds_ == Holds::trivial) return;
        if (holds_ == Holds::checkout)
            as<net::Checkout>().~GrantWait();
        else
            as<async::Sleep>().~Sleep();
        holds_ = Holds::trivial;
    }

private:
    enum class Holds : unsigned char { trivial, checkout, sleep };
    union Room {
        char checkout[sizeof(net::Checkout)];
        char exchange[sizeof(net::Exchange)];
        char sleep[sizeof(async::Sleep)];
        void* aligned;
    };

    alignas(Room) std::byte room_[sizeof(Room)];
    Holds holds_ = Holds::trivial; ///< what has to be destroyed
};

} // namespace khive::inline KHIVE_ABI::detail

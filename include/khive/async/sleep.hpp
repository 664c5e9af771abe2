// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/completion.hpp>
#include <khive/async/time_service.hpp>
#include <khive/async/wait_scope.hpp>
#include <khive/core/shared.hpp>

#include <boost/asio/awaitable.hpp>

#include <exception>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::async {

namespace detail {
class Sleeper;
} // namespace detail

/// A coroutine's wait for a time, in its frame; on its executor's time service, which is virtual in tests.
///
/// - Time: never early.
/// - Cancellation: at once, also when `scope` closes; `slept()` is false then.
class Sleep final : public Suspension {
public:
    explicit Sleep(TimePoint due, Shared<WaitScope> scope = nullptr) noexcept : due_(due), scope_(std::move(scope)) {}
    /// Throws `std::bad_alloc` where there was no memory for it.
    [[nodiscard]] bool slept() const
    {
        if (failure_) std::rethrow_exception(failure_);
        return slept_;
    }

private:
    friend class detail::Sleeper;
    KHIVE_COLD_DECL void start(Completion& rest, asio::cancellation_slot slot) override;
    void failed(std::exception_ptr why) noexcept override { failure_ = std::move(why); }

    TimePoint due_;
    Shared<WaitScope> scope_;
    std::exception_ptr failure_;
    bool slept_ = false;
};

/// `Sleep` as an awaitable. A template because GCC compiles every coroutine that it sees, used or not.
template <class Scope = WaitScope>
[[nodiscard]] asio::awaitable<bool> sleep_until(TimePoint due, Shared<std::type_identity_t<Scope>> scope = nullptr)
{
    Sleep sleeping(due, std::move(scope));
    auto sleep = suspend(sleeping);
    co_await std::move(sleep);
    co_return sleeping.slept();
}

} // namespace khive::inline KHIVE_ABI::async

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/async/impl/sleep.ipp>
#endif

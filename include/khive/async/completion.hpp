// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>
#include <khive/async/post.hpp>

#include <boost/asio/associated_allocator.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/execution/outstanding_work.hpp>

#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::async {

/// The rest of a suspended coroutine: called at most once with a `T`, on the coroutine's own executor.
///
/// Erases the type of an Asio completion handler without an allocation where the handler is small, as those of `awaitable`
/// are. Destroyed without a call it destroys the coroutine, as Asio handlers do.
///
/// - Lifetime: keeps the executor's `run()` from returning until called or destroyed, unless taken with `untracked`.
/// - Thread safety: as a value; `post` may be called from any thread.
template <class T>
class Completion {
public:
    struct Untracked {};

    Completion() noexcept = default;

    template <class Handler>
        requires(!std::is_same_v<std::remove_cvref_t<Handler>, Completion>)
    explicit Completion(Handler&& handler, const asio::any_io_executor& fallback)
        : executor_(asio::prefer(asio::any_io_executor(asio::get_associated_executor(handler, fallback)),
                                 asio::execution::outstanding_work.tracked))
    {
        emplace(std::forward<Handler>(handler));
    }

    /// For a handler whose executor has a pending operation of its own meanwhile.
    template <class Handler>
    Completion(Handler&& handler, const asio::any_io_executor& fallback, Untracked)
        : executor_(asio::get_associated_executor(handler, fallback))
    {
        emplace(std::forward<Handler>(handler));
    }

    Completion(Completion&& other) noexcept : executor_(std::move(other.executor_)) { take(other); }
    Completion& operator=(Completion&& other) noexcept
    {
        if (this != &other) {
            reset();
            executor_ = std::move(other.executor_);
            take(other);
        }
        return *this;
    }
    ~Completion() { reset(); }

    [[nodiscard]] explicit operator bool() const noexcept { return verbs_ != nullptr; }
    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }

    /// Runs the rest later, on its executor. The value waits inside the posted function: if that is destroyed instead of run,
    /// the value is released.
    void post(T value) &&
    {
        std::move(*this).post(std::move(value), [] {});
    }
    /// The same, with `before` called right before the rest.
    template <class Before>
    void post(T value, Before before) &&
    {
        const auto executor = std::move(executor_);
        async::post(executor, std::make_unique<Posted<Before>>(std::move(*this), std::move(value), std::move(before)));
    }

    /// Runs the rest here and now. Only from a handler that runs on `executor()`, holding no lock.
    void run(T value) &&
    {
        Completion self = std::move(*this);
        self.verbs_->call(self.storage_, std::move(value));
    }

    void reset() noexcept
    {
        if (verbs_ != nullptr) std::exchange(verbs_, nullptr)->destroy(storage_);
    }

private:
    template <class Before>
    struct Posted final : PostedTask {
        Posted(Completion rest, T result, Before first)
            : completion(std::move(rest)), value(std::move(result)), before(std::move(first))
        {
        }
        void run() override
        {
            before();
            std::move(completion).run(std::move(value));
        }
        Completion completion;
        T value;
        Before before;
    };

    static constexpr std::size_t room = 4 * sizeof(void*);

    struct Verbs {
        void (*call)(void*, T&&);
        void (*destroy)(void*) noexcept;
        void (*move)(void* from, void* to) noexcept;
    };

    template <class H>
    static constexpr bool fits = sizeof(H) <= room && alignof(H) <= alignof(void*) && std::is_nothrow_move_constructible_v<H>;

    template <class H>
    struct Inline {
        static H& at(void* p) noexcept { return *std::launder(static_cast<H*>(p)); }
        static void call(void* p, T&& value)
        {
            H handler = std::move(at(p));
            std::move(handler)(std::move(value));
        }
        static void destroy(void* p) noexcept { at(p).~H(); }
        static void move(void* from, void* to) noexcept
        {
            ::new (to) H(std::move(at(from)));
            at(from).~H();
        }
        static constexpr Verbs verbs{&call, &destroy, &move};
    };

    template <class H>
    struct Boxed {
        static H*& at(void* p) noexcept { return *static_cast<H**>(p); }
        static void call(void* p, T&& value)
        {
            H handler = std::move(*at(p));
            std::move(handler)(std::move(value));
        }
        static void destroy(void* p) noexcept { delete at(p); }
        static void move(void* from, void* to) noexcept { ::new (to) H*(at(from)); }
        static constexpr Verbs verbs{&call, &destroy, &move};
    };

    template <class Handler>
    void emplace(Handler&& handler)
    {
        using H = std::decay_t<Handler>;
        if constexpr (fits<H>) {
            ::new (static_cast<void*>(storage_)) H(std::forward<Handler>(handler));
            verbs_ = &Inline<H>::verbs;
        } else {
            ::new (static_cast<void*>(storage_)) H*(new H(std::forward<Handler>(handler)));
            verbs_ = &Boxed<H>::verbs;
        }
    }

    void take(Completion& other) noexcept
    {
        verbs_ = std::exchange(other.verbs_, nullptr);
        if (verbs_ != nullptr) verbs_->move(other.storage_, storage_);
    }

    alignas(void*) std::byte storage_[room];
    const Verbs* verbs_ = nullptr;
    asio::any_io_executor executor_;
};

} // namespace khive::inline KHIVE_ABI::async

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>
#include <khive/async/post.hpp>

#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/cancellation_type.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::async {

/// Told on a coroutine's own executor, right before the coroutine goes on.
class BeforeResume {
public:
    virtual void before_resume() noexcept = 0;

protected:
    ~BeforeResume() = default;
};

/// The rest of a suspended coroutine, without its executor: called at most once, there.
///
/// It carries no value: what the coroutine waited for is left where the coroutine finds it. So there is one type of handler for
/// every wait, which programs are spared to compile again for each. No allocation where the handler is small, as those of
/// `awaitable` are. Destroyed without a call it destroys the coroutine, as Asio handlers do.
class Continuation {
public:
    Continuation() noexcept = default;

    template <class Handler>
        requires(!std::is_base_of_v<Continuation, std::remove_cvref_t<Handler>>)
    explicit Continuation(Handler&& handler)
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

    Continuation(Continuation&& other) noexcept { take(other); }
    Continuation& operator=(Continuation&& other) noexcept
    {
        if (this != &other) {
            reset();
            take(other);
        }
        return *this;
    }
    ~Continuation() { reset(); }

    [[nodiscard]] explicit operator bool() const noexcept { return verbs_ != nullptr; }

    /// Runs the rest here and now. Only from a handler that runs on its executor, holding no lock.
    void run() && { std::exchange(verbs_, nullptr)->call(storage_); }

    void reset() noexcept
    {
        if (verbs_ != nullptr) std::exchange(verbs_, nullptr)->destroy(storage_);
    }

private:
    static constexpr std::size_t room = 2 * sizeof(void*); ///< twice what that of an awaitable takes

    struct Verbs {
        void (*call)(void*); ///< it is gone from there when it runs
        void (*destroy)(void*) noexcept;
        void (*move)(void* from, void* to) noexcept;
    };

    template <class H>
    static constexpr bool fits = sizeof(H) <= room && alignof(H) <= alignof(void*) && std::is_nothrow_move_constructible_v<H>;

    template <class H>
    struct Inline {
        static H& at(void* p) noexcept { return *std::launder(static_cast<H*>(p)); }
        static void call(void* p)
        {
            H handler = std::move(at(p));
            destroy(p);
            std::move(handler)();
        }
        static void destroy(void* p) noexcept { at(p).~H(); }
        static void move(void* from, void* to) noexcept
        {
            ::new (to) H(std::move(at(from)));
            destroy(from);
        }
        static constexpr Verbs verbs{&call, &destroy, &move};
    };

    template <class H>
    struct Boxed {
        static H*& at(void* p) noexcept { return *static_cast<H**>(p); }
        static void call(void* p)
        {
            H handler = std::move(*at(p));
            destroy(p);
            std::move(handler)();
        }
        static void destroy(void* p) noexcept { delete at(p); }
        static void move(void* from, void* to) noexcept { ::new (to) H*(at(from)); }
        static constexpr Verbs verbs{&call, &destroy, &move};
    };

    void take(Continuation& other) noexcept
    {
        verbs_ = std::exchange(other.verbs_, nullptr);
        if (verbs_ != nullptr) verbs_->move(other.storage_, storage_);
    }

    alignas(void*) std::byte storage_[room];
    const Verbs* verbs_ = nullptr;
};

/// The rest of a suspended coroutine and its executor.
///
/// - Lifetime: `track()` keeps the executor's `run()` from returning until it is called or destroyed.
/// - Thread safety: as a value; `post` may be called from any thread.
class Completion : public Continuation {
public:
    Completion() noexcept = default;

    template <class Handler>
        requires(!std::is_base_of_v<Continuation, std::remove_cvref_t<Handler>>)
    explicit Completion(Handler&& handler, const asio::any_io_executor& fallback = {})
        : Completion{asio::get_associated_executor(handler, fallback), Continuation(std::forward<Handler>(handler))}
    // in order
    {}
    Completion(asio::any_io_executor executor, Continuation rest) noexcept
        : Continuation(std::move(rest)), executor_(std::move(executor))
    {}

    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }

    /// Counts as work of the executor from now on.
    KHIVE_DECL void track();
    /// Runs the rest later, on its executor; for this it takes memory, which a `Resumption` has. Destroyed instead of run, the
    /// posted function destroys the coroutine.
    KHIVE_DECL void post() &&;
    /// The executor, for the last time.
    [[nodiscard]] asio::any_io_executor take_executor() noexcept { return std::move(executor_); }

private:
    asio::any_io_executor executor_;
};

/// The posting of a completion, with memory for it: a part of what the coroutine waits for, so that every wait that has begun can
/// end.
class Resumption final : public PostedTask {
public:
    /// Runs `rest` later, on its executor, and tells `first` right before, if there is one. `keeper` owns this object. One at a
    /// time.
    KHIVE_DECL void post(Completion rest, std::shared_ptr<void> keeper, BeforeResume* first = nullptr);

private:
    KHIVE_DECL void run() override;
    KHIVE_DECL void abandon() noexcept override;

    Continuation rest_;
    std::shared_ptr<void> keeper_;
    BeforeResume* first_ = nullptr;
};

/// Something that a coroutine can be suspended for. It lives in the coroutine's frame, named on a line of its own.
class Suspension {
public:
    /// The coroutine is suspended: `rest` has to be run or posted once. `slot` tells of its cancellation until then.
    /// With several threads the coroutine, and this object with it, may be gone once `rest` has been moved from.
    ///
    /// - Errors: may throw as long as `rest` is where it was; the coroutine goes on at once then, after a call of `failed`.
    virtual void start(Completion& rest, asio::cancellation_slot slot) = 0;
    /// It could not be started, for want of memory: what the coroutine waits for has ended with `why`.
    virtual void failed(std::exception_ptr why) noexcept = 0;
    /// Starts, or fails and runs `rest`.
    KHIVE_DECL void begin(Completion rest, asio::cancellation_slot slot);

protected:
    ~Suspension() = default;
};

/// Calls `act(object, type)` when `slot` tells of a cancellation, unless `whom` is gone by then.
KHIVE_DECL void on_cancellation(asio::cancellation_slot slot, const std::shared_ptr<void>& whom, void* object,
                                void (*act)(void* object, asio::cancellation_type type));

/// The same with `act(*whom, type)`.
template <class T, class Act>
    requires std::is_empty_v<Act>
void on_cancellation(asio::cancellation_slot slot, const std::shared_ptr<T>& whom, Act)
{
    on_cancellation(slot, whom, whom.get(),
                    [](void* object, asio::cancellation_type type) { Act()(*static_cast<T*>(object), type); });
}

/// What `asio::deferred` makes, without its header: begins when it is awaited.
class Suspend {
    struct Begin {
        template <class Handler>
        void operator()(Handler handler, Suspension* what) const
        {
            const auto slot = asio::get_associated_cancellation_slot(handler);
            what->begin(Completion(std::move(handler)), slot);
        }
    };

public:
    explicit Suspend(Suspension& what) noexcept : what_(&what) {}

    template <class Token>
    auto operator()(Token&& token) && -> decltype(asio::async_initiate<Token, void()>(Begin(), token,
                                                                                      std::declval<Suspension*&>()))
    {
        return asio::async_initiate<Token, void()>(Begin(), token, what_);
    }

private:
    Suspension* what_;
};

/// Suspends the coroutine: `auto wait = async::suspend(suspension); co_await std::move(wait);`
[[nodiscard]] inline Suspend suspend(Suspension& suspension)
{
    return Suspend(suspension);
}

} // namespace khive::inline KHIVE_ABI::async

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/async/impl/completion.ipp>
#endif

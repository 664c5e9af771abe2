// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/result.hpp>
#include <khive/core/time.hpp>
#include <khive/policy/concepts.hpp>
#include <khive/policy/detail/map_state.hpp>
#include <khive/policy/detail/work_state.hpp>
#include <khive/policy/task.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// How much an `AsyncExecutor` runs at once.
struct AsyncExecutorOptions {
    std::size_t max_concurrency = 64; ///< slots. Above 0; no limit is what leaving out the executor is for
    std::size_t max_queue = 65'536;   ///< who may wait for a slot at once. 0 refuses instead of waiting
};
static_assert(std::is_trivially_destructible_v<AsyncExecutorOptions>);

/// Bounds how many run at once, and owns what runs.
///
/// `co_await executor.execute(fn)`, `co_await executor.map(items, fn)`, `executor.submit(io.get_executor(), fn)`
///
/// Slots are handed out in strict order of arrival. Everything that `execute`, `map` and `submit` start is a task in the
/// executor's list from before it begins until after it has ended, so `shutdown` knows all of it. A task keeps its slot as long
/// as its awaitable runs, also while that sleeps; in an HTTP client retries are outside of it. A task that waits for a slot of
/// its own executor may wait for itself: do not give a client the executor whose `map` or `execute` runs that client's calls, or
/// tasks hold all the slots for which their calls wait.
///
/// - Cancellation: cancelling the caller cancels its tasks and waits until they have ended; a task still waiting for a slot
///   ends at once.
/// - Errors: `queue_full`, `closed` after `shutdown`, `cancelled`; otherwise what the function throws, unchanged and once.
/// - Thread safety: safe. Copies share the slots. Every task runs on a strand over the executor of its caller.
/// - Complexity: a slot without waiting is O(1) without allocation; a task costs three allocations.
class AsyncExecutor {
public:
    using Slot = detail::WorkSlot;

    /// Throws `ConfigurationError` for options out of range.
    KHIVE_DECL explicit AsyncExecutor(const AsyncExecutorOptions& options = {});

    /// Awaits `fn()` in a slot.
    template <class F>
        requires Awaitable<std::invoke_result_t<F&>>
    [[nodiscard]] auto execute(F fn) const
    {
        return detail::execute_work(work_, 1, std::move(fn), std::nullopt);
    }

    /// Awaits `fn(item)` for each item, as many at once as there are slots, and gives the results in the order of the items.
    ///
    /// Items are pulled one by one when there is a slot: a generator is never more than one item ahead. See `MapMode`: with
    /// `fail_fast` a `std::vector<T>`, with `collect` a `std::vector<Settled<T>>`.
    ///
    /// - Lifetime: an lvalue range is referred to; an rvalue and `fn` are kept until everything has ended.
    template <class R, class F>
        requires MapsOver<R, F>
    [[nodiscard]] auto map(R&& range, F fn, MapMode::FailFast = MapMode::fail_fast) const
    {
        return detail::map_failing_fast(detail::make_map(work_, std::forward<R>(range), std::move(fn), true));
    }
    template <class R, class F>
        requires MapsOver<R, F>
    [[nodiscard]] auto map(R&& range, F fn, MapMode::Collect) const
    {
        return detail::map_collecting(detail::make_map(work_, std::forward<R>(range), std::move(fn), false));
    }

    /// Starts `fn()` on `executor` as soon as there is a slot.
    template <class F>
        requires Awaitable<std::invoke_result_t<F&>>
    auto submit(const asio::any_io_executor& executor, F fn) const
    {
        return detail::launch(work_, executor, 1, std::move(fn));
    }

    /// Refuses new work, lets what was accepted finish, cancels the rest near the end of `timeout`, and returns by then.
    ///
    /// A tenth of the time, at most a second, is kept for the cancelled to end. May be called more than once, by several, and
    /// from inside a task, which is not waited for.
    [[nodiscard]] asio::awaitable<ShutdownReport> shutdown(Duration timeout) const
    {
        return detail::shut_down(work_, timeout);
    }
    [[nodiscard]] ExecutorStats stats() const { return work_->stats(); }

    /// \name ExecutorPolicy
    /// @{
    [[nodiscard]] std::optional<Slot> try_enter(TimePoint now) const
    {
        if (share_) return share_->try_enter() ? std::optional<Slot>(std::in_place, *share_) : std::nullopt;
        auto permit = work_->try_enter(0, now);
        if (!permit) return std::nullopt;
        return std::optional<Slot>(std::in_place, std::move(*permit));
    }
    [[nodiscard]] asio::awaitable<Result<Slot>> enter(async::WaitRequest request) const
    {
        request.key = nullptr;
        return async::wait_in<Slot>(work_, request);
    }
    /// A handle whose `try_enter` gets in nobody's way as long as nobody waits and most slots are free: it keeps some at hand. A
    /// client takes one, so that clients of several threads can share an executor at no cost.
    [[nodiscard]] KHIVE_DECL AsyncExecutor own_share() const;
    /// @}

private:
    std::shared_ptr<detail::WorkState> work_;
    std::shared_ptr<detail::WorkShare> share_; ///< if it has one of its own
};

static_assert(ExecutorPolicy<AsyncExecutor>);

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/impl/async_executor.ipp>
#endif

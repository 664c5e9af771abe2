// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/post.hpp>

#include <boost/asio/execution/allocator.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/require.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::async {
namespace detail {

/// Gives Asio the memory of a task for the operation that runs it.
template <class T>
class PostAllocator {
public:
    using value_type = T;

    explicit PostAllocator(PostedTask& task) noexcept : task_(&task) {}
    template <class U>
    PostAllocator(const PostAllocator<U>& other) noexcept : task_(other.task_) // NOLINT: allocators convert
    {}

    [[nodiscard]] T* allocate(std::size_t) noexcept
    {
        static_assert(sizeof(T) <= PostedTask::room && alignof(T) <= alignof(std::max_align_t));
        return reinterpret_cast<T*>(task_->memory_);
    }
    void deallocate(T*, std::size_t) noexcept {}
    friend bool operator==(const PostAllocator& a, const PostAllocator& b) noexcept { return a.task_ == b.task_; }

private:
    template <class U>
    friend class PostAllocator;
    PostedTask* task_;
};

/// The task that this thread is about to post, until Asio has taken it: so it can be told who has lost it, if it is lost.
inline PostedTask*& being_posted() noexcept
{
    static thread_local PostedTask* task = nullptr;
    return task;
}

/// Runs a task, or tells it that nobody will.
class Turn {
public:
    explicit Turn(PostedTask& task) noexcept : task_(&task) {}
    Turn(Turn&& other) noexcept : task_(std::exchange(other.task_, nullptr)) {}
    Turn(const Turn&) = delete;
    ~Turn()
    {
        if (task_ == nullptr) return;
        if (being_posted() == task_)
            being_posted() = nullptr; // not taken: it is the poster's again
        else
            task_->abandon();
    }
    void operator()() { std::exchange(task_, nullptr)->run(); }

private:
    PostedTask* task_;
};

/// Posts a task again to where it could not be posted for want of memory.
class AnotherTurn {
public:
    AnotherTurn(PostedTask& task, const asio::any_io_executor& executor) : task_(&task), executor_(executor) {}
    AnotherTurn(AnotherTurn&& other) noexcept
        : task_(std::exchange(other.task_, nullptr)), executor_(std::move(other.executor_))
    {}
    AnotherTurn(const AnotherTurn&) = delete;
    ~AnotherTurn()
    {
        if (task_ != nullptr) task_->abandon();
    }
    void operator()() { async::post(executor_, *std::exchange(task_, nullptr)); }

private:
    PostedTask* task_;
    asio::any_io_executor executor_;
};

template <class Executor>
using Tracked =
    std::decay_t<decltype(asio::prefer(std::declval<const Executor&>(), asio::execution::outstanding_work.tracked))>;

/// Calls `act` with the executor of an `io_context` or `thread_pool` that `executor` is; false if it is none.
template <class Act>
bool visit_plain_executor(const asio::any_io_executor& executor, const Act& act)
{
    const auto visit = [&]<class Known>(std::type_identity<Known>) {
        const auto* known = executor.target<Known>();
        if (known != nullptr) act(*known);
        return known != nullptr;
    };
    using Io = asio::io_context::executor_type;
    using Pool = asio::thread_pool::executor_type;
    return visit(std::type_identity<Io>{}) || visit(std::type_identity<Tracked<Io>>{}) ||
           visit(std::type_identity<Pool>{}) || visit(std::type_identity<Tracked<Pool>>{});
}

/// The same with the one that a strand is over.
template <class Act>
bool visit_executor_below(const asio::any_io_executor& executor, const Act& act)
{
    const auto visit = [&]<class Known>(std::type_identity<Known>) {
        const auto* strand = executor.target<asio::strand<Known>>();
        if (strand == nullptr) return false;
        const asio::any_io_executor inner = strand->get_inner_executor();
        return visit_plain_executor(inner, act) || visit_executor_below(inner, act);
    };
    using Io = asio::io_context::executor_type;
    using Pool = asio::thread_pool::executor_type;
    return visit(std::type_identity<asio::any_io_executor>{}) || visit(std::type_identity<Io>{}) ||
           visit(std::type_identity<Tracked<Io>>{}) || visit(std::type_identity<Pool>{}) ||
           visit(std::type_identity<Tracked<Pool>>{});
}

/// In the memory of the task.
template <class Executor, class Run>
void post_in_place(const Executor& executor, PostedTask& task, Run run)
{
    asio::prefer(asio::require(executor, asio::execution::blocking.never),
                 asio::execution::allocator(PostAllocator<void>(task)))
        .execute(std::move(run));
}

} // namespace detail

KHIVE_DECL void post(const asio::any_io_executor& executor, PostedTask& task)
{
    if (detail::visit_plain_executor(executor,
                                     [&](const auto& plain) { detail::post_in_place(plain, task, detail::Turn(task)); }))
        return;
    PostedTask*& mine = detail::being_posted();
    PostedTask* const outer = std::exchange(mine, &task);
    const auto is_mine = [&] { return std::exchange(mine, outer) == nullptr; };
    try {
        asio::post(executor, detail::Turn(task));
    } catch (...) {
        if (!is_mine()) return;
        const auto try_again = [&](const auto& plain) {
            detail::post_in_place(plain, task, detail::AnotherTurn(task, executor));
        };
        if (!detail::visit_executor_below(executor, try_again)) throw;
        return;
    }
    if (is_mine()) task.abandon(); // its strand's context has ended
}

KHIVE_DECL bool posts_surely(const asio::any_io_executor& executor)
{
    return detail::visit_plain_executor(executor, [](const auto&) {});
}

KHIVE_DECL asio::any_io_executor without_strand(const asio::any_io_executor& executor)
{
    asio::any_io_executor below = executor;
    const auto take = [&](const auto& plain) { below = asio::prefer(plain, asio::execution::outstanding_work.untracked); };
    if (!detail::visit_plain_executor(executor, take)) (void)detail::visit_executor_below(executor, take);
    return below;
}

} // namespace khive::inline KHIVE_ABI::async

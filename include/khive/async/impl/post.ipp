// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/impl/home_context.ipp>
#include <khive/async/post.hpp>

#include <boost/asio/execution/allocator.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/require.hpp>

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
        static_assert(sizeof(T) <= PostedTask::room && alignof(T) <= alignof(void*));
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
    if (const auto home = detail::plain_home_of(executor))
        return home.visit([&](const auto& plain) { detail::post_in_place(plain, task, detail::Turn(task)); });
    PostedTask*& mine = detail::being_posted();
    PostedTask* const outer = std::exchange(mine, &task);
    const auto is_mine = [&] { return std::exchange(mine, outer) == nullptr; };
    try {
        asio::post(executor, detail::Turn(task));
    } catch (...) {
        if (!is_mine()) return;
        const auto home = detail::home_below(executor);
        if (!home) throw;
        return home.visit(
            [&](const auto& plain) { detail::post_in_place(plain, task, detail::AnotherTurn(task, executor)); });
    }
    if (is_mine()) task.abandon(); // its strand's context has ended
}

KHIVE_DECL bool posts_surely(const asio::any_io_executor& executor)
{
    return static_cast<bool>(detail::plain_home_of(executor));
}

KHIVE_DECL asio::any_io_executor without_strand(const asio::any_io_executor& executor)
{
    asio::any_io_executor below = executor;
    detail::home_of(executor).visit([&](const auto& plain) { below = plain; });
    return below;
}

} // namespace khive::inline KHIVE_ABI::async

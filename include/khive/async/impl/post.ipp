// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/impl/home_context.ipp>
#include <khive/async/post.hpp>

#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/require.hpp>

#include <new>
#include <utility>

namespace khive::inline KHIVE_ABI::async {
namespace detail {

/// The task that this thread is about to post, until Asio has taken it: so it can be told who has lost it, if it is lost.
inline Postable*& being_posted() noexcept
{
    static thread_local Postable* task = nullptr;
    return task;
}

/// Runs a task, or tells it that nobody will.
class Turn {
public:
    explicit Turn(Postable& task) noexcept : task_(&task) {}
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
    Postable* task_;
};

} // namespace detail

KHIVE_DECL void Postable::in_turn(void* context, asio::detail::scheduler_operation* operation,
                                  const boost::system::error_code&, std::size_t again)
{
    auto& task = *static_cast<Postable*>(operation);
    task.go_again(false);
    const asio::any_io_executor executor = again != 0 ? task.kept_executor() : asio::any_io_executor{};
    if (context == nullptr)
        task.abandon();
    else if (executor)
        async::post(executor, task);
    else
        task.run();
}

KHIVE_DECL void post(const asio::any_io_executor& executor, Postable& task)
{
    if (Home* const home = detail::plain_home_of(executor)) return post(*home, task);
    Postable*& mine = detail::being_posted();
    Postable* const outer = std::exchange(mine, &task);
    const auto is_mine = [&] { return std::exchange(mine, outer) == nullptr; };
    try {
        detail::Turn turn(task); // destroyed where `require` throws
        asio::require(executor, asio::execution::blocking.never).execute(std::move(turn));
    } catch (const std::bad_alloc&) {
        if (!is_mine()) return;
        Home* const home = home_of(executor);
        if (home == nullptr) throw;
        task.keep_executor(executor);
        task.go_again(true);
        return post(*home, task);
    } catch (...) {
        if (!is_mine()) return;
        throw;
    }
    if (is_mine()) task.abandon(); // its strand's context has ended
}

KHIVE_DECL bool posts_surely(const asio::any_io_executor& executor)
{
    return detail::plain_home_of(executor) != nullptr;
}

KHIVE_DECL Home* home_of(const asio::any_io_executor& executor)
{
    auto& context = asio::query(executor, asio::execution::context);
    return asio::has_service<Home>(context) ? &asio::use_service<Home>(context) : nullptr;
}

KHIVE_DECL void post(Home& home, Postable& task) noexcept
{
    home.post_immediate_completion(&task, false);
}

} // namespace khive::inline KHIVE_ABI::async

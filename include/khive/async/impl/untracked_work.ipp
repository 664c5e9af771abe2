// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/untracked_work.hpp>

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

namespace khive::inline KHIVE_ABI::async {
namespace detail {

/// Calls `act` with the executor of Asio's own kind that `executor` is, if it is one.
template <class Act>
void visit_known_executor(const asio::any_io_executor& executor, Act act)
{
    using IoExecutor = asio::io_context::executor_type;
    using PoolExecutor = asio::thread_pool::executor_type;
    if (const auto* io = executor.target<IoExecutor>())
        act(*io);
    else if (const auto* io_strand = executor.target<asio::strand<IoExecutor>>())
        act(io_strand->get_inner_executor());
    else if (const auto* pool_strand = executor.target<asio::strand<PoolExecutor>>())
        act(pool_strand->get_inner_executor());
    else if (const auto* any_strand = executor.target<asio::strand<asio::any_io_executor>>())
        visit_known_executor(any_strand->get_inner_executor(), act);
    else if (const auto* pool = executor.target<PoolExecutor>())
        act(*pool);
}

/// An operation holds a unit of work for itself, and unless its executor is plainly an `io_context`'s one more for that.
inline int units_held(const asio::any_io_executor& executor) noexcept
{
    return executor.target<asio::io_context::executor_type>() != nullptr ? 1 : 2;
}

} // namespace detail

KHIVE_DECL void UntrackedWork::release() const noexcept
{
    const int units = detail::units_held(executor_);
    detail::visit_known_executor(executor_, [units](const auto& known) {
        for (int i = 0; i < units; ++i) known.on_work_finished();
    });
}

KHIVE_DECL void UntrackedWork::retake() const noexcept
{
    const int units = detail::units_held(executor_);
    detail::visit_known_executor(executor_, [units](const auto& known) {
        for (int i = 0; i < units; ++i) known.on_work_started();
    });
}

} // namespace khive::inline KHIVE_ABI::async

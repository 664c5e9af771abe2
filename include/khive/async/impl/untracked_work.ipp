// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/impl/strand_home.ipp>
#include <khive/async/post.hpp>
#include <khive/async/untracked_work.hpp>

#include <typeinfo>
#include <utility>

namespace khive::inline KHIVE_ABI::async {

/// An operation holds a unit of work for itself, and unless its executor is plainly an `io_context`'s one more for that.
KHIVE_DECL int UntrackedWork::units_of(const asio::any_io_executor& executor) noexcept
{
    return executor.target_type() == typeid(detail::IoExecutor) ? 1 : 2;
}

KHIVE_DECL UntrackedWork::UntrackedWork(asio::any_io_executor executor)
    : executor_(std::move(executor)), units_(units_of(executor_))
{}

KHIVE_DECL void UntrackedWork::release(const asio::any_io_executor& executor, int units) noexcept
{
    Home* const home = detail::home_of_known(executor);
    for (int i = 0; home != nullptr && i < units; ++i) home->work_finished();
}

KHIVE_DECL void UntrackedWork::retake(const asio::any_io_executor& executor, int units) noexcept
{
    Home* const home = detail::home_of_known(executor);
    for (int i = 0; home != nullptr && i < units; ++i) home->work_started();
}

} // namespace khive::inline KHIVE_ABI::async

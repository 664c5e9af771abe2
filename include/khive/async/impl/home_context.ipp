// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/home.hpp>

#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/thread_pool.hpp>

#include <type_traits>
#include <typeinfo>
#include <utility>

namespace khive::inline KHIVE_ABI::async::detail {

using IoExecutor = asio::io_context::executor_type;
using PoolExecutor = asio::thread_pool::executor_type;
template <class Executor>
using Tracked =
    std::decay_t<decltype(asio::prefer(std::declval<const Executor&>(), asio::execution::outstanding_work.tracked))>;

/// Where such an executor puts things.
inline Home& io_home(const asio::any_io_executor& executor)
{
    auto& context = static_cast<asio::io_context&>(asio::query(executor, asio::execution::context));
    return asio::use_service<asio::detail::io_context_impl>(context);
}
inline Home& pool_home(const asio::any_io_executor& executor)
{
    return asio::use_service<Home>(asio::query(executor, asio::execution::context));
}

/// Does an executor of that type run things there at once or by its queue?
template <class Executor>
bool is_plain(const std::type_info& type) noexcept
{
    return type == typeid(Executor) || type == typeid(Tracked<Executor>);
}

/// Of an executor that does; null where it is of another kind.
inline Home* plain_home_of(const asio::any_io_executor& executor)
{
    const std::type_info& type = executor.target_type();
    if (is_plain<IoExecutor>(type)) return &io_home(executor);
    return is_plain<PoolExecutor>(type) ? &pool_home(executor) : nullptr;
}

} // namespace khive::inline KHIVE_ABI::async::detail

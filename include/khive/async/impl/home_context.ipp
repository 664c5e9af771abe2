// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>

#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/thread_pool.hpp>

#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::async::detail {

/// The `io_context` or the `thread_pool` where an executor runs what it is given; neither where it is of another kind.
struct HomeContext {
    asio::io_context* io = nullptr;
    asio::thread_pool* pool = nullptr;
    explicit operator bool() const noexcept { return io != nullptr || pool != nullptr; }

    /// Calls `act` with the executor that the context makes. Not with one that is erased: each costs a program that includes this
    /// hundreds of functions.
    template <class Act>
    void visit(const Act& act) const
    {
        if (io != nullptr)
            act(io->get_executor());
        else if (pool != nullptr)
            act(pool->get_executor());
    }
};

using IoExecutor = asio::io_context::executor_type;
using PoolExecutor = asio::thread_pool::executor_type;
template <class Executor>
using Tracked =
    std::decay_t<decltype(asio::prefer(std::declval<const Executor&>(), asio::execution::outstanding_work.tracked))>;

inline HomeContext home_of(asio::io_context& context) noexcept
{
    return {.io = &context};
}
inline HomeContext home_of(asio::thread_pool& context) noexcept
{
    return {.pool = &context};
}

/// Of an executor that runs things there at once or by its queue.
inline HomeContext plain_home_of(const asio::any_io_executor& executor)
{
    HomeContext home;
    const auto is = [&]<class Known>(std::type_identity<Known>) {
        const auto* known = executor.target<Known>();
        if (known != nullptr) home = home_of(asio::query(*known, asio::execution::context));
        return known != nullptr;
    };
    (void)(is(std::type_identity<IoExecutor>{}) || is(std::type_identity<Tracked<IoExecutor>>{}) ||
           is(std::type_identity<PoolExecutor>{}) || is(std::type_identity<Tracked<PoolExecutor>>{}));
    return home;
}

/// Of one that is a strand, or a strand over a strand.
inline HomeContext home_below(const asio::any_io_executor& executor)
{
    HomeContext home;
    const auto is = [&]<class Known>(std::type_identity<Known>) {
        const auto* strand = executor.target<asio::strand<Known>>();
        if (strand != nullptr) home = home_of(asio::query(strand->get_inner_executor(), asio::execution::context));
        return strand != nullptr;
    };
    if (const auto* strand = executor.target<asio::strand<asio::any_io_executor>>()) {
        const asio::any_io_executor inner = strand->get_inner_executor();
        const HomeContext plain = plain_home_of(inner);
        return plain ? plain : home_below(inner);
    }
    (void)(is(std::type_identity<IoExecutor>{}) || is(std::type_identity<Tracked<IoExecutor>>{}) ||
           is(std::type_identity<PoolExecutor>{}) || is(std::type_identity<Tracked<PoolExecutor>>{}));
    return home;
}

/// Of either.
inline HomeContext home_of(const asio::any_io_executor& executor)
{
    const HomeContext plain = plain_home_of(executor);
    return plain ? plain : home_below(executor);
}

} // namespace khive::inline KHIVE_ABI::async::detail

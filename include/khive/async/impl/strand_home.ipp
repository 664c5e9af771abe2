// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/impl/home_context.ipp>

#include <boost/asio/strand.hpp>

#include <typeinfo>

namespace khive::inline KHIVE_ABI::async::detail {

template <class Executor>
bool is_strand(const std::type_info& type) noexcept
{
    return type == typeid(asio::strand<Executor>) || type == typeid(asio::strand<Tracked<Executor>>);
}

/// Of an executor of Asio's: an `io_context`'s, a `thread_pool`'s, a strand or a strand over a strand. Null where it is of another
/// kind, whatever its context, for nobody knows what that counts as work.
inline Home* home_of_known(const asio::any_io_executor& executor)
{
    if (Home* const plain = plain_home_of(executor)) return plain;
    if (const auto* strand = executor.target<asio::strand<asio::any_io_executor>>())
        return home_of_known(strand->get_inner_executor());
    const std::type_info& type = executor.target_type();
    if (is_strand<IoExecutor>(type)) return &io_home(executor);
    return is_strand<PoolExecutor>(type) ? &pool_home(executor) : nullptr;
}

} // namespace khive::inline KHIVE_ABI::async::detail

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/post.hpp>

#include <boost/asio/post.hpp>

#include <utility>

namespace khive::inline KHIVE_ABI::async {
namespace detail {

struct RunPostedTask {
    std::unique_ptr<PostedTask> task;
    void operator()() { std::exchange(task, nullptr)->run(); }
};

} // namespace detail

KHIVE_DECL void post(const asio::any_io_executor& executor, std::unique_ptr<PostedTask> task)
{
    asio::post(executor, detail::RunPostedTask{std::move(task)});
}

} // namespace khive::inline KHIVE_ABI::async

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>

#include <concepts>
#include <memory>
#include <utility>

namespace khive::inline KHIVE_ABI::async {

/// Something to run later. One type for all of them, because every function type given to `asio::post` costs each program that
/// includes it a fifth of a second of compiling.
class PostedTask {
public:
    virtual ~PostedTask() = default;
    virtual void run() = 0;
};

/// Runs `task` on `executor`, never from inside this call. Where the execution context ends first, it is destroyed unrun.
KHIVE_DECL void post(const asio::any_io_executor& executor, std::unique_ptr<PostedTask> task);

/// The same for a function.
template <std::invocable Function>
void post(const asio::any_io_executor& executor, Function function)
{
    struct Task final : PostedTask {
        explicit Task(Function f) : call(std::move(f)) {}
        void run() override { call(); }
        Function call;
    };
    post(executor, std::unique_ptr<PostedTask>(std::make_unique<Task>(std::move(function))));
}

} // namespace khive::inline KHIVE_ABI::async

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/async/impl/post.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/post.hpp>
#include <khive/testing/seeded_scheduler.hpp>

namespace khive::inline KHIVE_ABI::testing {

KHIVE_TESTING_DECL SeededScheduler::SeededScheduler(asio::io_context& io, std::uint64_t seed) : under_(io.get_executor())
{
    if (!asio::has_service<detail::SeededQueue>(io)) asio::make_service<detail::SeededQueue>(io, seed);
    queue_ = &asio::use_service<detail::SeededQueue>(io);
}

KHIVE_TESTING_DECL void detail::SeededQueue::push(const asio::any_io_executor& under,
                                                  std::unique_ptr<ReadyFunction> function)
{
    {
        const std::lock_guard lock(mutex_);
        if (shut_down_) return;
        ready_.push_back(std::move(function));
    }
    async::post(under, [this] { run_one(); });
}

KHIVE_TESTING_DECL void detail::SeededQueue::run_one()
{
    std::unique_ptr<ReadyFunction> chosen;
    {
        const std::lock_guard lock(mutex_);
        auto& any = ready_[random_.next() % ready_.size()];
        std::swap(any, ready_.back());
        chosen = std::move(ready_.back());
        ready_.pop_back();
    }
    chosen->run();
}

KHIVE_TESTING_DECL void detail::SeededQueue::shutdown() noexcept
{
    std::vector<std::unique_ptr<ReadyFunction>> left;
    const std::lock_guard lock(mutex_);
    shut_down_ = true;
    left.swap(ready_);
}

} // namespace khive::inline KHIVE_ABI::testing

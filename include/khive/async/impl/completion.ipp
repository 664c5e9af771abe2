// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/completion.hpp>

#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/prefer.hpp>

namespace khive::inline KHIVE_ABI::async {
namespace detail {

class Resume final : public PostedTask {
public:
    Resume(Completion rest, std::shared_ptr<BeforeResume> first) : rest_(std::move(rest)), first_(std::move(first)) {}

    void run() override
    {
        if (first_) first_->before_resume();
        std::move(rest_).run();
    }

private:
    Completion rest_;
    std::shared_ptr<BeforeResume> first_;
};

} // namespace detail

KHIVE_DECL Completion& Completion::operator=(Completion&& other) noexcept
{
    if (this != &other) {
        reset();
        executor_ = std::move(other.executor_);
        take(other);
    }
    return *this;
}

KHIVE_DECL void Completion::track()
{
    executor_ = asio::prefer(executor_, asio::execution::outstanding_work.tracked);
}

KHIVE_DECL void Completion::post() &&
{
    std::move(*this).post(nullptr);
}

KHIVE_DECL void Completion::post(std::shared_ptr<BeforeResume> first) &&
{
    const auto executor = std::move(executor_);
    async::post(executor, std::make_unique<detail::Resume>(std::move(*this), std::move(first)));
}

} // namespace khive::inline KHIVE_ABI::async

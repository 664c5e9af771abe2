// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/completion.hpp>
#include <khive/core/shared.hpp>
#include <khive/core/yield_point.hpp>

#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/prefer.hpp>

namespace khive::inline KHIVE_ABI::async {

KHIVE_DECL void Completion::track()
{
    executor_ = asio::prefer(executor_, asio::execution::outstanding_work.tracked);
}

KHIVE_DECL void Completion::post() &&
{
    const auto resumption = make_once<Resumption>();
    resumption->post(std::move(*this), resumption.holder());
}

KHIVE_DECL void Resumption::post(Completion rest, std::shared_ptr<void> keeper, BeforeResume* first)
{
    const auto executor = rest.take_executor();
    rest_ = std::move(rest);
    keeper_ = std::move(keeper);
    first_ = first;
    KHIVE_YIELD_POINT();
    async::post(executor, *this);
}

KHIVE_DECL void Resumption::run()
{
    KHIVE_YIELD_POINT();
    const auto keeper = std::move(keeper_);
    Continuation rest = std::move(rest_);
    if (first_ != nullptr) first_->before_resume();
    KHIVE_YIELD_POINT();
    std::move(rest).run();
}

KHIVE_DECL void Resumption::abandon() noexcept
{
    const auto keeper = std::move(keeper_);
    const Continuation rest = std::move(rest_); // what it destroys may hold the last of what this is a part of
}

KHIVE_DECL void on_cancellation(asio::cancellation_slot slot, const std::shared_ptr<void>& whom, void* object,
                                void (*act)(void* object, asio::cancellation_type type))
{
    if (!slot.is_connected()) return;
    slot.assign([weak = std::weak_ptr<void>(whom), object, act](asio::cancellation_type type) {
        if (const auto alive = weak.lock()) act(object, type);
    });
}

KHIVE_DECL void Suspension::begin(Completion rest, asio::cancellation_slot slot)
{
    try {
        return start(rest, slot);
    } catch (...) {
        if (!rest) throw; // from an executor of another kind: the coroutine is not ours any more
        failed(std::current_exception());
    }
    std::move(rest).run();
}

} // namespace khive::inline KHIVE_ABI::async

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/owned_task.hpp>
#include <khive/core/yield_point.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>

#include <new>
#include <utility>

namespace khive::inline KHIVE_ABI::async {

/// The completion handler: also told if the coroutine is destroyed instead of finished.
class OwnedTask::End {
public:
    explicit End(std::shared_ptr<OwnedTask> task) noexcept : task_(std::move(task)) {}
    End(End&&) noexcept = default;
    End& operator=(End&&) = delete;
    ~End()
    {
        if (!task_) return;
        end(task_->starting_ ? std::make_exception_ptr(std::bad_alloc()) : as_exception(Error{ErrorKind::cancelled}));
    }
    void operator()(std::exception_ptr error) { end(std::move(error)); }

private:
    void end(std::exception_ptr error) noexcept { std::exchange(task_, nullptr)->finish(std::move(error)); }

    std::shared_ptr<OwnedTask> task_;
};

KHIVE_DECL void OwnedTask::Errand::post(const asio::any_io_executor& strand, std::shared_ptr<OwnedTask> task)
{
    task_ = std::move(task);
    KHIVE_YIELD_POINT();
    async::post(strand, *this);
}

KHIVE_DECL void OwnedTask::Errand::run()
{
    const auto task = std::move(task_);
    ((*task).*act_)();
}

KHIVE_DECL void OwnedTask::Errand::abandon() noexcept
{
    const auto task = std::move(task_);
    if (if_abandoned_ != nullptr) ((*task).*if_abandoned_)();
}

KHIVE_DECL OwnedTask::OwnedTask(const asio::any_io_executor& parent) : strand_(asio::make_strand(parent)) {}

KHIVE_DECL bool OwnedTask::runs_on(const asio::any_io_executor& executor) const noexcept
{
    const std::lock_guard lock(mutex_);
    return strand_ == executor;
}

KHIVE_DECL void OwnedTask::start(asio::awaitable<void> body)
{
    const asio::any_io_executor strand = strand_; // may be let go before this ends
    starting_ = true;
    try {
        asio::co_spawn(strand, std::move(body), asio::bind_cancellation_slot(signal_.slot(), End{shared_from_this()}));
    } catch (const std::bad_alloc&) {
        return; // `End` has been destroyed or, where the coroutine has a frame already, will be when Asio destroys that
    }
    KHIVE_YIELD_POINT();
    starting_ = false;
    {
        const std::lock_guard lock(mutex_);
        started_ = true;
        if (!cancelled_ || !strand_) return;
    }
    cancelling_.post(strand, shared_from_this());
}

KHIVE_DECL void OwnedTask::cancel() noexcept
{
    KHIVE_YIELD_POINT();
    asio::any_io_executor strand;
    {
        const std::lock_guard lock(mutex_);
        if (cancelled_.exchange(true) || !started_ || !strand_) return;
        strand = strand_;
    }
    // Behind the start of the coroutine in the strand's order: Asio 1.81 throws out of run() if a coroutine is cancelled
    // before its first suspension.
    cancelling_.post(strand, shared_from_this());
}

/// Asio takes memory to pass it on; where there is none it is tried again.
KHIVE_DECL void OwnedTask::emit() noexcept
{
    if (ended_) return;
    try {
        signal_.emit(asio::cancellation_type::terminal);
    } catch (const std::bad_alloc&) {
        asio::any_io_executor strand;
        {
            const std::lock_guard lock(mutex_);
            strand = strand_;
        }
        if (strand) cancelling_.post(strand, shared_from_this());
    }
}

/// Takes the coroutine's handler out of the signal, whether this is run or abandoned: it holds the strand too.
KHIVE_DECL void OwnedTask::disconnect() noexcept
{
    signal_.slot().clear();
}

KHIVE_DECL void OwnedTask::finish(std::exception_ptr error) noexcept
{
    asio::any_io_executor strand;
    {
        const std::lock_guard lock(mutex_);
        strand = std::exchange(strand_, nullptr);
    }
    KHIVE_YIELD_POINT();
    ended_ = true;
    // Later: this is called from inside the coroutine's last step, whose frame still refers to the signal.
    disconnecting_.post(strand, shared_from_this());
    KHIVE_YIELD_POINT();
    on_end(std::move(error));
}

} // namespace khive::inline KHIVE_ABI::async

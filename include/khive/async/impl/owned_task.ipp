// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/owned_task.hpp>
#include <khive/core/error.hpp>
#include <khive/core/exceptions.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

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
        if (task_) end(std::make_exception_ptr(CancelledError(Error{ErrorKind::cancelled})));
    }
    void operator()(std::exception_ptr error) { end(std::move(error)); }

private:
    void end(std::exception_ptr error) noexcept { std::exchange(task_, nullptr)->finish(std::move(error)); }

    std::shared_ptr<OwnedTask> task_;
};

/// Takes the coroutine's handler out of the signal, whether it is run or destroyed: it holds the strand too.
class OwnedTask::Disconnect {
public:
    explicit Disconnect(std::shared_ptr<OwnedTask> task) noexcept : task_(std::move(task)) {}
    Disconnect(Disconnect&&) noexcept = default;
    Disconnect& operator=(Disconnect&&) = delete;
    ~Disconnect()
    {
        if (task_) task_->signal_.slot().clear();
    }
    void operator()() const noexcept {}

private:
    std::shared_ptr<OwnedTask> task_;
};

KHIVE_DECL OwnedTask::OwnedTask(const asio::any_io_executor& parent) : strand_(asio::make_strand(parent)) {}

KHIVE_DECL bool OwnedTask::runs_on(const asio::any_io_executor& executor) const noexcept
{
    const std::lock_guard lock(mutex_);
    return strand_ == executor;
}

KHIVE_DECL void OwnedTask::start(asio::awaitable<void> body)
{
    const asio::any_io_executor strand = strand_; // may be let go before this ends
    asio::co_spawn(strand, std::move(body), asio::bind_cancellation_slot(signal_.slot(), End{shared_from_this()}));
    {
        const std::lock_guard lock(mutex_);
        started_ = true;
        if (!cancelled_) return;
    }
    emit_later(strand);
}

KHIVE_DECL void OwnedTask::cancel()
{
    asio::any_io_executor strand;
    {
        const std::lock_guard lock(mutex_);
        if (cancelled_.exchange(true) || !started_ || !strand_) return;
        strand = strand_;
    }
    emit_later(strand);
}

KHIVE_DECL void OwnedTask::emit_later(const asio::any_io_executor& strand)
{
    // Behind the start of the coroutine in the strand's order: Asio 1.81 throws out of run() if a coroutine is cancelled
    // before its first suspension.
    asio::post(strand, [self = shared_from_this()] {
        if (!self->ended_) self->signal_.emit(asio::cancellation_type::terminal);
    });
}

KHIVE_DECL void OwnedTask::finish(std::exception_ptr error) noexcept
{
    asio::any_io_executor strand;
    {
        const std::lock_guard lock(mutex_);
        strand = std::exchange(strand_, nullptr);
    }
    ended_ = true;
    // Later: this is called from inside the coroutine's last step, whose frame still refers to the signal.
    asio::post(strand, Disconnect{shared_from_this()});
    on_end(std::move(error));
}

} // namespace khive::inline KHIVE_ABI::async

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>
#include <khive/async/post.hpp>
#include <khive/core/error.hpp>

#include <boost/asio/cancellation_signal.hpp>

#include <atomic>
#include <exception>
#include <memory>
#include <mutex>

namespace khive::inline KHIVE_ABI::async {

/// The exception of an error; `std::bad_alloc` where there is no memory for it.
[[nodiscard]] inline std::exception_ptr as_exception(const Error& error) noexcept
{
    try {
        error.raise();
    } catch (...) {
        return std::current_exception();
    }
}

/// A coroutine with an owner: it can be cancelled from any thread, and its end is told exactly once, whatever the end is.
///
/// It runs on a strand of its own over its parent's executor, so that its steps and its cancellation never run at once.
///
/// - Cancellation: `cancel()` emits terminal cancellation; a coroutine may ignore it and is then merely waited for.
/// - Errors: ends with `std::bad_alloc` where there is no memory to start the coroutine.
/// - Lifetime: keeps itself alive from `start` to the end. An execution context that is destroyed ends it with `CancelledError`.
/// - Thread safety: safe.
class OwnedTask : public std::enable_shared_from_this<OwnedTask> {
public:
    OwnedTask(const OwnedTask&) = delete;
    OwnedTask& operator=(const OwnedTask&) = delete;
    virtual ~OwnedTask() = default;

    /// Runs `body`. Once.
    KHIVE_DECL void start(asio::awaitable<void> body);
    KHIVE_DECL void cancel() noexcept;
    [[nodiscard]] bool is_cancelled() const noexcept { return cancelled_.load(); }
    /// Is this the executor of its coroutine?
    [[nodiscard]] KHIVE_DECL bool runs_on(const asio::any_io_executor& executor) const noexcept;

protected:
    KHIVE_DECL explicit OwnedTask(const asio::any_io_executor& parent);

    /// It has ended, with what it threw or null.
    virtual void on_end(std::exception_ptr error) noexcept = 0;

private:
    class End;
    /// Something that it does later on its strand, which keeps it alive until then.
    class Errand final : public PostedTask {
    public:
        using Act = void (OwnedTask::*)() noexcept;
        explicit Errand(Act act, Act if_abandoned = nullptr) noexcept : act_(act), if_abandoned_(if_abandoned) {}
        KHIVE_DECL void post(const asio::any_io_executor& strand, std::shared_ptr<OwnedTask> task);

    private:
        KHIVE_DECL void run() override;
        KHIVE_DECL void abandon() noexcept override;

        Act act_;
        Act if_abandoned_;
        std::shared_ptr<OwnedTask> task_;
    };

    KHIVE_DECL void finish(std::exception_ptr error) noexcept;
    KHIVE_DECL void emit() noexcept;
    KHIVE_DECL void disconnect() noexcept;

    mutable std::mutex mutex_;
    asio::any_io_executor strand_;     ///< under `mutex_`; let go at the end, for a strand must not outlive its context
    bool started_ = false;             ///< under `mutex_`
    std::atomic<bool> starting_{false}; ///< only tells `End` why it is destroyed
    std::atomic<bool> cancelled_{false}; ///< written under `mutex_` with `started_`: whoever comes second posts the cancellation
    Errand cancelling_{&OwnedTask::emit};
    Errand disconnecting_{&OwnedTask::disconnect, &OwnedTask::disconnect};
    asio::cancellation_signal signal_; ///< on the strand, once started
    bool ended_ = false;               ///< on the strand
};

} // namespace khive::inline KHIVE_ABI::async

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/async/impl/owned_task.ipp>
#endif

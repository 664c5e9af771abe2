// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>
#include <khive/async/time_service.hpp>
#include <khive/core/time.hpp>
#include <khive/testing/config.hpp>
#include <khive/testing/seeded_scheduler.hpp>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::testing {
namespace detail {

/// Stands for the value of an operation that has none.
struct NoValue {};

template <class T>
struct StartedState {
    asio::cancellation_signal cancel;
    std::optional<std::conditional_t<std::is_void_v<T>, NoValue, T>> value;
    std::exception_ptr error;
    bool done = false;
};

template <class T>
asio::awaitable<void> keep_value(asio::awaitable<T> operation, std::shared_ptr<StartedState<T>> state)
{
    if constexpr (std::is_void_v<T>) {
        co_await std::move(operation);
        state->value.emplace();
    } else {
        state->value.emplace(co_await std::move(operation));
    }
}

} // namespace detail

/// An operation that runs on a `VirtualTime` while the test does other things: looks at it, cancels it, takes its value.
///
/// - Lifetime: a handle. Letting go of it does not stop the operation. Where time has a seed, it is gone before time is.
template <class T>
class Started {
public:
    explicit Started(std::shared_ptr<detail::StartedState<T>> state) noexcept : state_(std::move(state)) {}

    [[nodiscard]] bool done() const noexcept { return state_->done; }
    /// Asks it to end; it does so while time runs or settles.
    void cancel(asio::cancellation_type type = asio::cancellation_type::terminal) { state_->cancel.emit(type); }
    /// What left it: null while it runs and after success.
    [[nodiscard]] std::exception_ptr error() const noexcept { return state_->error; }
    /// Its value, or throws what it threw; once. `std::logic_error` while it runs.
    T get();

private:
    std::shared_ptr<detail::StartedState<T>> state_;
};

/// A single-threaded world whose time stands still while anything is ready to run, and else jumps to what is due next.
///
/// Owns an `io_context` whose time service is virtual: every limit, timeout, backoff and simulated network on it lives in
/// this time, so an hour's wait costs a test microseconds and comes out the same each run. Timers of Asio's own
/// (`steady_timer`) do not: they go by the real clock. So do policies asked without a time: `breaker.state(time.now())`, not
/// `breaker.state()`.
///
/// - Errors: `run` throws `std::runtime_error` when nothing is left that could happen, or when time has jumped ten million
///   times without an end.
/// - Thread safety: none; one thread owns it.
class VirtualTime {
public:
    VirtualTime() : executor_(io_.get_executor()) { service().use_virtual_time(start_); }
    /// What is ready at one time runs in a random order, by a `SeededScheduler` of that seed; each started operation is on a strand
    /// of its own, as Asio asks of what is cancelled.
    explicit VirtualTime(std::uint64_t seed) : executor_(SeededScheduler(io_, seed)), shuffles_(true)
    {
        service().use_virtual_time(start_);
    }
    VirtualTime(const VirtualTime&) = delete;
    VirtualTime& operator=(const VirtualTime&) = delete;

    /// For whatever lives in this time.
    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }
    [[nodiscard]] asio::io_context& context() noexcept { return io_; }
    [[nodiscard]] async::TimeService& service() { return async::time_service(io_.get_executor()); }
    [[nodiscard]] TimePoint now() { return service().now(); }
    /// Virtual time since the beginning.
    [[nodiscard]] Duration elapsed() { return now() - start_; }

    /// Lets time run until `operation` has ended, and gives its value or throws what it threw.
    template <class T>
    T run(asio::awaitable<T> operation);
    /// Lets `duration` of time run, stopping wherever something is due on the way.
    KHIVE_TESTING_DECL void run_for(Duration duration);
    /// Runs what is ready now, and what that makes ready, until nothing is; time stands still.
    KHIVE_TESTING_DECL void settle();
    /// Lets time run until nothing is left that could happen.
    KHIVE_TESTING_DECL void run_until_idle();

    /// Starts `operation` and gives the handle to it. It begins when time next runs or settles.
    template <class T>
    [[nodiscard]] Started<T> start(asio::awaitable<T> operation);
    /// Starts `operation` in the background; an exception that leaves it comes out of whatever lets time run.
    KHIVE_TESTING_DECL void spawn(asio::awaitable<void> operation);

private:
    /// One that keeps an order among what is posted to it.
    [[nodiscard]] KHIVE_TESTING_DECL asio::any_io_executor in_order();
    /// Moves to the next time at which something is due, if that is no later than `until`.
    KHIVE_TESTING_DECL bool jump(TimePoint until);

    /// Later than any real clock: who asks a policy by that (`breaker.state()`) steps back in time, which changes nothing.
    static constexpr TimePoint start_ = TimePoint{} + std::chrono::years{100};
    static constexpr std::uint64_t max_jumps = 10'000'000;
    asio::io_context io_{1};
    asio::any_io_executor executor_;
    bool shuffles_ = false;
};

template <class T>
T Started<T>::get()
{
    if (!state_->done) throw std::logic_error("the operation has not ended");
    if (state_->error) std::rethrow_exception(state_->error);
    if constexpr (!std::is_void_v<T>) return std::move(*state_->value);
}

template <class T>
Started<T> VirtualTime::start(asio::awaitable<T> operation)
{
    auto state = std::make_shared<detail::StartedState<T>>();
    auto end = [state](std::exception_ptr error) {
        state->error = error;
        state->done = true;
    };
    // The executor makes Asio queue a cancellation behind the start: 1.83 throws out of run() if it comes before.
    const asio::any_io_executor executor = in_order();
    asio::co_spawn(executor, detail::keep_value(std::move(operation), state),
                   asio::bind_cancellation_slot(state->cancel.slot(), asio::bind_executor(executor, std::move(end))));
    return Started<T>{std::move(state)};
}

template <class T>
T VirtualTime::run(asio::awaitable<T> operation)
{
    auto started = start(std::move(operation));
    std::uint64_t jumps = 0;
    for (settle(); !started.done(); settle()) {
        if (!jump(no_deadline)) throw std::runtime_error("deadlock: nothing left that could happen");
        if (++jumps == max_jumps) throw std::runtime_error("no end: time has jumped ten million times");
    }
    return started.get();
}

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/virtual_time.ipp>
#endif

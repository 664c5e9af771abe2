// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/impl/strand_home.ipp>
#include <khive/async/time_service.hpp>
#include <khive/async/untracked_work.hpp>
#include <khive/core/yield_point.hpp>

#include <boost/asio/steady_timer.hpp>

#include <optional>

namespace khive::inline KHIVE_ABI::async::detail {

/// The executor of the `io_context` or `thread_pool` that `executor` is over, by way of any strands; itself where it is of
/// another kind. It counts as no work.
inline asio::any_io_executor without_strand(const asio::any_io_executor& executor)
{
    if (home_of_known(executor) == nullptr) return executor;
    if (const auto* strand = executor.target<asio::strand<asio::any_io_executor>>())
        return without_strand(strand->get_inner_executor());
    const std::type_info& type = executor.target_type();
    auto& context = asio::query(executor, asio::execution::context);
    if (is_plain<IoExecutor>(type) || is_strand<IoExecutor>(type))
        return static_cast<asio::io_context&>(context).get_executor();
    return static_cast<asio::thread_pool&>(context).get_executor();
}

/// Tells the time service that a time has come, in the background: `run()` does not stay for it.
class Alarm {
public:
    Alarm(TimeService& service, asio::execution_context&) : service_(service) {}

    void attach(const asio::any_io_executor& executor)
    {
        const asio::any_io_executor below = without_strand(executor);
        background_ = UntrackedWork{below};
        timer_.emplace(below);
    }

    /// Only from a handler that runs in the context. Throws `std::bad_alloc` where there is no memory for it.
    void set(TimePoint due)
    {
        timer_->expires_at(due);
        timer_->async_wait([this](boost::system::error_code error) {
            background_.retake();
            KHIVE_YIELD_POINT();
            if (!error) service_.on_alarm();
        });
        KHIVE_YIELD_POINT();
        background_.release();
    }

    /// The execution context ends.
    void close() noexcept { timer_.reset(); }
    void reopen() noexcept {} // Asio does it

private:
    TimeService& service_;
    UntrackedWork background_;
    std::optional<asio::steady_timer> timer_;
};

} // namespace khive::inline KHIVE_ABI::async::detail

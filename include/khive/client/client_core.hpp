// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/time_service.hpp>
#include <khive/async/wait_queue.hpp>
#include <khive/async/wait_scope.hpp>
#include <khive/client/client_options.hpp>
#include <khive/client/detail/call_state.hpp>
#include <khive/client/detail/drain.hpp>
#include <khive/client/request.hpp>
#include <khive/client/response.hpp>
#include <khive/core/result.hpp>
#include <khive/core/shared.hpp>
#include <khive/net/connection_pool.hpp>

#include <atomic>
#include <chrono>
#include <mutex>
#include <string>

namespace khive::inline KHIVE_ABI::detail {

/// That a call is over; it becomes what the call's awaitable gives.
class CallEnd {
public:
    CallEnd(CallState& call, bool handed_over) noexcept : call_(call), handed_over_(handed_over) {}
    /// The answer; its error is thrown. Nothing where the call was not handed over: whoever has it finds there how it ended.
    [[nodiscard]] KHIVE_DECL explicit operator Response() const;

private:
    CallState& call_;
    bool handed_over_;
};

/// What a client is behind its handles, whatever its policies.
class ClientCore {
public:
    KHIVE_COLD_DECL ClientCore(asio::any_io_executor executor, const ClientOptions& options);
    KHIVE_COLD_DECL virtual ~ClientCore();
    ClientCore(const ClientCore&) = delete;
    ClientCore& operator=(const ClientCore&) = delete;

    /// The state for a new call, with memory of finished ones.
    [[nodiscard]] KHIVE_DECL static CallPtr new_call(const Shared<ClientCore>& core);
    /// Checks everything that the caller handed in and makes the bytes. If something is wrong, `call.error` says what.
    [[nodiscard]] bool prepare(CallState& call) { return call.is_prepared() || prepare_anew(call); }
    /// The life of a call. What it ends with it leaves in `call.response` or `call.error`, or gives itself if it has been handed
    /// the call: one frame less for who wants just that.
    [[nodiscard]] virtual asio::awaitable<Response> perform(CallState& call, CallPtr handed_over) = 0;

    /// \name For the ends of calls: the observer is told
    /// @{
    void tell_answered(const CallState& call) const noexcept
    {
        if (settings_.observer) tell_observer(call);
    }
    KHIVE_COLD_DECL void tell_failed(const Error& error) const noexcept;
    /// @}

    /// \name For `close`
    /// @{
    /// Refuses new calls; until when those in flight may go on.
    KHIVE_COLD_DECL TimePoint begin_closing(Duration timeout) noexcept;
    [[nodiscard]] const Shared<CallDrain>& drain() const noexcept { return drain_; }
    /// @}
    /// Ends everything now.
    KHIVE_COLD_DECL void abort() noexcept;

    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }
    [[nodiscard]] net::ConnectionPool& pool() const noexcept { return *pool_; }
    [[nodiscard]] const Shared<net::ConnectionPool>& shared_pool() const noexcept { return pool_; }
    [[nodiscard]] std::size_t in_flight() const noexcept { return in_flight_.load(std::memory_order_relaxed); }
    [[nodiscard]] const ClientOptions::Settings& settings() const noexcept { return settings_; }

protected:
    /// Counts a call in; false where the client is closed.
    [[nodiscard]] KHIVE_DECL bool enter() noexcept;
    /// Counts one out.
    KHIVE_DECL void leave() noexcept;
    /// Is what is being handled what Asio throws from `co_await` where a cancellation arrived while nothing was suspended?
    [[nodiscard]] KHIVE_COLD_DECL static bool cancellation_was_thrown();

    [[nodiscard]] async::TimeService& time() const noexcept { return time_; }
    [[nodiscard]] TimePoint now() const noexcept { return time_.now(); }
    [[nodiscard]] const Error& closed_error() const noexcept { return closed_error_; }
    /// The call ends with its error: whose request, whose attempts, told to the observer.
    KHIVE_COLD_DECL void failed(CallState& call, TimePoint started);
    KHIVE_COLD_DECL void tell_retry(const CallState& call, Duration delay) noexcept;
    [[nodiscard]] KHIVE_COLD_DECL Error status_error(const CallState& call) const;
    using WallTime = std::chrono::system_clock::time_point;
    [[nodiscard]] static WallTime wall_now() noexcept { return std::chrono::system_clock::now(); }

    const Shared<async::WaitScope>& scope() const noexcept { return scope_; }

private:
    friend struct ReturnCallState;
    KHIVE_DECL void tell_observer(const CallState& call) const noexcept;
    [[nodiscard]] KHIVE_DECL bool prepare_anew(CallState& call);
    KHIVE_DECL void keep(CallState* call) noexcept; ///< owns it then
    [[nodiscard]] KHIVE_DECL CallState* take_spare() noexcept;
    KHIVE_DECL void use_last_line(CallState& call) noexcept;
    KHIVE_DECL void remember_line(const CallState& call) noexcept;
    [[nodiscard]] KHIVE_DECL Error prepare_or_refuse(CallState& call);
    [[nodiscard]] KHIVE_DECL Error set_timeouts(CallState& call) const;
    [[nodiscard]] KHIVE_COLD_DECL std::string redacted_reference(std::string_view reference) const;
    [[nodiscard]] KHIVE_DECL bool prepare_plain(CallState& call) const;
    [[nodiscard]] KHIVE_DECL bool build_plain(CallState& call) const;
    KHIVE_DECL void append_head_with_length(RequestLine& line, const RequestExtras& extras) const;
    [[nodiscard]] KHIVE_DECL bool is_same_as_before(const CallState& call) const;
    [[nodiscard]] KHIVE_DECL Error prepare_any(CallState& call);

    asio::any_io_executor executor_;
    async::TimeService& time_;
    ClientOptions::Settings settings_;
    TimeoutsInForce timeouts_; ///< of calls that have none of their own
    Headers base_headers_; ///< what every request to the base's origin carries
    Shared<net::ConnectionPool> pool_;
    net::ConnectionPool::OriginEntry* base_entry_;
    std::string base_host_;
    std::string base_path_;  ///< the base's path without its last '/'
    bool base_closes_ = false; ///< they say `Connection: close`
    bool base_has_key_ = false;       ///< they say `Idempotency-Key`
    bool base_tells_of_body_ = false; ///< they say what a request with a body says itself
    std::string head_fields_; ///< `Host` and the default headers as they travel, for requests that add none
    /// Owned; one call after another needs no lock. Whoever exchanges it for null owns it, and it is filled only where it is null,
    /// so that the same pointer may come back in between does no harm.
    std::atomic<CallState*> last_spare_{nullptr};
    std::mutex spare_mutex_;
    CallState* spare_ = nullptr; ///< owned, and what follows it
    std::size_t spare_count_ = 0;
    RequestLinePtr last_new_line_; ///< of a call with a new state, for the next such call: thousands may wait for the same
    Shared<async::WaitScope> scope_ = make_once<async::WaitScope>();
    Shared<CallDrain> drain_;
    Error closed_error_; ///< made in advance, since closing must not fail
    /// A call counts itself in before it looks at `closing_` and out before it looks again; `close` sets that before it looks at
    /// the count. So either sees the other, in the one order that all of these have.
    std::atomic<std::size_t> in_flight_{0};
    std::atomic<bool> closing_{false};
};

} // namespace khive::inline KHIVE_ABI::detail

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/client/impl/client_core.ipp>
#endif

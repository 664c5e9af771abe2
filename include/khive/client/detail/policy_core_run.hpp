// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/sleep.hpp>
#include <khive/client/detail/policy_core.hpp>
#include <khive/core/min_max.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/http/classify.hpp>
#include <khive/net/async_exchange.hpp>
#include <khive/policy/failure.hpp>

#include <boost/asio/cancellation_state.hpp>

#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI::detail {

/// What one call knows while it runs; each step of the loop that neither waits nor takes a permit.
template <class... Policies>
class PolicyCore<Policies...>::Run {
    static constexpr bool ever_refuses = !std::is_same_v<Breaker, NullCircuitBreaker>;

public:
    Run(PolicyCore& core, CallState& call, bool handed_over)
        : now(core.now()),
          core_(core),
          call_(call),
          total_limit_(call.timeouts->total),
          schedule_(core.retry_.begin()),
          handed_over_(handed_over)
    {
        if (!call.fields.sets_total()) total_limit_ = std::min(total_limit_, core.retry_.total_timeout());
        open_ = core.enter();
    }
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;
    ~Run()
    {
        if (open_) core_.leave();
    }

    TimePoint now;

    [[nodiscard]] Attempt& attempt() { return call_.ledger().current(); }
    void read_clock() { now = core_.now(); }

    /// Refuses the call where no attempt can be made.
    [[nodiscard]] bool may_begin()
    {
        if (!open_)
            refuse(core_.closed_error());
        else if constexpr (Gate::ever_waits) {
            auto refused = core_.gate_.check_cost(call_.fields.cost);
            if (refused) refuse(*std::move(refused));
            return !refused;
        }
        return open_;
    }

    /// Starts the next attempt, unless the breaker would refuse it now.
    [[nodiscard]] bool begin()
    {
        if (!call_.ledger().empty()) forget_last();
        call_.ledger().begin_attempt(now).backoff = backoff_;
        if constexpr (ever_refuses) {
            auto refused = core_.breaker_.refusal(now);
            if (refused) refuse(*std::move(refused));
            return !refused;
        }
        return true;
    }

    [[nodiscard]] async::WaitRequest wait_request() const
    {
        async::WaitRequest request;
        request.cost = call_.fields.cost;
        request.deadline = total().at;
        request.arrived = call_.ledger().current().started;
        request.timer = Timer::total;
        request.timer_value = total_limit_;
        request.scope = core_.scope().get();
        return request;
    }

    /// A connection without waiting: one that is idle, or that is dialled and up at once.
    [[nodiscard]] net::Lease try_checkout()
    {
        if (auto idle = core_.pool().try_checkout(*call_.entry, now)) return idle;
        auto dialled = core_.pool().try_dial(*call_.entry, call_.timeouts->checkout().dial, now);
        if (!dialled) return dialled;
        attempt().connect = dialled->dial_times().connect;
        read_clock();
        return dialled;
    }

    [[nodiscard]] async::Suspension& checkout()
    {
        return call_.waiting.template emplace<net::Checkout>(
            core_.shared_pool(), core_.pool().checkout(*call_.entry, deadline(), call_.timeouts->checkout(), fresh_));
    }

    /// A ticket if there is one, for an attempt that has failed by now.
    void try_admit(RoomFor<Ticket>& ticket)
    {
        KHIVE_YIELD_POINT();
        if constexpr (ever_refuses) {
            auto admitted = core_.breaker_.try_admit(now);
            if (admitted) ticket.emplace(std::move(*admitted));
        } else {
            ticket.emplace();
        }
    }
    /// A ticket, or the call is refused.
    [[nodiscard]] bool admit(RoomFor<Ticket>& ticket)
    {
        KHIVE_YIELD_POINT();
        if constexpr (ever_refuses) {
            auto admitted = core_.breaker_.try_admit(now);
            if (admitted)
                ticket.emplace(std::move(*admitted));
            else
                refuse(admitted.error());
        } else {
            ticket.emplace();
        }
        return ticket.has_value();
    }

    [[nodiscard]] double cost() const noexcept { return call_.fields.cost; }

    /// After waiting for a connection: is there one?
    [[nodiscard]] bool opened(net::Lease& lease)
    {
        net::Checkout& checkout = call_.waiting.template as<net::Checkout>();
        const bool granted = checkout.granted();
        if (granted) lease = checkout.take();
        opened(granted ? &lease : nullptr);
        return granted;
    }
    void opened(const net::Lease* lease)
    {
        const TimePoint before = now;
        read_clock();
        Attempt& record = attempt();
        Duration waited = now - before;
        if (lease != nullptr && (**lease).uses() == 0) {
            // It may have been begun for somebody else, before this call came.
            const auto part = [&waited](Duration stage) {
                const Duration seen = std::min(stage, waited);
                waited -= seen;
                return seen;
            };
            const net::DialTimes dial = (**lease).dial_times();
            record.tls = part(dial.tls);
            record.connect = part(dial.connect);
            record.resolve = part(dial.resolve);
        }
        record.pool_wait += waited;
        if (lease != nullptr) return;
        call_.error = call_.waiting.template as<net::Checkout>().refusal();
        // Our own deadline, run out in our own queue, says nothing about the server.
        only_queued_ = call_.error.kind() == ErrorKind::timeout &&
                       call_.waiting.template as<net::Checkout>().request().under_way == nullptr &&
                       (call_.error.timer() == Timer::total || call_.error.timer() == Timer::attempt);
        if (call_.error.timer() == Timer::attempt) std::move(call_.error).with_retryable(true);
    }

    [[nodiscard]] async::Suspension& exchange(net::Connection& connection)
    {
        KHIVE_YIELD_POINT();
        Attempt& record = attempt();
        record.peer = connection.peer();
        record.reused = connection.uses() != 0;
        if (!record.replayed) attempt_deadline_ = saturating_add(now, attempt_limit()); // a replay belongs to its attempt
        connection.reader().read_into(call_.response.content());
        return call_.waiting.template emplace<net::Exchange>(connection, call_.outgoing(), call_.timeouts->of_exchange,
                                                             deadline(), record, now);
    }

    /// Cancelled or closed while nothing was suspended, between a grant and here say?
    void look_at(const asio::cancellation_state& cancellation) noexcept
    {
        KHIVE_YIELD_POINT();
        stopped_ = cancellation.cancelled() != asio::cancellation_type::none || core_.scope()->closed();
    }
    [[nodiscard]] bool stopped() const noexcept { return stopped_; }

    /// How `wait_for_connection` has ended.
    void waited(Waited how) noexcept { waited_ = how; }
    [[nodiscard]] Waited waited() const noexcept { return waited_; }

    /// Of what the attempt does next: from its sending on, its own deadline counts too, also while a replay is dialled.
    [[nodiscard]] net::Deadline deadline() const noexcept
    {
        return earlier(total(), {attempt_deadline_, Timer::attempt, attempt_limit()});
    }

    /// Has the exchange met a connection that had died while it was idle, so that it is to be repeated?
    [[nodiscard]] bool met_stale(net::Connection& connection) const noexcept
    {
        return !fresh_ && core_.settings().replay_stale && connection.result().stale(call_.replay_safe);
    }

    /// The exchange is repeated on a fresh connection.
    void replay(net::Lease& lease)
    {
        attempt().replayed = true;
        maybe_processed_ = maybe_processed_ || lease->result().wrote;
        fresh_ = true;
        lease.reset();
        core_.pool().discard_idle(*call_.entry);
    }

    /// After an exchange.
    void ended(net::Connection& connection)
    {
        net::ExchangeEnd& end = connection.result();
        now = end.ok() ? connection.last_byte() : core_.now();
        http::ResponseReader& reader = connection.reader();
        // A status that fails the call says more than that its text is too long.
        const bool text_is_cut =
            end.error.kind() == ErrorKind::body_too_large && reader.status() >= 400 && call_.raise_for_status;
        attempt().status = static_cast<std::uint16_t>(reader.status());
        if (end.ok() || text_is_cut) return;
        call_.error = std::move(end.error);
        if (!reader.head_done()) return;
        std::move(call_.error).with_response(reader.status(), std::move(call_.response.content().headers), {});
    }

    /// What the attempt means for everyone. Is there to be another, after `delay`?
    [[nodiscard]] bool conclude(RoomFor<Ticket>& ticket, RoomFor<Permit>& permit)
    {
        attempt().elapsed = now - attempt().started;
        if (!has_failed()) {
            attempt().verdict = Verdict::success;
            if (ticket) ticket->record(Outcome{}, now);
            permit.reset();
            stop_reason_ = StopReason::done;
            return false;
        }
        const Outcome outcome = classify();
        if (ticket) record(*ticket, outcome);
        permit.reset();
        const RetryDecision decision = decide(outcome);
        stop_reason_ = decision.reason;
        if (decision.retry) retry(decision.delay);
        return decision.retry;
    }

    [[nodiscard]] Duration delay() const noexcept { return backoff_; }
    [[nodiscard]] async::Sleep& backoff()
    {
        return call_.waiting.template emplace<async::Sleep>(saturating_add(now, backoff_), core_.scope());
    }
    [[nodiscard]] bool slept() const { return call_.waiting.template as<async::Sleep>().slept(); }

    /// The call's end: the answer, or the last real error.
    CallEnd finish() { return finish(stop_reason_); }
    CallEnd finish(StopReason reason)
    {
        call_.ledger().stop(reason);
        if (answered() && has_failed() && call_.raise_for_status) call_.error = failure();
        if (answered()) return end(); // told to the observer once it is decoded
        // What was true of an earlier attempt is true of the call.
        std::move(call_.error).with_maybe_processed(maybe_processed_ || call_.error.maybe_processed());
        core_.failed(call_, started());
        return end();
    }
    [[nodiscard]] CallEnd end() const noexcept { return {call_, handed_over_}; }

    /// Nothing was sent in this attempt.
    void refuse(Error error)
    {
        const bool begun = !call_.ledger().empty();
        if (!begun) call_.ledger().begin_attempt(now);
        const bool closed = begun && error.kind() == ErrorKind::closed && core_.scope()->closed();
        const bool interrupted = error.kind() == ErrorKind::cancelled || closed;
        Attempt& record = attempt();
        record.elapsed = now - record.started;
        record.error = error.kind();
        record.timer = error.timer();
        call_.error = std::move(error);
        finish(interrupted ? StopReason::cancelled : StopReason::refused);
    }

    /// Cancelled, or the client closed, while nothing was under way.
    CallEnd interrupted()
    {
        call_.error = core_.scope()->closed() ? core_.closed_error() : Error{ErrorKind::cancelled};
        Attempt& record = attempt();
        if (record.status == 0 && record.error == ErrorKind{}) {
            read_clock();
            record.elapsed = now - record.started;
            record.error = call_.error.kind();
        }
        return finish(StopReason::cancelled);
    }

private:
    void retry(Duration delay)
    {
        if (core_.settings().observer) core_.tell_retry(call_, delay);
        backoff_ = delay;
    }

    /// Once the first attempt has begun.
    [[nodiscard]] TimePoint started() const noexcept { return call_.ledger()[0].started; }
    [[nodiscard]] net::Deadline total() const noexcept
    {
        return {saturating_add(started(), total_limit_), Timer::total, total_limit_};
    }
    [[nodiscard]] Duration attempt_limit() const noexcept
    {
        const Duration limit = call_.timeouts->attempt;
        return call_.fields.sets_attempt() ? limit : std::min(limit, core_.retry_.attempt_timeout());
    }

    /// Before the next attempt.
    void forget_last()
    {
        read_clock();
        attempt_deadline_ = no_deadline;
        fresh_ = only_queued_ = false;
        call_.error = Error{};
        status_failure_.reset();
    }

    /// Of an attempt that has failed.
    [[nodiscard]] Outcome classify()
    {
        Attempt& record = attempt();
        Outcome outcome;
        if (answered()) {
            outcome =
                http::classify_status(call_.response.status(), call_.response.headers(), call_.replay_safe, wall_now());
            record.error = ErrorKind::status;
        } else {
            outcome = call_.error.outcome();
            record.error = call_.error.kind();
            record.timer = call_.error.timer();
            record.maybe_processed = call_.error.maybe_processed();
            if (call_.replay_safe) outcome.replay = ReplaySafety::safe;
            if (only_queued_) outcome.verdict = Verdict::neutral;
        }
        record.verdict = outcome.verdict;
        maybe_processed_ = maybe_processed_ || record.maybe_processed || outcome.replay == ReplaySafety::unsafe;
        return outcome;
    }

    /// Tells the breaker; a failure as such where the breaker wants to judge it.
    template <class AnyTicket>
    void record(AnyTicket& ticket, const Outcome& outcome)
    {
        if constexpr (requires(const Failure& failure) { ticket.record(failure, now); }) {
            if (!only_queued_) return ticket.record(Failure(failure()), now);
        }
        ticket.record(outcome, now);
    }

    [[nodiscard]] RetryDecision decide(Outcome outcome)
    {
        if constexpr (requires(const Failure& failure) { core_.retry_.judge(failure); }) {
            outcome = core_.retry_.judge(Failure(failure()));
            if (call_.replay_safe) outcome.replay = ReplaySafety::safe;
        }
        if (outcome.verdict == Verdict::success && !outcome.retryable) return {false, StopReason::not_retryable, {}};
        const ErrorKind kind = call_.error.kind();
        if (kind == ErrorKind::cancelled || kind == ErrorKind::closed) return {false, StopReason::cancelled, {}};
        return schedule_.next(outcome, static_cast<unsigned>(call_.ledger().size()), now, total().at);
    }

    /// Has the attempt got an answer, whatever it says?
    [[nodiscard]] bool answered() const noexcept { return call_.error.kind() == ErrorKind{}; }
    [[nodiscard]] bool has_failed() const noexcept { return !answered() || call_.response.status() >= 400; }
    /// The failure of the attempt as an error; made once where it is a status.
    [[nodiscard]] const Error& failure()
    {
        if (!answered()) return call_.error;
        if (!status_failure_) status_failure_.reset(new Error(core_.status_error(call_)));
        return *status_failure_;
    }

    PolicyCore& core_;
    CallState& call_;
    Duration total_limit_;
    typename Retry::Schedule schedule_;
    Duration backoff_{};
    TimePoint attempt_deadline_ = no_deadline; ///< none before the attempt's first sending
    Owned<Error> status_failure_;
    StopReason stop_reason_ = StopReason::done;
    bool maybe_processed_ = false; ///< in any attempt
    bool handed_over_;
    bool stopped_ = false;
    Waited waited_{};
    bool open_ = false;        ///< it is counted as in flight
    bool fresh_ = false;       ///< only a connection that nobody has used will do
    bool only_queued_ = false; ///< the attempt ended in the pool's queue, by a deadline of the caller's
};

} // namespace khive::inline KHIVE_ABI::detail

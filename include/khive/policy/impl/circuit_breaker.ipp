// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/mutex.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/core/cache_line.hpp>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

namespace khive::inline KHIVE_ABI {
namespace detail {

/// The machine under a lock, and what the lock must not be held for. It lives as long as a handle or a ticket of it.
///
/// Cores of a processor that share a breaker pass its memory back and forth, line by line, so what every call writes is together
/// and apart from what it only reads. Tickets are counted under the lock: a count of their own would be one line more.
class BreakerCore {
public:
    using Machine = machine::BreakerMachine;
    using Callback = std::function<void(const BreakerTransition&)>;
    using Classifier = std::function<Verdict(const Failure&)>;

    [[nodiscard]] static std::shared_ptr<BreakerCore> make(const CircuitBreakerOptions& options, const Random& random)
    {
        return {new BreakerCore(options, random), [](BreakerCore* core) { core->without_handles(); }};
    }

    /// Runs a verb of the machine under the lock, then tells the world if it changed the state.
    template <class Verb>
    auto locked(Verb verb)
    {
        std::unique_lock lock(mutex_);
        auto result = verb(machine_);
        const bool changed = note_change();
        lock.unlock();
        KHIVE_YIELD_POINT();
        if (changed) deliver();
        return result;
    }

    /// Certainly closed a moment ago: a peek needs no lock. Who passes is decided by `admit`, with the lock.
    [[nodiscard]] bool passing() const noexcept { return passing_.load(std::memory_order_acquire); }

    /// The error of a refusal that was just decided; called under the lock.
    [[nodiscard]] Error refused(Duration wait) const
    {
        Error error = refusal_;
        if (wait != unlimited) std::move(error).with_retry_after(wait);
        return error;
    }

    /// A ticket at once where the breaker is closed, which changes nothing that anybody is told of.
    [[nodiscard]] std::optional<Machine::Ticket> pass(TimePoint now) noexcept
    {
        const std::lock_guard lock(mutex_);
        const auto ticket = machine_.pass(now);
        if (ticket) count_ticket();
        return ticket;
    }

    /// A ticket was given; called under the lock.
    void count_ticket() noexcept { ++tickets_; }

    /// Takes the ticket back.
    void record(const Machine::Ticket& ticket, Verdict verdict, TimePoint now) noexcept
    {
        bool changed = false;
        bool last = false;
        {
            const std::lock_guard lock(mutex_);
            machine_.record(ticket, verdict, now, random_);
            changed = note_change();
            if (!changed) last = let_go();
        }
        KHIVE_YIELD_POINT();
        if (changed) {
            deliver();
            const std::lock_guard lock(mutex_);
            last = let_go();
        }
        if (last) delete this;
    }

    void rename(std::string name)
    {
        const std::lock_guard lock(mutex_);
        name_ = std::move(name);
        describe_refusal();
    }

    void set_classifier(Classifier classifier)
    {
        auto shared = std::make_shared<const Classifier>(std::move(classifier));
        const std::lock_guard lock(mutex_);
        classifier_ = std::move(shared);
    }

    void add_callback(Callback callback)
    {
        const std::lock_guard lock(mutex_);
        auto more = callbacks_ ? std::make_shared<Callbacks>(*callbacks_) : std::make_shared<Callbacks>();
        more->push_back(std::move(callback));
        callbacks_ = std::move(more);
    }

    [[nodiscard]] Verdict judge(const Failure& failure) noexcept
    {
        std::unique_lock lock(mutex_);
        const auto classifier = classifier_;
        lock.unlock();
        Verdict verdict = failure.outcome().verdict;
        if (classifier && *classifier) swallow([&] { verdict = (*classifier)(failure); });
        return verdict;
    }

    [[nodiscard]] std::uint64_t callback_errors() const noexcept { return callback_errors_.load(std::memory_order_relaxed); }

private:
    using Callbacks = std::vector<Callback>;

    BreakerCore(const CircuitBreakerOptions& options, const Random& random) : machine_(options), random_(random) {}

    void without_handles() noexcept
    {
        std::unique_lock lock(mutex_);
        has_handles_ = false;
        const bool unused = tickets_ == 0;
        lock.unlock();
        KHIVE_YIELD_POINT();
        if (unused) delete this;
    }

    /// One ticket less; is nobody left?
    [[nodiscard]] bool let_go() noexcept { return --tickets_ == 0 && !has_handles_; }

    template <class Act>
    void swallow(Act act) noexcept
    {
        try {
            act();
        } catch (...) {
            callback_errors_.fetch_add(1, std::memory_order_relaxed);
        }
    }

    [[nodiscard]] bool note_change() noexcept
    {
        if (machine_.stats().history.count() == noted_) return false;
        noted_ = machine_.stats().history.count();
        passing_.store(machine_.last_state() == BreakerState::closed, std::memory_order_release);
        swallow([&] { describe_refusal(); });
        return true;
    }

    /// Made on a change of state, so that a refusal only copies it.
    void describe_refusal()
    {
        refusal_ = Error{ErrorKind::circuit_open};
        const BreakerTransition& last = machine_.stats().history[noted_];
        std::string text = name_.empty() ? "circuit breaker" : "circuit breaker '" + name_ + "'";
        text.append(" is ").append(to_string(last.to)).append(" (").append(to_string(last.cause)).append(")");
        if (last.to == BreakerState::half_open) text.append(" and its probes are under way");
        std::move(refusal_).with_message(std::move(text));
    }

    void deliver() noexcept
    {
        std::unique_lock lock(mutex_);
        if (std::exchange(delivering_, true)) return;
        while (delivered_ < noted_) {
            const BreakerHistory& history = machine_.stats().history;
            delivered_ = std::max(delivered_ + 1, history.oldest());
            const BreakerTransition transition = history[delivered_];
            const auto callbacks = callbacks_;
            lock.unlock();
            KHIVE_YIELD_POINT();
            if (callbacks)
                for (const Callback& callback : *callbacks) swallow([&] { callback(transition); });
            lock.lock();
        }
        delivering_ = false;
    }

    alignas(cache_line) Mutex mutex_;
    std::uint64_t tickets_ = 0;
    Machine machine_;
    alignas(cache_line) std::atomic<bool> passing_{true}; ///< stored under the lock, in the order of the changes
    bool has_handles_ = true;
    Random random_;
    Error refusal_{ErrorKind::circuit_open};
    std::string name_;
    std::shared_ptr<const Classifier> classifier_;
    std::shared_ptr<const Callbacks> callbacks_;
    std::uint64_t noted_ = 0;
    std::uint64_t delivered_ = 0;
    bool delivering_ = false;
    std::atomic<std::uint64_t> callback_errors_{0};
};

} // namespace detail

KHIVE_DECL CircuitBreaker::CircuitBreaker(const CircuitBreakerOptions& options) : CircuitBreaker(options, Random{}) {}

KHIVE_DECL CircuitBreaker::CircuitBreaker(const CircuitBreakerOptions& options, const Random& random)
    : core_(detail::BreakerCore::make(options, random))
{}

KHIVE_DECL CircuitBreaker CircuitBreaker::named(std::string name) const
{
    core_->rename(std::move(name));
    return *this;
}

KHIVE_DECL CircuitBreaker CircuitBreaker::classify(std::function<Verdict(const Failure&)> classifier) const
{
    core_->set_classifier(std::move(classifier));
    return *this;
}

KHIVE_DECL CircuitBreaker CircuitBreaker::on_state_change(std::function<void(const BreakerTransition&)> callback) const
{
    core_->add_callback(std::move(callback));
    return *this;
}

KHIVE_DECL void CircuitBreaker::isolate(TimePoint now) const
{
    core_->locked([&](auto& machine) {
        machine.isolate(now);
        return true;
    });
}

KHIVE_DECL void CircuitBreaker::reset(TimePoint now) const
{
    core_->locked([&](auto& machine) {
        machine.reset(now);
        return true;
    });
}

KHIVE_DECL BreakerState CircuitBreaker::state(TimePoint now) const
{
    return core_->locked([&](auto& machine) { return machine.state(now); });
}

KHIVE_DECL BreakerStats CircuitBreaker::stats(TimePoint now) const
{
    return core_->locked([&](auto& machine) {
        (void)machine.state(now);
        return machine.stats();
    });
}

KHIVE_DECL std::string CircuitBreaker::describe(TimePoint now) const
{
    return core_->locked([&](auto& machine) { return machine.describe(now); });
}

KHIVE_DECL std::uint64_t CircuitBreaker::callback_errors() const noexcept
{
    return core_->callback_errors();
}

KHIVE_DECL std::optional<Error> CircuitBreaker::refusal(TimePoint now) const
{
    if (core_->passing()) return std::nullopt;
    KHIVE_YIELD_POINT();
    return core_->locked([&](auto& machine) -> std::optional<Error> {
        const auto wait = machine.refusal(now);
        if (!wait) return std::nullopt;
        return core_->refused(*wait);
    });
}

KHIVE_DECL auto CircuitBreaker::try_admit(TimePoint now) const -> Result<Ticket>
{
    if (core_->passing())
        if (const auto ticket = core_->pass(now)) return Ticket(*core_, *ticket, now);
    KHIVE_YIELD_POINT();
    return core_->locked([&](auto& machine) -> Result<Ticket> {
        const auto admission = machine.try_admit(now);
        if (!admission.ticket) return core_->refused(admission.wait);
        core_->count_ticket();
        return Ticket(*core_, *admission.ticket, now);
    });
}

KHIVE_DECL auto CircuitBreaker::Ticket::operator=(Ticket&& other) noexcept -> Ticket&
{
    Ticket mine(std::move(other));
    std::swap(core_, mine.core_);
    std::swap(ticket_, mine.ticket_);
    std::swap(admitted_, mine.admitted_);
    return *this;
}

KHIVE_DECL void CircuitBreaker::Ticket::drop() noexcept
{
    std::exchange(core_, nullptr)->record(ticket_, Verdict::neutral, admitted_);
}

KHIVE_DECL void CircuitBreaker::Ticket::record(const Outcome& outcome, TimePoint now) noexcept
{
    if (auto* const core = std::exchange(core_, nullptr)) core->record(ticket_, outcome.verdict, now);
}

KHIVE_DECL void CircuitBreaker::Ticket::record(const Failure& failure, TimePoint now) noexcept
{
    if (core_ != nullptr) record(Outcome{.verdict = core_->judge(failure)}, now);
}

} // namespace khive::inline KHIVE_ABI

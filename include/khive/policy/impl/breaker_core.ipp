// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/cache_line.hpp>
#include <khive/core/list.hpp>
#include <khive/core/mutex.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/policy/circuit_breaker.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace khive::inline KHIVE_ABI::detail {

class BreakerCore;

/// One client's part of a breaker. It lives as long as a handle or a ticket of it.
///
/// As long as the breaker is calm, see `BreakerMachine::is_calm`, a share admits and counts by itself, so that clients of several
/// threads have no memory in common that they write. Whatever is more than counting is for the core, which first takes back what
/// its shares have counted. Locks are taken in this order: that of the core, then that of a share.
class alignas(cache_line) BreakerShare : public ListHook<> {
public:
    using Ticket = machine::BreakerMachine::Ticket;

    [[nodiscard]] KHIVE_DECL static std::shared_ptr<BreakerShare> make(const std::shared_ptr<BreakerCore>& core);

    [[nodiscard]] const std::shared_ptr<BreakerCore>& core() const noexcept { return core_; }
    /// Whatever comes may pass: a peek needs no lock.
    [[nodiscard]] bool passing() const noexcept { return calm_.load(std::memory_order_relaxed); }
    /// A ticket at once where the breaker is calm.
    [[nodiscard]] std::optional<Ticket> pass(TimePoint now) noexcept;
    /// The core has given a ticket.
    void count_ticket() noexcept;
    /// Takes the ticket back.
    KHIVE_DECL void record(const Ticket& ticket, Verdict verdict, TimePoint now) noexcept;

    /// \name Under the core's lock
    /// @{
    /// What has been counted; from here on the core does.
    [[nodiscard]] machine::CalmCounts take_back() noexcept;
    void entrust(std::uint64_t epoch) noexcept;
    /// @}

private:
    explicit BreakerShare(std::shared_ptr<BreakerCore> core) noexcept : core_(std::move(core)) {}
    KHIVE_DECL ~BreakerShare();
    KHIVE_DECL void without_handles() noexcept;
    [[nodiscard]] bool count(const Ticket& ticket, Verdict verdict, TimePoint now) noexcept;
    /// One ticket less; is nobody left?
    [[nodiscard]] bool let_go() noexcept { return --tickets_ == 0 && !has_handles_; }

    Mutex mutex_;
    std::atomic<bool> calm_{false}; ///< stored under both locks
    bool has_handles_ = true;
    std::uint64_t tickets_ = 0;
    std::uint64_t epoch_ = 0;
    machine::CalmCounts counts_;
    std::shared_ptr<BreakerCore> core_;
};

/// The machine under a lock, and what the lock must not be held for.
class BreakerCore {
public:
    using Machine = machine::BreakerMachine;
    using Callback = std::function<void(const BreakerTransition&)>;
    using Classifier = std::function<Verdict(const Failure&)>;

    BreakerCore(const CircuitBreakerOptions& options, const Random& random) : machine_(options), random_(random) {}

    /// Runs a verb of the machine under the lock, then tells the world if it changed the state.
    template <class Verb>
    auto locked(Verb verb)
    {
        std::unique_lock lock(mutex_);
        take_back();
        auto result = verb(machine_);
        const bool changed = note_change();
        entrust();
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

    void record(const Machine::Ticket& ticket, Verdict verdict, TimePoint now) noexcept
    {
        locked([&](Machine& machine) {
            machine.record(ticket, verdict, now, random_);
            return true;
        });
    }

    void add(BreakerShare& share) noexcept
    {
        const std::lock_guard lock(mutex_);
        shares_.push_back(share);
        if (!machine_.is_calm()) return;
        share.entrust(machine_.epoch());
        entrusted_ = true;
    }

    void remove(BreakerShare& share) noexcept
    {
        const std::lock_guard lock(mutex_);
        if (!share.is_linked()) return; // there was no memory for its count of handles
        machine_.add(share.take_back());
        shares_.erase(share);
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

    /// What the shares have counted; under the lock.
    void take_back() noexcept
    {
        if (!std::exchange(entrusted_, false)) return;
        for (BreakerShare* share = shares_.first(); share != nullptr; share = shares_.after(*share))
            machine_.add(share->take_back());
    }

    void entrust() noexcept
    {
        if (!machine_.is_calm()) return;
        entrusted_ = true;
        for (BreakerShare* share = shares_.first(); share != nullptr; share = shares_.after(*share))
            share->entrust(machine_.epoch());
    }

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

    Mutex mutex_;
    Machine machine_;
    List<BreakerShare> shares_;
    bool entrusted_ = false; ///< the shares count by themselves
    std::atomic<bool> passing_{true}; ///< stored under the lock, in the order of the changes
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

KHIVE_DECL std::shared_ptr<BreakerShare> BreakerShare::make(const std::shared_ptr<BreakerCore>& core)
{
    std::shared_ptr<BreakerShare> share(new BreakerShare(core), [](BreakerShare* gone) { gone->without_handles(); });
    core->add(*share);
    return share;
}

KHIVE_DECL BreakerShare::~BreakerShare()
{
    core_->remove(*this);
}

KHIVE_DECL void BreakerShare::without_handles() noexcept
{
    bool unused = false;
    {
        const std::lock_guard lock(mutex_);
        has_handles_ = false;
        unused = tickets_ == 0;
    }
    KHIVE_YIELD_POINT();
    if (unused) delete this;
}

inline std::optional<BreakerShare::Ticket> BreakerShare::pass(TimePoint now) noexcept
{
    if (!passing()) return std::nullopt;
    KHIVE_YIELD_POINT();
    const std::lock_guard lock(mutex_);
    if (!passing()) return std::nullopt;
    if (now > counts_.latest) counts_.latest = now;
    ++counts_.admitted;
    ++tickets_;
    return Ticket{epoch_, 0};
}

inline void BreakerShare::count_ticket() noexcept
{
    const std::lock_guard lock(mutex_);
    ++tickets_;
}

inline bool BreakerShare::count(const Ticket& ticket, Verdict verdict, TimePoint now) noexcept
{
    if (!passing() || ticket.epoch != epoch_ || verdict == Verdict::failure) return false;
    if (now > counts_.latest) counts_.latest = now;
    ++(verdict == Verdict::success ? counts_.succeeded : counts_.neutral);
    return true;
}

KHIVE_DECL void BreakerShare::record(const Ticket& ticket, Verdict verdict, TimePoint now) noexcept
{
    bool counted = false;
    bool last = false;
    {
        const std::lock_guard lock(mutex_);
        counted = count(ticket, verdict, now);
        if (counted) last = let_go();
    }
    KHIVE_YIELD_POINT();
    if (!counted) {
        core_->record(ticket, verdict, now);
        const std::lock_guard lock(mutex_);
        last = let_go();
    }
    if (last) delete this;
}

inline machine::CalmCounts BreakerShare::take_back() noexcept
{
    const std::lock_guard lock(mutex_);
    calm_.store(false, std::memory_order_relaxed);
    return std::exchange(counts_, {});
}

inline void BreakerShare::entrust(std::uint64_t epoch) noexcept
{
    const std::lock_guard lock(mutex_);
    epoch_ = epoch;
    calm_.store(true, std::memory_order_relaxed);
}

} // namespace khive::inline KHIVE_ABI::detail

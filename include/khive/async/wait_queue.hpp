// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/completion.hpp>
#include <khive/async/time_service.hpp>
#include <khive/async/wait_scope.hpp>
#include <khive/core/cache_line.hpp>
#include <khive/core/dial_timeouts.hpp>
#include <khive/core/list.hpp>
#include <khive/core/mutex.hpp>
#include <khive/core/result.hpp>
#include <khive/core/shared.hpp>

#include <boost/asio/cancellation_type.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <exception>
#include <memory>
#include <mutex>
#include <new>

namespace khive::inline KHIVE_ABI::async {

class WaitQueue;

/// How long a caller will wait, and for how much.
struct WaitRequest {
    double cost = 1;                  ///< what the owner charges at the grant
    TimePoint deadline = no_deadline; ///< refuse when it has not been granted by then
    TimePoint arrived = no_deadline;  ///< place in the queue; `no_deadline` is now. Keeps one's place when re-queueing
    Timer timer = Timer::queue;       ///< named in the error when the deadline passes
    ErrorKind timeout_kind = ErrorKind::timeout; ///< kind of that error
    WaitScope* scope = nullptr;                  ///< ends the wait when it closes
    Duration timer_value{};                      ///< named in the error too; zero: what was left when the wait began

    // For khive's own queues; a policy of your own may ignore what follows.
    void* key = nullptr;                         ///< which of several things, where the owner has several
    bool fresh = false;                          ///< only something that nobody has used, where the owner tells them apart
    bool has_slot = false;                       ///< wants the rest, where the owner hands out slots with it
    DialTimeouts dial{};                         ///< for a connection made for the caller, where the owner makes them
    void* under_way = nullptr;                   ///< the owner's: what is being made for the caller
    struct End {
        TimePoint deadline = no_deadline;
        Timer timer = Timer::queue;
        Duration timer_value{};
    };
    End once_made{}; ///< the owner's: what ends the wait once something is being made for the caller
    mutable void* granted = nullptr;             ///< the owner's: what it has granted, until it makes the grant of it
};

/// One suspended caller in a `WaitQueue`. Made on the slow path only.
class Waiter : public TimerNode, public ScopedWait, public ListHook<WaitQueue>, private BeforeResume, public FindsItself {
public:
    KHIVE_DECL Waiter(Shared<WaitQueue> queue, const WaitRequest& request);
    KHIVE_DECL ~Waiter() override;

    [[nodiscard]] const WaitRequest& request() const noexcept { return request_; }
    [[nodiscard]] TimeService& time() const noexcept { return *time_; }
    /// Leaves the queue if it is still there; its caller gets the error `cancelled`.
    KHIVE_DECL void cancel() noexcept;
    /// Why it ended without a grant; no error if it got one.
    [[nodiscard]] const Error& refusal() const noexcept { return refusal_; }
    /// There was no memory to begin what it waits for; then it has a refusal too.
    [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }

protected:
    /// Takes what the queue has granted. Called once and outside the queue's lock.
    virtual void take_grant() noexcept = 0;

private:
    friend class WaitQueue;
    /// Posts the end to the caller: the grant where `refusal` is no error. Called once and outside the queue's lock. The
    /// reference goes with it: the last one must not be dropped here, where a time service's lock may be held, for a grant that
    /// nobody takes is given back then, which may take another's.
    KHIVE_DECL static void deliver(Shared<Waiter> self, Error refusal) noexcept;
    /// Takes the node back from the time service, for good: who is about to arm it has let go of the queue's lock.
    KHIVE_DECL void before_resume() noexcept override;
    KHIVE_DECL TimePoint on_time(TimePoint now) noexcept override;
    KHIVE_DECL void on_shutdown() noexcept override;
    KHIVE_DECL void end_wait(const Error& why) noexcept override;
    std::shared_ptr<void> hold() noexcept override { return weak_from_this().lock(); }

    /// Arms it from outside the lock of another time service: two such locks taken in either order could deadlock.
    class Rearming final : public PostedTask {
    public:
        /// For one that waits, under the queue's lock. True if `post` is to follow; else it is under way, and will see `due`.
        KHIVE_DECL bool prepare(Waiter& waiter, TimePoint due) noexcept;
        KHIVE_DECL void post();

    private:
        KHIVE_DECL void run() override;
        KHIVE_DECL void abandon() noexcept override;

        Shared<Waiter> waiter_;                                                   ///< of who has set `posted_`
        std::atomic<TimePoint::rep> due_{no_deadline.time_since_epoch().count()}; ///< written under the queue's lock
        std::atomic<bool> posted_{false}; ///< set after `due_` is written, and cleared before that is read
    };

    Shared<WaitQueue> queue_;
    WaitRequest request_;
    Completion rest_;
    TimeService* time_ = nullptr; ///< from its beginning on
    TimePoint since_{};
    Error refusal_;
    std::exception_ptr failure_;
    Resumption resumption_;
    Rearming rearming_;
    Shared<Waiter> self_;          ///< set until delivered: the queue owns it so
    bool queued_ = false;          ///< under the queue's mutex
    bool resumed_ = false;         ///< the time service has let go of it
};

/// A strict FIFO of suspended callers in front of something that its owner hands out: tokens, slots, connections.
///
/// The owner derives from it, keeps its own state under `mutex_`, and says in `try_grant` whether the head may go. The head
/// blocks everyone behind it, so large requests do not starve. Only the head is woken for a grant; every waiter keeps its own
/// deadline. Waiters of several execution contexts may share a queue.
///
/// Grant and cancel are decided under `mutex_`: whoever unlinks the waiter decides how it ends. The grant travels as a value
/// inside the posted completion, so a caller that is destroyed before it resumes gives it back.
///
/// - Cancellation: O(1); those behind move up.
/// - Errors: `cancelled`, `closed`, `queue_full`, the request's `timeout_kind`, and what `refuse` says.
/// - Thread safety: safe. Rule for owners: never call the time service or a waiter's `deliver` under `mutex_`.
class WaitQueue : public FindsItself {
public:
    /// How many wait.
    [[nodiscard]] KHIVE_DECL std::size_t waiting() const;
    /// Ends every wait with the error `closed`; later waits are refused at once.
    KHIVE_DECL void close() noexcept;
    /// Begins the wait of a waiter in its queue: grants at once if nobody waits and it goes, else joins, or refuses. `slot`
    /// cancels the wait. Where it throws, `rest` is where it was.
    KHIVE_DECL static void start(Shared<Waiter> waiter, Completion& rest, asio::cancellation_slot slot);

protected:
    explicit WaitQueue(std::size_t max_waiting) noexcept : max_waiting_(max_waiting) {}

    /// May the head go now? Takes what it needs if so. Called under `mutex_`.
    virtual bool try_grant(const WaitRequest& head, TimePoint now) noexcept = 0;
    /// When the head may go by the passing of time alone. Called under `mutex_`.
    KHIVE_DECL virtual TimePoint next_grant(const WaitRequest& head, TimePoint now) noexcept;
    /// Why it is pointless to wait, if it is. Called under `mutex_` before a caller joins the queue.
    KHIVE_DECL virtual Error refuse(const WaitRequest& request, TimePoint now);

    /// Does a head that cannot go block those behind it? Yes by default, which is what keeps the order strict. Under `mutex_`.
    KHIVE_DECL virtual bool blocks(const WaitRequest& head) const noexcept;
    /// Must a newcomer join the queue, even if it could be served? Yes if anyone waits. Under `mutex_`.
    KHIVE_DECL virtual bool has_to_queue(const WaitRequest& newcomer) const noexcept;
    /// Do so many wait that a newcomer is refused? Yes from `max_waiting` on. Under `mutex_`.
    KHIVE_DECL virtual bool is_full(const WaitRequest& newcomer) const noexcept;
    /// Told of every caller that joins or leaves. Under `mutex_`.
    virtual void on_join(const WaitRequest&) noexcept {}
    virtual void on_leave(const WaitRequest&) noexcept {}
    /// Told after a caller has joined, outside every lock. It may have left already: see `find`.
    virtual void after_join(Waiter&) {}
    /// Told after a caller has left without a grant, outside the queue's lock but perhaps under that of a time service.
    virtual void after_leave() noexcept {}
    /// The request of a caller if that still waits. Under `mutex_`.
    [[nodiscard]] static WaitRequest* find(Waiter& waiter) noexcept { return waiter.queued_ ? &waiter.request_ : nullptr; }
    /// Ends the wait of the caller whose request this is, which waits; unlocks.
    KHIVE_DECL void end_wait(MutexLock lock, const WaitRequest& request, Error why) noexcept;
    /// Calls `visit(request)` for everyone who waits, in order, until it returns false. Under `mutex_`.
    template <class Visit>
    void for_each_waiting(Visit visit)
    {
        for (Waiter* waiter = waiters_.first(); waiter != nullptr; waiter = waiters_.after(*waiter))
            if (!visit(waiter->request_)) return;
    }

    /// After a change of the owner's state: grants to the head as long as it goes, unlocks, completes those, and wakes the next
    /// head in time. The lock must hold `mutex_`.
    KHIVE_DECL void pump(MutexLock lock, TimePoint now) noexcept;
    /// The same at the present time of the head's context.
    KHIVE_DECL void pump(MutexLock lock) noexcept;
    [[nodiscard]] bool has_waiters() const noexcept { return !waiters_.empty(); }
    [[nodiscard]] std::size_t waiting_locked() const noexcept { return waiting_; }
    [[nodiscard]] std::size_t max_waiting() const noexcept { return max_waiting_; }
    /// The sum of the costs of all who wait. Under `mutex_`.
    [[nodiscard]] double waiting_cost() const noexcept { return waiters_.empty() ? 0.0 : waiting_cost_; }
    /// The sum of the costs of those whom a newcomer would queue behind. Under `mutex_`.
    [[nodiscard]] KHIVE_DECL double cost_ahead_of(const WaitRequest& newcomer) const noexcept;
    [[nodiscard]] bool is_closed() const noexcept { return closed_; }

private:
    friend class Waiter;
    using WaiterList = List<Waiter, WaitQueue>;

    KHIVE_DECL void admit(const Shared<Waiter>& waiter, bool& joined);
    KHIVE_DECL Error refusal(const WaitRequest& request, TimePoint now);
    KHIVE_DECL void join(Shared<Waiter> waiter) noexcept;
    KHIVE_DECL void unlink(Waiter& waiter, WaiterList& into) noexcept;
    KHIVE_DECL void grant_heads(TimePoint now, WaiterList& granted) noexcept;
    KHIVE_DECL TimePoint on_waiter_time(Waiter& waiter, TimePoint now) noexcept;
    /// Takes one waiter out and lets those behind it move up; null if it had left already. `held` is the time service whose
    /// lock the calling thread holds.
    KHIVE_DECL Shared<Waiter> leave(Waiter& waiter, TimePoint now, TimeService* held) noexcept;
    KHIVE_DECL void finish(MutexLock lock, TimePoint now, TimeService* held) noexcept;

    double waiting_cost_ = 0;
    std::size_t waiting_ = 0;
    std::size_t max_waiting_;

protected:
    // What every caller touches, who waits or not, in a cache line that has room for as much of the owner's.
    alignas(cache_line) mutable Mutex mutex_;

private:
    bool closed_ = false;
    WaiterList waiters_;
};

/// A waiter whose caller gets a `Grant`, a move-only value made by `Owner::make_grant(request)` that gives back what it
/// holds when it is destroyed.
template <class Owner, class Grant>
class GrantWaiter final : public Waiter {
public:
    GrantWaiter(const Shared<Owner>& owner, const WaitRequest& request) : Waiter(owner, request), owner_(*owner) {}
    ~GrantWaiter() override
    {
        if (granted_) grant_.~Grant();
    }
    /// Once it has been granted.
    [[nodiscard]] Grant& grant() noexcept { return grant_; }

private:
    void take_grant() noexcept override
    {
        ::new (static_cast<void*>(&grant_)) Grant(owner_.make_grant(request()));
        granted_ = true;
    }

    Owner& owner_;
    bool granted_ = false;
    union {
        Grant grant_; ///< alive if `granted_`
    };
};

/// A coroutine's wait for a grant, in its frame.
template <class Owner, class Grant>
class GrantWait final : public Suspension {
public:
    GrantWait(const Shared<Owner>& owner, const WaitRequest& request)
        : waiter_(new GrantWaiter<Owner, Grant>(owner, request)), kept_(own_shared<Waiter>(waiter_))
    {}

    /// \name Once it has ended. They throw `std::bad_alloc` where there was no memory for the wait.
    /// @{
    [[nodiscard]] bool granted() const
    {
        rethrow_failure();
        return !waiter_->refusal().failed();
    }
    /// As it stood when the wait ended.
    [[nodiscard]] const WaitRequest& request() const
    {
        rethrow_failure();
        return waiter_->request();
    }
    [[nodiscard]] Result<Grant> result()
    {
        if (!granted()) return refusal();
        return take();
    }
    /// What was granted, once; or why nothing was.
    [[nodiscard]] Grant take() noexcept { return std::move(waiter_->grant()); }
    [[nodiscard]] const Error& refusal() const noexcept { return waiter_->refusal(); }
    /// @}

private:
    void start(Completion& rest, asio::cancellation_slot slot) override
    {
        WaitQueue::start(kept_, rest, slot);
    }
    void failed(std::exception_ptr why) noexcept override { failure_ = std::move(why); }
    void rethrow_failure() const
    {
        if (failure_) std::rethrow_exception(failure_);
        if (waiter_->failure()) std::rethrow_exception(waiter_->failure());
    }

    GrantWaiter<Owner, Grant>* waiter_;
    Shared<Waiter> kept_;
    std::exception_ptr failure_;
};

/// Waits in `owner`'s queue until `Owner::make_grant` has something to give. See `WaitQueue`.
template <class Grant, std::derived_from<WaitQueue> Owner>
asio::awaitable<Result<Grant>> wait_in(std::shared_ptr<Owner> owner, WaitRequest request)
{
    GrantWait<Owner, Grant> waiting(owner, request);
    auto wait = suspend(waiting);
    co_await std::move(wait);
    co_return waiting.result();
}

} // namespace khive::inline KHIVE_ABI::async

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/async/impl/wait_queue.ipp>
#endif

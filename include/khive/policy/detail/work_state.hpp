// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/owned_task.hpp>
#include <khive/async/wait_queue.hpp>
#include <khive/core/cache_line.hpp>
#include <khive/core/list.hpp>
#include <khive/core/mutex.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/policy/machine/token_bucket.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// What an executor has done and is doing.
struct ExecutorStats {
    std::size_t running = 0;     ///< slots in use
    std::size_t queued = 0;      ///< waiting for a slot
    std::size_t peak = 0;        ///< the most slots ever in use; those that a client has at hand count
    std::uint64_t completed = 0; ///< tasks that ended with a value
    std::uint64_t failed = 0;    ///< tasks that ended with an exception
    std::uint64_t cancelled = 0; ///< tasks that were cancelled, and threw
    std::uint64_t refused = 0;   ///< tasks that were never accepted: closed, or the queue was full
};

/// How a `shutdown` went.
struct ShutdownReport {
    std::size_t cancelled = 0; ///< tasks that were still there when their time was up
    std::size_t left = 0;      ///< of those, how many ignore their cancellation and run on
};

namespace detail {

class WorkShare;
class WorkState;

/// A slot, and in a rate-limited executor a token with it. It keeps the executor's state alive, as a handle does.
class WorkPermit {
public:
    using Mark = machine::TokenBucket::Mark;

    /// Without a slot it is a token only, for one to `charge`.
    WorkPermit(WorkState& work, double cost, Mark taken, bool has_slot = true) noexcept
        : work_(&work), cost_(cost), taken_(taken), has_slot_(has_slot)
    {}
    WorkPermit(WorkPermit&& other) noexcept
        : work_(std::exchange(other.work_, nullptr)), cost_(other.cost_), taken_(other.taken_), has_slot_(other.has_slot_)
    {}
    WorkPermit& operator=(WorkPermit&& other) noexcept
    {
        WorkPermit old = std::move(*this);
        work_ = std::exchange(other.work_, nullptr);
        cost_ = other.cost_;
        taken_ = other.taken_;
        has_slot_ = other.has_slot_;
        return *this;
    }
    ~WorkPermit()
    {
        if (work_ != nullptr) release();
    }
    /// The token stays taken; the slot is given back all the same.
    void spend() noexcept { cost_ = 0; }
    /// Gives the token back, and the slot is kept.
    KHIVE_DECL void refund() noexcept;
    /// Takes over a token that was granted for it.
    void charge(WorkPermit token) noexcept
    {
        cost_ = token.cost_;
        taken_ = token.taken_;
        token.work_ = nullptr;
    }

private:
    friend class WorkState;
    friend class WorkSlot;
    void release() noexcept;

    WorkState* work_;
    double cost_; ///< to give back; 0 once spent
    Mark taken_;
    bool has_slot_;
};

/// A task that an executor owns until it has ended.
class WorkTask : public async::OwnedTask, public ListHook<> {
public:
    WorkTask(std::shared_ptr<WorkState> work, const asio::any_io_executor& parent, const void* family = nullptr)
        : OwnedTask(parent), work_(std::move(work)), family_(family)
    {}

    /// Its slot, from the moment it has one.
    [[nodiscard]] std::optional<WorkPermit>& permit() noexcept { return permit_; }

protected:
    /// It has ended, and its slot is about to be given to somebody else.
    virtual void ending(const std::exception_ptr&) noexcept {}
    /// It has ended and is no longer in the executor's list.
    virtual void settled(std::exception_ptr error) noexcept = 0;

private:
    friend class WorkState;
    KHIVE_DECL void on_end(std::exception_ptr error) noexcept final;

    std::shared_ptr<WorkState> work_;
    std::optional<WorkPermit> permit_;
    const void* family_;    ///< the `map` it belongs to
    bool pending_ = false;  ///< accepted, and without a slot yet
    bool stopping_ = false; ///< inside `shutdown`, which must not wait for it
    bool helper_ = false;   ///< not a task of the user's
    bool doomed_ = false;   ///< about to be cancelled
};

/// One client's part of an executor. It lives as long as a handle or a slot of it.
///
/// As long as nobody waits and most slots are free it keeps a few at hand, so that clients of several threads have no memory in
/// common that they write. The executor takes them back before anybody has to wait. Locks are taken in this order: that of the
/// executor, then that of a share.
class alignas(cache_line) WorkShare : public ListHook<> {
public:
    static constexpr std::size_t batch = 8; ///< kept at a time; given back from twice that many on

    [[nodiscard]] KHIVE_DECL static std::shared_ptr<WorkShare> make(std::shared_ptr<WorkState> work);

    /// A slot if one is free and nobody waits for it.
    [[nodiscard]] bool try_enter() noexcept;
    void release() noexcept;

    /// \name Under the executor's lock
    /// @{
    /// Gives one out, and keeps `more`.
    void lend(std::size_t more) noexcept;
    /// How many were at hand. From here on there are none.
    [[nodiscard]] std::size_t take_back() noexcept;
    [[nodiscard]] std::size_t at_hand() noexcept;
    /// @}

private:
    explicit WorkShare(std::shared_ptr<WorkState> work) noexcept : work_(std::move(work)) {}
    KHIVE_DECL ~WorkShare();
    KHIVE_DECL void without_handles() noexcept;
    KHIVE_DECL void release_slowly() noexcept;
    /// One slot less; is nobody left?
    [[nodiscard]] bool let_go() noexcept { return --given_ == 0 && !has_handles_; }

    Mutex mutex_;
    bool keeps_ = false;
    bool has_handles_ = true;
    std::size_t free_ = 0;  ///< at hand
    std::size_t given_ = 0; ///< in use
    std::shared_ptr<WorkState> work_;
};

/// A slot alone, of an executor or of a client's share of it.
class WorkSlot {
public:
    explicit WorkSlot(WorkPermit permit) noexcept : work_(std::exchange(permit.work_, nullptr)) {}
    explicit WorkSlot(WorkShare& share) noexcept : share_(&share) {}
    WorkSlot(WorkSlot&& other) noexcept
        : work_(std::exchange(other.work_, nullptr)), share_(std::exchange(other.share_, nullptr))
    {}
    WorkSlot& operator=(WorkSlot&& other) noexcept
    {
        const WorkSlot old = std::move(*this);
        work_ = std::exchange(other.work_, nullptr);
        share_ = std::exchange(other.share_, nullptr);
        return *this;
    }
    ~WorkSlot()
    {
        if (share_ != nullptr)
            share_->release();
        else if (work_ != nullptr)
            release();
    }

private:
    void release() noexcept;

    WorkState* work_ = nullptr;
    WorkShare* share_ = nullptr;
};

/// What the copies of an executor share: its slots, its bucket if it has one, the queue in front of them, and every task.
class WorkState final : public async::WaitQueue {
public:
    struct Options {
        std::size_t max_concurrency = 0;
        std::size_t max_queue = 0;
        std::optional<machine::TokenBucketSettings> rate = std::nullopt;
        std::string_view owner;
    };
    enum class Admission { granted, queued, full, closed };
    enum class End { value, failure, cancelled };

    /// It lives as long as a handle, a task or a permit of it.
    [[nodiscard]] KHIVE_DECL static std::shared_ptr<WorkState> make(const Options& options);

    /// \name Slots
    /// @{
    /// `accepted` work goes on while the executor shuts down.
    [[nodiscard]] std::optional<WorkPermit> try_enter(double cost, TimePoint now, bool accepted = false) noexcept;
    void release(double unspent, WorkPermit::Mark taken) noexcept;
    /// Tokens go back; the slot that they came with does not.
    KHIVE_DECL void refund(double tokens, WorkPermit::Mark taken) noexcept;
    /// A token for a permit that has none, unless others wait for just that.
    KHIVE_DECL bool try_charge(WorkPermit& permit, double cost, TimePoint now) noexcept;
    [[nodiscard]] KHIVE_DECL std::optional<Error> check_cost(double cost) const;
    [[nodiscard]] KHIVE_DECL WorkPermit make_grant(const async::WaitRequest& request) noexcept;
    /// @}

    /// \name Shares
    /// @{
    KHIVE_DECL void add(WorkShare& share) noexcept;
    KHIVE_DECL void remove(WorkShare& share) noexcept;
    /// A slot by that share, if one is free, which may keep a few more then.
    [[nodiscard]] KHIVE_DECL bool enter(WorkShare& share) noexcept;
    /// @}

    /// \name Tasks
    /// @{
    /// Takes a task into the list, with a slot at once if one is free.
    KHIVE_DECL Admission admit(WorkTask& task, double cost, TimePoint now) noexcept;
    /// Takes the feeder of a map into the list, which needs no slot. False if closed.
    KHIVE_DECL bool adopt_feeder(WorkTask& feeder) noexcept;
    /// Takes an item of an accepted map into the list. False if it is too late even for that.
    KHIVE_DECL bool adopt_item(WorkTask& item) noexcept;
    KHIVE_DECL void remove(WorkTask& task, End end) noexcept;
    KHIVE_DECL void cancel_family(const void* family) noexcept;
    [[nodiscard]] KHIVE_DECL ExecutorStats stats() const;
    /// @}

    /// \name Shutdown
    /// @{
    class Drain;
    /// Refuses new work. True if `executor` is that of a task of ours, which is then not waited for.
    KHIVE_DECL bool begin_shutdown(const asio::any_io_executor& executor);
    KHIVE_DECL void end_shutdown(const asio::any_io_executor& executor);
    [[nodiscard]] KHIVE_DECL std::size_t left(bool inside) const;
    KHIVE_DECL void cancel_all() noexcept;
    [[nodiscard]] const std::shared_ptr<Drain>& drain() const noexcept { return drain_; }
    /// @}

private:
    KHIVE_DECL explicit WorkState(const Options& options);
    KHIVE_DECL void without_handles() noexcept;
    KHIVE_DECL void release_slowly(MutexLock lock) noexcept;
    KHIVE_DECL bool try_grant(const async::WaitRequest& head, TimePoint now) noexcept override;
    KHIVE_DECL TimePoint next_grant(const async::WaitRequest& head, TimePoint now) noexcept override;
    KHIVE_DECL Error refuse(const async::WaitRequest& request, TimePoint now) override;
    KHIVE_DECL bool has_to_queue(const async::WaitRequest& newcomer) const noexcept override;
    KHIVE_DECL void on_join(const async::WaitRequest& request) noexcept override;
    KHIVE_DECL void on_leave(const async::WaitRequest& request) noexcept override;
    KHIVE_DECL void after_leave() noexcept override;

    bool take_locked(double cost, TimePoint now) noexcept;
    KHIVE_DECL bool take_back() noexcept;
    [[nodiscard]] KHIVE_DECL std::size_t at_hand() const noexcept;
    [[nodiscard]] WorkPermit::Mark mark_locked() const noexcept { return bucket_ ? bucket_->mark() : WorkPermit::Mark{}; }
    [[nodiscard]] std::size_t queued_locked() const noexcept { return pending_ + outsiders_; }
    KHIVE_DECL void count(End end) noexcept;
    KHIVE_DECL bool mark(const asio::any_io_executor& executor, bool stopping) noexcept;
    template <class Which>
    void cancel_if(Which which) noexcept;

    // What entering and leaving write, next to the queue; then what they only read.
    std::size_t running_ = 0; ///< slots in use, or at hand in a share
    bool closing_ = false;
    bool has_handles_ = true;
    std::size_t max_concurrency_;
    std::size_t max_queue_;
    ExecutorStats counts_;
    std::optional<machine::TokenBucket> bucket_;
    List<WorkTask> tasks_;
    std::size_t task_count_ = 0;
    std::size_t pending_ = 0;   ///< tasks without a slot
    std::size_t outsiders_ = 0; ///< waiting in the queue without being a task
    std::size_t charging_ = 0;  ///< waiting with a slot for a token; before all others
    std::size_t stopping_ = 0;  ///< tasks inside `shutdown`
    std::shared_ptr<Drain> drain_;
    List<WorkShare> shares_;
    bool lends_ = false; ///< shares may have slots at hand
};

/// Refuses new work, waits until what there is has ended, cancels what has not near the end of `timeout`.
[[nodiscard]] KHIVE_DECL asio::awaitable<ShutdownReport> shut_down(std::shared_ptr<WorkState> work, Duration timeout);

inline bool WorkState::take_locked(double cost, TimePoint now) noexcept
{
    if (running_ >= max_concurrency_ && !(lends_ && take_back())) return false;
    if (bucket_ && !bucket_->try_take(cost, now)) return false;
    if (++running_ > counts_.peak) counts_.peak = running_;
    return true;
}

inline std::optional<WorkPermit> WorkState::try_enter(double cost, TimePoint now, bool accepted) noexcept
{
    const std::lock_guard lock(mutex_);
    if ((closing_ && (!accepted || is_closed())) || has_waiters()) return std::nullopt;
    if (bucket_ && !(cost > 0 && cost <= bucket_->burst())) return std::nullopt;
    if (!take_locked(cost, now)) return std::nullopt;
    return std::optional<WorkPermit>(std::in_place, *this, cost, mark_locked());
}

inline void WorkState::release(double unspent, WorkPermit::Mark taken) noexcept
{
    std::unique_lock lock(mutex_);
    --running_;
    if (unspent > 0 && bucket_) bucket_->give_back(unspent, taken);
    if (has_waiters() || closing_ || !has_handles_) release_slowly(std::move(lock));
}

inline void WorkPermit::release() noexcept
{
    WorkState& work = *std::exchange(work_, nullptr);
    if (has_slot_)
        work.release(cost_, taken_);
    else
        work.refund(cost_, taken_);
}

inline void WorkSlot::release() noexcept
{
    work_->release(0, {});
}

inline bool WorkShare::try_enter() noexcept
{
    {
        const std::lock_guard lock(mutex_);
        if (free_ != 0) {
            --free_;
            ++given_;
            return true;
        }
    }
    KHIVE_YIELD_POINT();
    return work_->enter(*this);
}

inline void WorkShare::release() noexcept
{
    std::unique_lock lock(mutex_);
    if (!keeps_ || free_ == 2 * batch) {
        lock.unlock();
        return release_slowly();
    }
    ++free_;
    const bool last = let_go();
    lock.unlock();
    KHIVE_YIELD_POINT();
    if (last) delete this;
}

inline void WorkShare::lend(std::size_t more) noexcept
{
    const std::lock_guard lock(mutex_);
    ++given_;
    free_ += more;
    keeps_ = keeps_ || more != 0;
}

inline std::size_t WorkShare::take_back() noexcept
{
    const std::lock_guard lock(mutex_);
    keeps_ = false;
    return std::exchange(free_, 0);
}

inline std::size_t WorkShare::at_hand() noexcept
{
    const std::lock_guard lock(mutex_);
    return free_;
}

} // namespace detail
} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/policy/impl/work_state.ipp>
#endif

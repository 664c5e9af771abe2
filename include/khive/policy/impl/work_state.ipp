// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/policy/detail/check_cost.hpp>
#include <khive/policy/detail/work_state.hpp>
#include <khive/policy/impl/work_share.ipp>

#include <algorithm>
#include <limits>
#include <string>

namespace khive::inline KHIVE_ABI::detail {

/// Those who wait in `shutdown` until the work is done. Nobody blocks anybody here.
class WorkState::Drain final : public async::WaitQueue {
public:
    struct Done {};

    explicit Drain(const WorkState& work) noexcept : WaitQueue(std::numeric_limits<std::size_t>::max()), work_(work) {}
    void poke() noexcept { pump(std::unique_lock(mutex_)); }
    static Done make_grant(const async::WaitRequest&) noexcept { return {}; }

private:
    /// Who has a slot is itself one of the tasks.
    bool try_grant(const async::WaitRequest& head, TimePoint) noexcept override { return work_.left(head.has_slot) == 0; }
    bool blocks(const async::WaitRequest&) const noexcept override { return false; }
    bool has_to_queue(const async::WaitRequest&) const noexcept override { return false; }

    const WorkState& work_;
};

KHIVE_DECL void WorkPermit::refund() noexcept
{
    if (work_ != nullptr && cost_ > 0) work_->refund(std::exchange(cost_, 0), taken_);
}

KHIVE_DECL void WorkTask::on_end(std::exception_ptr error) noexcept
{
    const auto end = !error ? WorkState::End::value : is_cancelled() ? WorkState::End::cancelled : WorkState::End::failure;
    ending(error);
    KHIVE_YIELD_POINT();
    permit_.reset();
    KHIVE_YIELD_POINT();
    work_->remove(*this, end);
    KHIVE_YIELD_POINT();
    settled(std::move(error));
}

KHIVE_DECL WorkState::WorkState(const Options& options)
    : WaitQueue(std::numeric_limits<std::size_t>::max()),
      max_concurrency_(options.max_concurrency),
      max_queue_(options.max_queue),
      drain_(std::make_shared<Drain>(*this))
{
    if (max_concurrency_ == 0)
        Error{ErrorKind::configuration}
            .with_message(std::string(options.owner) + ": max_concurrency is 0, must be > 0")
            .raise();
    if (options.rate) bucket_.emplace(*options.rate, options.owner);
}

KHIVE_DECL std::shared_ptr<WorkState> WorkState::make(const Options& options)
{
    return {new WorkState(options), [](WorkState* state) { state->without_handles(); }};
}

KHIVE_DECL void WorkState::without_handles() noexcept
{
    std::unique_lock lock(mutex_);
    has_handles_ = false;
    const bool unused = running_ == 0;
    lock.unlock();
    KHIVE_YIELD_POINT();
    if (unused) delete this;
}

/// The released permit no longer keeps the state alive: nothing of it may be touched once the lock is given up.
KHIVE_DECL void WorkState::release_slowly(MutexLock lock) noexcept
{
    const bool last = !has_handles_ && running_ == 0;
    const std::shared_ptr<Drain> drain = closing_ ? drain_ : nullptr;
    pump(std::move(lock)); // unlocks, in any case
    KHIVE_YIELD_POINT();
    if (drain) drain->poke();
    if (last) delete this;
}

KHIVE_DECL void WorkState::add(WorkShare& share) noexcept
{
    const std::lock_guard lock(mutex_);
    shares_.push_back(share);
}

KHIVE_DECL void WorkState::remove(WorkShare& share) noexcept
{
    const std::lock_guard lock(mutex_);
    if (!share.is_linked()) return; // there was no memory for its count of handles
    running_ -= share.take_back();
    shares_.erase(share);
}

KHIVE_DECL bool WorkState::enter(WorkShare& share) noexcept
{
    const std::lock_guard lock(mutex_);
    if (closing_ || has_waiters() || !take_locked(0, {})) return false;
    const bool most_are_free = running_ + WorkShare::batch <= max_concurrency_ / 2;
    const std::size_t more = most_are_free && pending_ == 0 && !bucket_ ? WorkShare::batch : 0;
    running_ += more;
    lends_ = lends_ || more != 0;
    share.lend(more);
    return true;
}

/// What shares have at hand; under the lock. Is anything free now?
KHIVE_DECL bool WorkState::take_back() noexcept
{
    lends_ = false;
    for (WorkShare* share = shares_.first(); share != nullptr; share = shares_.after(*share)) running_ -= share->take_back();
    return running_ < max_concurrency_;
}

KHIVE_DECL std::size_t WorkState::at_hand() const noexcept
{
    std::size_t free = 0;
    if (!lends_) return free;
    for (WorkShare* share = shares_.first(); share != nullptr; share = shares_.after(*share)) free += share->at_hand();
    return free;
}

KHIVE_DECL std::optional<Error> WorkState::check_cost(double cost) const
{
    const std::lock_guard lock(mutex_);
    return detail::check_cost(cost, bucket_ ? bucket_->burst() : cost);
}

KHIVE_DECL WorkPermit WorkState::make_grant(const async::WaitRequest& request) noexcept
{
    const std::lock_guard lock(mutex_);
    return {*this, request.cost, mark_locked(), !request.has_slot};
}

KHIVE_DECL void WorkState::refund(double tokens, WorkPermit::Mark taken) noexcept
{
    std::unique_lock lock(mutex_);
    if (!bucket_) return;
    bucket_->give_back(tokens, taken);
    pump(std::move(lock));
}

KHIVE_DECL bool WorkState::try_charge(WorkPermit& permit, double cost, TimePoint now) noexcept
{
    const std::lock_guard lock(mutex_);
    if (charging_ != 0 || (bucket_ && !(cost > 0 && cost <= bucket_->burst() && bucket_->try_take(cost, now)))) return false;
    permit.cost_ = cost;
    permit.taken_ = mark_locked();
    return true;
}

KHIVE_DECL bool WorkState::try_grant(const async::WaitRequest& head, TimePoint now) noexcept
{
    if (head.has_slot) return !bucket_ || bucket_->try_take(head.cost, now);
    if (!take_locked(head.cost, now)) return false;
    if (head.key != nullptr && std::exchange(static_cast<WorkTask*>(head.key)->pending_, false)) --pending_;
    return true;
}

KHIVE_DECL TimePoint WorkState::next_grant(const async::WaitRequest& head, TimePoint now) noexcept
{
    return bucket_ && (head.has_slot || running_ < max_concurrency_) ? bucket_->ready_at(head.cost, now) : no_deadline;
}

KHIVE_DECL bool WorkState::has_to_queue(const async::WaitRequest& newcomer) const noexcept
{
    if (newcomer.has_slot) return charging_ != 0;
    return has_waiters() || (closing_ && newcomer.key == nullptr);
}

KHIVE_DECL Error WorkState::refuse(const async::WaitRequest& request, TimePoint now)
{
    if (request.key != nullptr) return {}; // a task: accepted before
    if (closing_ && !request.has_slot) return Error{ErrorKind::closed};
    const Duration wait = bucket_ ? bucket_->time_until(cost_ahead_of(request) + request.cost, now) : Duration::zero();
    if (saturating_add(now, wait) > request.deadline)
        return Error{ErrorKind::rate_limited}.with_retry_after(wait).with_retryable(true);
    if (!request.has_slot && queued_locked() >= max_queue_) return Error{ErrorKind::queue_full}.with_retryable(true);
    return {};
}

KHIVE_DECL void WorkState::on_join(const async::WaitRequest& request) noexcept
{
    if (request.has_slot)
        ++charging_;
    else if (request.key == nullptr)
        ++outsiders_;
}

KHIVE_DECL void WorkState::on_leave(const async::WaitRequest& request) noexcept
{
    if (request.has_slot)
        --charging_;
    else if (request.key == nullptr)
        --outsiders_;
}

/// It may have been the last for whom a `shutdown` waits.
KHIVE_DECL void WorkState::after_leave() noexcept
{
    bool draining = false;
    {
        const std::lock_guard lock(mutex_);
        draining = closing_;
    }
    if (draining) drain_->poke();
}

KHIVE_DECL WorkState::Admission WorkState::admit(WorkTask& task, double cost, TimePoint now) noexcept
{
    const std::lock_guard lock(mutex_);
    const bool granted = !closing_ && !has_waiters() && pending_ == 0 && take_locked(cost, now);
    if (!granted && (closing_ || queued_locked() >= max_queue_)) {
        ++counts_.refused;
        return closing_ ? Admission::closed : Admission::full;
    }
    if (granted) task.permit_.emplace(*this, cost, mark_locked());
    task.pending_ = !granted;
    if (task.pending_) ++pending_;
    tasks_.push_back(task);
    ++task_count_;
    return granted ? Admission::granted : Admission::queued;
}

KHIVE_DECL bool WorkState::adopt_feeder(WorkTask& feeder) noexcept
{
    const std::lock_guard lock(mutex_);
    if (closing_) return false;
    feeder.helper_ = true;
    tasks_.push_back(feeder);
    ++task_count_;
    return true;
}

KHIVE_DECL bool WorkState::adopt_item(WorkTask& item) noexcept
{
    const std::lock_guard lock(mutex_);
    if (is_closed()) return false;
    tasks_.push_back(item);
    ++task_count_;
    return true;
}

KHIVE_DECL void WorkState::remove(WorkTask& task, End end) noexcept
{
    bool draining = false;
    {
        const std::lock_guard lock(mutex_);
        tasks_.erase(task);
        --task_count_;
        if (std::exchange(task.pending_, false)) --pending_;
        if (std::exchange(task.stopping_, false)) --stopping_;
        if (!task.helper_) count(end);
        draining = closing_;
    }
    KHIVE_YIELD_POINT();
    if (draining) drain_->poke();
}

KHIVE_DECL void WorkState::count(End end) noexcept
{
    switch (end) {
    case End::value: ++counts_.completed; break;
    case End::failure: ++counts_.failed; break;
    case End::cancelled: ++counts_.cancelled; break;
    }
}

/// Moves what it chooses to the front of the list, at once, and cancels from there without the lock. Threads share that part.
template <class Which>
void WorkState::cancel_if(Which which) noexcept
{
    std::unique_lock lock(mutex_);
    WorkTask* others = tasks_.first();
    while (others != nullptr && others->doomed_) others = tasks_.after(*others);
    for (WorkTask* next = others; next != nullptr;) {
        WorkTask* const task = next;
        next = tasks_.after(*task);
        if (!which(*task)) continue;
        task->doomed_ = true;
        if (task == others) {
            others = next;
        } else {
            tasks_.erase(*task);
            tasks_.insert(others, *task);
        }
    }
    while (!tasks_.empty() && tasks_.first()->doomed_) {
        WorkTask& task = *tasks_.first();
        task.doomed_ = false;
        tasks_.erase(task);
        tasks_.push_back(task);
        auto chosen = task.weak_from_this().lock();
        lock.unlock();
        KHIVE_YIELD_POINT();
        if (chosen) chosen->cancel();
        chosen.reset(); // perhaps the last that held it
        lock.lock();
    }
}

KHIVE_DECL void WorkState::cancel_family(const void* family) noexcept
{
    cancel_if([family](const WorkTask& task) { return task.family_ == family; });
}

KHIVE_DECL void WorkState::cancel_all() noexcept
{
    cancel_if([](const WorkTask& task) { return !task.stopping_; });
}

KHIVE_DECL ExecutorStats WorkState::stats() const
{
    const std::lock_guard lock(mutex_);
    ExecutorStats stats = counts_;
    stats.running = running_ - at_hand();
    stats.queued = queued_locked();
    return stats;
}

KHIVE_DECL bool WorkState::mark(const asio::any_io_executor& executor, bool stopping) noexcept
{
    WorkTask* task = tasks_.first();
    while (task != nullptr && !task->runs_on(executor)) task = tasks_.after(*task);
    if (task == nullptr) return false;
    if (task->stopping_ != stopping) stopping ? ++stopping_ : --stopping_;
    task->stopping_ = stopping;
    return true;
}

KHIVE_DECL bool WorkState::begin_shutdown(const asio::any_io_executor& executor)
{
    bool inside = false;
    {
        const std::lock_guard lock(mutex_);
        closing_ = true;
        take_back();
        inside = mark(executor, true);
    }
    KHIVE_YIELD_POINT();
    drain_->poke();
    return inside;
}

KHIVE_DECL void WorkState::end_shutdown(const asio::any_io_executor& executor)
{
    const std::lock_guard lock(mutex_);
    mark(executor, false);
}

KHIVE_DECL std::size_t WorkState::left(bool inside) const
{
    const std::lock_guard lock(mutex_);
    const std::size_t exempt = inside ? stopping_ : 0;
    const std::size_t tasks = task_count_ - std::min(exempt, task_count_);
    const std::size_t slots = running_ - std::min(exempt, running_);
    return std::max({tasks, slots, waiting_locked()});
}

/// While it lives, the calling task is not waited for by its own `shutdown`.
class ShutdownScope {
public:
    ShutdownScope(WorkState& work, asio::any_io_executor executor)
        : work_(work), executor_(std::move(executor)), inside_(work.begin_shutdown(executor_))
    {}
    ShutdownScope(const ShutdownScope&) = delete;
    ShutdownScope& operator=(const ShutdownScope&) = delete;
    ~ShutdownScope()
    {
        if (inside_) work_.end_shutdown(executor_);
    }
    [[nodiscard]] bool inside() const noexcept { return inside_; }

private:
    WorkState& work_;
    asio::any_io_executor executor_;
    bool inside_;
};

/// What of a time limit is kept back for tasks to end after they have been cancelled.
inline Duration time_to_unwind(Duration timeout) noexcept
{
    return std::min<Duration>(timeout / 10, std::chrono::seconds{1});
}

inline async::WaitRequest drain_request(bool inside, TimePoint deadline) noexcept
{
    return {.deadline = deadline, .has_slot = inside};
}

KHIVE_DECL asio::awaitable<ShutdownReport> shut_down(std::shared_ptr<WorkState> work, Duration timeout)
{
    using Drain = WorkState::Drain;
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    const TimePoint now = async::time_service(executor).now();
    const TimePoint deadline = timeout == unlimited ? no_deadline : saturating_add(now, timeout);
    const TimePoint patience = timeout == unlimited ? no_deadline : deadline - time_to_unwind(timeout);
    const ShutdownScope scope(*work, executor);
    const std::shared_ptr<Drain> drain = work->drain();

    const auto drained = co_await async::wait_in<Drain::Done>(drain, drain_request(scope.inside(), patience));
    if (!drained && drained.error().kind() == ErrorKind::cancelled) drained.error().raise();

    ShutdownReport report;
    report.cancelled = work->left(scope.inside());
    if (report.cancelled == 0) co_return report;
    work->close();
    drain->poke(); // another `shutdown` may have waited for those only
    KHIVE_YIELD_POINT();
    work->cancel_all();
    const auto ended = co_await async::wait_in<Drain::Done>(drain, drain_request(scope.inside(), deadline));
    report.left = ended ? 0 : work->left(scope.inside());
    co_return report;
}

} // namespace khive::inline KHIVE_ABI::detail

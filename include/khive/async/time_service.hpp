// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>
#include <khive/async/post.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/time.hpp>
#include <khive/core/tree.hpp>
#include <khive/core/yield_point.hpp>

#include <boost/asio/execution_context.hpp>

#include <atomic>
#include <cassert>
#include <mutex>
#include <optional>

namespace khive::inline KHIVE_ABI::async {

class TimeService;

namespace detail {
class Alarm;
} // namespace detail

/// Something that wants to be told when a time has come: a sleep, the head of a queue, the deadline of a connection.
///
/// It is a node of the time service's tree, so being armed costs no allocation. It must be disarmed before it is destroyed
/// unless the service has let go of it.
class TimerNode : public TreeNode {
public:
    TimerNode(const TimerNode&) = delete;
    TimerNode& operator=(const TimerNode&) = delete;

protected:
    TimerNode() = default;
    ~TimerNode() { assert(!is_linked()); }

    /// The time has come, or came for an earlier wish that is out of date. Returns when to call again; `no_deadline` for never,
    /// after which the service does not touch the node. Short; completions are posted, never run here.
    virtual TimePoint on_time(TimePoint now) noexcept = 0;
    /// The execution context ends: let go of every handler. The service does not touch the node afterwards.
    virtual void on_shutdown() noexcept {}

private:
    friend class TimeService;
    friend bool operator<(const TimerNode& a, const TimerNode& b) noexcept { return a.due() < b.due(); }
    /// While the service holds it.
    [[nodiscard]] TimePoint due() const noexcept { return TimePoint{Duration{due_rep_.load(std::memory_order_relaxed)}}; }

    /// `not_armed` when the service does not hold it, `retired` when it never will again. Read without the lock by `arm`'s fast
    /// path, for which a retired node is one that is armed for the earliest time. Whoever arms has changed what `on_time` looks at
    /// under a lock that it takes: where that has come and gone, the node is seen as not armed; where not, it will see the change.
    std::atomic<TimePoint::rep> due_rep_{not_armed};
    static constexpr TimePoint::rep not_armed = TimePoint::min().time_since_epoch().count();
    static constexpr TimePoint::rep retired = not_armed + 1;
};

/// Time, for everything in one execution context: `now()`, and one timer that serves every wait and deadline.
///
/// Found with `time_service(executor)`. Tests call `use_virtual_time` and then move time by hand; nothing else changes.
///
/// - Time: never fires early. `arm` means "no later than", so a node that is armed already for an earlier time is left alone
///   and asked then; a connection re-arms for each request at the price of one atomic load.
/// - Thread safety: safe. `on_time` runs under the service's (recursive) lock, so after `disarm` returns it does not run any
///   more. Hence the rule: never call the service while holding a lock that an `on_time` takes.
/// - Complexity: O(log n), no allocation; where there is no memory for a timer of Asio's, it looks at the clock until there is.
/// - Errors: made for the first time, it throws what the system gives where there is no file descriptor for it.
class TimeService final : public asio::execution_context::service, private PostedTask {
public:
    inline static asio::execution_context::id id;

    KHIVE_DECL explicit TimeService(asio::execution_context& context);
    KHIVE_DECL ~TimeService() override;

    [[nodiscard]] TimePoint now() const noexcept;
    /// Where it runs, which is no strand; null where the executors of its context are of no kind that it knows.
    [[nodiscard]] Home* home() const noexcept { return home_; }
    /// Runs `task` there.
    KHIVE_DECL void post(PostedTask& task);
    /// Calls `on_time` once `due` has come; a node already armed for an earlier time is asked then instead.
    /// `no_deadline` keeps the node only for `on_shutdown`.
    void arm(TimerNode& node, TimePoint due)
    {
        const auto armed = node.due_rep_.load(std::memory_order_acquire);
        KHIVE_YIELD_POINT();
        if (armed == TimerNode::not_armed || armed > due.time_since_epoch().count()) arm_earlier(node, due);
    }
    /// Takes the node back; `on_time` is not running and will not run once this returns, unless it is the caller.
    KHIVE_DECL void disarm(TimerNode& node) noexcept;
    /// The same for ever: whoever is about to arm it, having let go of his own lock, comes too late.
    KHIVE_DECL void retire(TimerNode& node) noexcept;

    /// How many nodes it holds.
    [[nodiscard]] KHIVE_DECL std::size_t armed() const;

    /// \name Virtual time
    /// @{
    /// From now on time stands still at `start` and moves only by `advance_to`.
    KHIVE_COLD_DECL void use_virtual_time(TimePoint start);
    /// When the next node is due.
    template <class Time = TimePoint>
    [[nodiscard]] std::optional<Time> next_due() const
    {
        const Time due = first_due();
        if (due == no_deadline) return std::nullopt;
        return due;
    }
    /// The same; `no_deadline` if there is none.
    [[nodiscard]] KHIVE_DECL TimePoint first_due() const;
    /// Moves virtual time forward and calls whatever is due by then, in order.
    KHIVE_COLD_DECL void advance_to(TimePoint now);
    /// @}

private:
    friend TimeService& time_service(const asio::any_io_executor& executor);

    KHIVE_DECL void attach(const asio::any_io_executor& executor);
    KHIVE_DECL void arm_earlier(TimerNode& node, TimePoint due);
    KHIVE_COLD_DECL void shutdown() noexcept override;
    KHIVE_COLD_DECL void notify_fork(asio::execution_context::fork_event event) override;
    KHIVE_DECL void insert(TimerNode& node, TimePoint due);
    KHIVE_DECL void erase(TimerNode& node) noexcept;
    KHIVE_DECL void run_due(TimePoint now);
    KHIVE_DECL void schedule_wakeup();
    KHIVE_DECL void run() override;
    void abandon() noexcept override {}
    friend class detail::Alarm;
    KHIVE_DECL void on_alarm();
    KHIVE_DECL void on_time();

    mutable std::recursive_mutex mutex_;
    Tree<TimerNode> nodes_;
    Owned<detail::Alarm> alarm_;
    asio::any_io_executor executor_; ///< the first that was shown to it, where there is no home
    Home* home_ = nullptr;
    TimePoint wakeup_ = no_deadline; ///< what the alarm is set to, or is about to be
    bool wakeup_posted_ = false;
    std::atomic<TimePoint::rep> virtual_now_{}; ///< a number by itself; virtual time belongs to one thread
    std::atomic<bool> virtual_{false};
    std::atomic<bool> attached_{false}; ///< set last; acquired by who then uses what was set before
    bool shut_down_ = false;
};

/// The time service of the executor's context, made on first use.
[[nodiscard]] KHIVE_DECL TimeService& time_service(const asio::any_io_executor& executor);

inline TimePoint TimeService::now() const noexcept
{
    if (virtual_.load(std::memory_order_relaxed))
        return TimePoint{Duration{virtual_now_.load(std::memory_order_relaxed)}};
    return Clock::now();
}

} // namespace khive::inline KHIVE_ABI::async

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/async/impl/time_service.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/time_service.hpp>
#include <khive/core/random.hpp>
#include <khive/testing/config.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

namespace khive::inline KHIVE_ABI::testing::detail {

/// Has operations pending that must be let go of when the execution context ends.
class Abandonable {
public:
    virtual void abandon() noexcept = 0;

protected:
    ~Abandonable() = default;
};

/// What is going to happen in a simulated network, by time. One node of the time service serves all of it.
///
/// Events run one at a time as handlers of the executor, so whatever is ready there runs in between and an exception
/// comes out where the context is run.
class EventQueue final : public async::TimerNode, public std::enable_shared_from_this<EventQueue> {
public:
    using Event = std::function<void()>;

    KHIVE_TESTING_DECL explicit EventQueue(asio::any_io_executor executor);
    KHIVE_TESTING_DECL ~EventQueue();

    [[nodiscard]] const asio::any_io_executor& executor() const noexcept { return executor_; }
    [[nodiscard]] TimePoint now() const noexcept { return time_.now(); }
    /// Runs `event` at `due`; events of one time in the order of the calls, unless shuffled.
    KHIVE_TESTING_DECL void at(TimePoint due, Event event);
    /// From now on events of one time run in an order that `seed` decides.
    void shuffle(std::uint64_t seed) { random_.emplace(seed); }
    /// Uniform in [0, 1): always 0 without a seed.
    [[nodiscard]] double uniform() noexcept { return random_ ? random_->uniform() : 0.0; }

    /// The context has ended: nothing may touch its executor or its time any more.
    [[nodiscard]] bool ended() const noexcept { return ended_; }
    /// Tells `thing` when the context ends.
    KHIVE_TESTING_DECL void watch(std::weak_ptr<Abandonable> thing);

private:
    /// When, a tie-break, and the number of the call.
    struct Key {
        TimePoint due;
        std::uint64_t tie;
        std::uint64_t number;
        friend auto operator<=>(const Key&, const Key&) = default;
    };

    KHIVE_TESTING_DECL TimePoint on_time(TimePoint now) noexcept override;
    KHIVE_TESTING_DECL void on_shutdown() noexcept override;
    void expect_next();
    void post_turn();
    void run_one();

    asio::any_io_executor executor_;
    async::TimeService& time_;
    std::map<Key, Event> events_;
    std::vector<std::weak_ptr<Abandonable>> watched_;
    std::optional<Random> random_;
    std::uint64_t made_ = 0;
    bool turn_posted_ = false;
    bool ended_ = false;
};

} // namespace khive::inline KHIVE_ABI::testing::detail

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/event_queue.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/policy/task.hpp>

#include <boost/system/result.hpp>

#include <deque>
#include <exception>
#include <functional>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <ranges>
#include <type_traits>
#include <utility>
#include <vector>

namespace khive::inline KHIVE_ABI {

/// What became of one item of a `map` that collects: `value()` gives it, or throws what was thrown.
template <class T>
using Settled = boost::system::result<T, std::exception_ptr>;

/// What a `map` does when an item fails.
struct MapMode {
    /// Cancels the others, waits for their end, and throws the first failure.
    struct FailFast {};
    /// Goes on; every item has its own `Settled` result.
    struct Collect {};
    static constexpr FailFast fail_fast{};
    static constexpr Collect collect{};
};

namespace detail {

/// How an item is handed over: a reference into a range that stays, or a value of its own.
template <class View>
using MapItem = std::conditional_t<std::ranges::forward_range<View> && std::is_lvalue_reference_v<std::ranges::range_reference_t<View>>,
                                   std::ranges::range_reference_t<View>, std::ranges::range_value_t<View>>;

template <class View, class F>
using Mapped = AwaitedValue<std::invoke_result_t<F&, MapItem<View>>>;

/// One `map`: a feeder pulls an item whenever there is a slot for it, and starts a task of its own for each.
template <class View, class F>
class MapState : public std::enable_shared_from_this<MapState<View, F>> {
public:
    using T = Mapped<View, F>;
    using Item = MapItem<View>;

    MapState(std::shared_ptr<WorkState> work, View view, F fn, bool fail_fast)
        : work_(std::move(work)), view_(std::move(view)), fn_(std::move(fn)), fail_fast_(fail_fast)
    {
    }

    void start(const asio::any_io_executor& executor)
    {
        auto feeder = std::make_shared<Feeder>(this->shared_from_this(), executor);
        executor_ = executor;
        auto feeding = feed(this->shared_from_this(), feeder.get());
        live_ = 1;
        if (work_->adopt_feeder(*feeder)) return feeder->start(std::move(feeding));
        failure_ = async::as_exception(Error{ErrorKind::closed});
        live_ = 0;
    }
    /// Completes when everything has ended.
    void join(async::Completion completion)
    {
        {
            const std::lock_guard lock(mutex_);
            if (live_ != 0) {
                joiner_ = std::move(completion);
                return;
            }
        }
        resumption_.post(std::move(completion), this->shared_from_this());
    }
    void cancel() noexcept { stop(async::as_exception(Error{ErrorKind::cancelled})); }

    /// \name Once everything has ended
    /// @{
    [[nodiscard]] const std::exception_ptr& failure() const noexcept { return failure_; }
    [[nodiscard]] std::deque<std::optional<Settled<T>>>& results() noexcept { return results_; }
    /// @}

private:
    using Slot = std::optional<Settled<T>>;

    /// `fn` with its item.
    struct Call {
        std::shared_ptr<MapState> map;
        Item item;
        auto operator()() { return std::invoke(map->fn_, std::forward<Item>(item)); }
    };

    class Feeder final : public WorkTask {
    public:
        Feeder(std::shared_ptr<MapState> map, const asio::any_io_executor& executor)
            : WorkTask(map->work_, executor, map.get()), map_(std::move(map))
        {
        }

    private:
        void ending(const std::exception_ptr& error) noexcept override
        {
            if (error) map_->stop(error);
        }
        void settled(std::exception_ptr) noexcept override { map_->one_ended(); }
        std::shared_ptr<MapState> map_;
    };

    class Child final : public WorkTask {
    public:
        Child(std::shared_ptr<MapState> map, Slot& slot)
            : WorkTask(map->work_, map->executor_, map.get()), map_(std::move(map)), slot_(slot)
        {
        }
        [[nodiscard]] std::optional<Stored<T>>* value() noexcept { return &value_; }

    private:
        void ending(const std::exception_ptr& error) noexcept override
        {
            if (error && map_->fail_fast_) map_->stop(error);
        }
        void settled(std::exception_ptr error) noexcept override
        {
            if (error)
                slot_.emplace(error);
            else if constexpr (std::is_void_v<T>)
                slot_.emplace();
            else
                slot_.emplace(std::move(*value_));
            map_->one_ended();
        }
        std::shared_ptr<MapState> map_;
        Slot& slot_; ///< in a deque that only grows
        std::optional<Stored<T>> value_;
    };

    static asio::awaitable<void> feed(std::shared_ptr<MapState> self, WorkTask* feeder)
    {
        const asio::any_io_executor executor = co_await asio::this_coro::executor;
        async::TimeService& time = async::time_service(executor);
        for (auto at = std::ranges::begin(self->view_); at != std::ranges::end(self->view_); ++at) {
            auto permit = self->work_->try_enter(1, time.now(), true);
            if (!permit) {
                const async::WaitRequest turn{.key = feeder};
                auto waited = co_await async::wait_in<WorkPermit>(self->work_, turn);
                if (!waited) waited.error().raise();
                permit.emplace(std::move(*waited));
            }
            if (!self->start_child(*at, std::move(permit))) co_return;
        }
    }

    template <class Reference>
    bool start_child(Reference&& item, std::optional<WorkPermit> permit)
    {
        if (is_stopped()) return false;
        // What may throw comes before the child counts as one.
        Call call{this->shared_from_this(), static_cast<Item>(std::forward<Reference>(item))};
        auto child = std::make_shared<Child>(this->shared_from_this(), results_.emplace_back());
        auto body = run_work<T>(work_, child.get(), async::WaitRequest{}, std::move(call), child->value());
        {
            std::unique_lock lock(mutex_);
            if (stopped_) {
                lock.unlock();
                results_.pop_back();
                return false;
            }
            ++live_;
        }
        KHIVE_YIELD_POINT();
        if (!work_->adopt_item(*child)) { // closed meanwhile: this item was never begun
            results_.pop_back();
            stop(async::as_exception(Error{ErrorKind::closed}));
            one_ended();
            return false;
        }
        KHIVE_YIELD_POINT();
        child->permit() = std::move(permit);
        child->start(std::move(body));
        KHIVE_YIELD_POINT();
        if (is_stopped()) child->cancel(); // stopped between the two: nobody else saw it
        return true;
    }

    [[nodiscard]] bool is_stopped() const
    {
        const std::lock_guard lock(mutex_);
        return stopped_;
    }

    void stop(std::exception_ptr why) noexcept
    {
        {
            const std::lock_guard lock(mutex_);
            if (std::exchange(stopped_, true)) return;
            failure_ = std::move(why);
        }
        KHIVE_YIELD_POINT();
        work_->cancel_family(this);
    }

    void one_ended() noexcept
    {
        async::Completion joiner;
        {
            const std::lock_guard lock(mutex_);
            if (--live_ == 0) joiner = std::move(joiner_);
        }
        KHIVE_YIELD_POINT();
        if (joiner) resumption_.post(std::move(joiner), this->shared_from_this());
    }

    std::shared_ptr<WorkState> work_;
    View view_;
    F fn_;
    bool fail_fast_;
    asio::any_io_executor executor_;
    std::deque<Slot> results_; ///< grown by the feeder, each element written by its child
    mutable std::mutex mutex_;
    std::size_t live_ = 0;
    bool stopped_ = false;
    std::exception_ptr failure_;
    async::Completion joiner_;
    async::Resumption resumption_;
};

/// Cancels a map whose caller is destroyed before it has ended.
template <class Map>
class MapScope {
public:
    explicit MapScope(std::shared_ptr<Map> map) noexcept : map_(std::move(map)) {}
    MapScope(const MapScope&) = delete;
    MapScope& operator=(const MapScope&) = delete;
    ~MapScope()
    {
        if (map_) map_->cancel();
    }
    void dismiss() noexcept { map_.reset(); }

private:
    std::shared_ptr<Map> map_;
};

template <class View, class F>
asio::awaitable<void> finish_map(std::shared_ptr<MapState<View, F>> map)
{
    const asio::any_io_executor executor = co_await asio::this_coro::executor;
    map->start(executor);
    MapScope scope(map);
    Joining joining(map);
    auto wait = async::suspend(joining);
    co_await std::move(wait);
    joining.check();
    scope.dismiss();
    if (map->failure()) std::rethrow_exception(map->failure());
}

template <class View, class F>
asio::awaitable<std::vector<Settled<Mapped<View, F>>>> map_collecting(std::shared_ptr<MapState<View, F>> map)
{
    co_await finish_map(map);
    std::vector<Settled<Mapped<View, F>>> all;
    all.reserve(map->results().size());
    for (auto& each : map->results()) all.push_back(std::move(*each));
    co_return all;
}

template <class View, class F>
    requires(!std::is_void_v<Mapped<View, F>>)
asio::awaitable<std::vector<Mapped<View, F>>> map_failing_fast(std::shared_ptr<MapState<View, F>> map)
{
    co_await finish_map(map);
    std::vector<Mapped<View, F>> all;
    all.reserve(map->results().size());
    for (auto& each : map->results()) all.push_back(std::move(**each));
    co_return all;
}

template <class View, class F>
    requires std::is_void_v<Mapped<View, F>>
asio::awaitable<void> map_failing_fast(std::shared_ptr<MapState<View, F>> map)
{
    return finish_map(std::move(map));
}

template <class R, class F>
auto make_map(std::shared_ptr<WorkState> work, R&& range, F fn, bool fail_fast)
{
    using View = std::views::all_t<R>;
    return std::make_shared<MapState<View, F>>(std::move(work), std::views::all(std::forward<R>(range)), std::move(fn), fail_fast);
}

} // namespace detail

/// Something that `map` can go through, with a function that makes an awaitable of each item.
template <class R, class F>
concept MapsOver = std::ranges::input_range<R> && std::ranges::viewable_range<R> &&
                   Awaitable<std::invoke_result_t<F&, detail::MapItem<std::views::all_t<R>>>>;

} // namespace khive::inline KHIVE_ABI

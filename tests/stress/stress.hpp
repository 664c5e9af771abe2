// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/sleep.hpp>
#include <khive/core/error.hpp>
#include <khive/core/time.hpp>
#include <khive/core/yield_point.hpp>

#include "support/catch.hpp"
#include "support/dice.hpp"

#include <boost/asio/awaitable.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/bind_executor.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#if !defined(KHIVE_YIELD_POINTS)
#error "stress tests are compiled with KHIVE_YIELD_POINTS, and so is what they link"
#endif

// Several threads, random calls, and at every yield point of khive a chance that another thread goes first. A case goes on for
// KHIVE_STRESS_SECONDS, 3 by default, and begins with KHIVE_STRESS_SEED if that is set.
namespace khive_tests {

using namespace khive;
using namespace std::chrono_literals;

/// The seed of a case. What a thread does depends on it; the order of the threads does not.
class Seed {
public:
    Seed() : value_(wanted()) { current().store(value_, std::memory_order_relaxed); }
    [[nodiscard]] unsigned value() const noexcept { return value_; }
    static std::atomic<unsigned>& current() noexcept
    {
        static std::atomic<unsigned> seed{1};
        return seed;
    }

private:
    static unsigned wanted()
    {
        const char* const text = std::getenv("KHIVE_STRESS_SEED");
        return text != nullptr ? static_cast<unsigned>(std::stoul(text)) : std::random_device{}();
    }
    unsigned value_;
};

/// Lets others run for so long.
inline void spin(Duration length)
{
    const TimePoint until = Clock::now() + length;
    do std::this_thread::yield();
    while (Clock::now() < until);
}

/// Nothing at most yield points, a turn of another thread at some, 20 microseconds of that at a few.
inline void at_yield_point() noexcept
{
    static std::atomic<std::uint64_t> threads{0};
    thread_local std::uint64_t state =
        Seed::current().load(std::memory_order_relaxed) + 0x9e3779b97f4a7c15u * threads.fetch_add(1, std::memory_order_relaxed);
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    if (state == 0) state = 1;
    const auto dice = (state >> 32) % 64;
    if (dice < 4) std::this_thread::yield();
    if (dice == 4) spin(20us);
}

/// Rounds of a case until its time is up; at least one.
class Rounds {
public:
    explicit Rounds(const char* what) : what_(what), began_(Clock::now()), until_(began_ + length())
    {
        std::cout << what_ << ": seed " << seed_.value() << std::endl; // here too, for whoever does not come to the end
        yield_hook.store(&at_yield_point, std::memory_order_relaxed);
    }
    Rounds(const Rounds&) = delete;
    Rounds& operator=(const Rounds&) = delete;
    ~Rounds()
    {
        yield_hook.store(nullptr, std::memory_order_relaxed);
        std::cout << what_ << ": seed " << seed_.value() << ", " << rounds_ << " rounds, " << calls_ << " calls, " << cancelled_
                  << " cancelled in " << std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began_).count()
                  << " ms\n";
    }

    [[nodiscard]] bool more()
    {
        const bool again = rounds_ == 0 || Clock::now() < until_;
        rounds_ += again ? 1 : 0;
        return again;
    }
    void count(std::size_t calls, std::size_t cancelled) noexcept
    {
        calls_ += calls;
        cancelled_ += cancelled;
    }
    [[nodiscard]] unsigned seed() const noexcept { return seed_.value(); }
    /// Another one for each round and whoever rolls them.
    [[nodiscard]] Dice dice(unsigned who = 0) const { return Dice(seed_.value() + 7919 * static_cast<unsigned>(rounds_) + who); }

private:
    static Duration length()
    {
        const char* const text = std::getenv("KHIVE_STRESS_SECONDS");
        return std::chrono::milliseconds{text != nullptr ? 1000 * std::stoll(text) : 3000};
    }

    const char* what_;
    Seed seed_;
    TimePoint began_;
    TimePoint until_;
    std::size_t rounds_ = 0;
    std::size_t calls_ = 0;
    std::size_t cancelled_ = 0;
};

/// Waits until it is so; false after half a minute.
template <class Condition>
bool eventually(Condition condition)
{
    const TimePoint until = Clock::now() + 30s;
    while (!condition()) {
        if (Clock::now() >= until) return condition();
        std::this_thread::yield();
    }
    return true;
}

/// An `io_context` of four threads, and a second one of one thread.
class Threads {
public:
    Threads()
    {
        for (int i = 0; i < 4; ++i) threads_.emplace_back([this] { main_.run(); });
        threads_.emplace_back([this] { side_.run(); });
    }
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;
    ~Threads()
    {
        if (!joined_) stop();
    }

    [[nodiscard]] asio::io_context& main() noexcept { return main_; }
    [[nodiscard]] asio::io_context& side() noexcept { return side_; }
    /// A strand of its own over either context.
    [[nodiscard]] asio::any_io_executor strand(Dice& dice)
    {
        if (one_context_ || dice.chance(0.7)) return asio::make_strand(main_);
        return asio::make_strand(side_);
    }
    /// From now on every strand is over the first one: for those who destroy a context with what runs on it, which must not be
    /// waited for by another one.
    void use_one_context() noexcept { one_context_ = true; }
    /// Ends the threads, whatever is left to do; the contexts are destroyed with it then.
    void stop()
    {
        joined_ = true;
        main_.stop();
        side_.stop();
        for (auto& thread : threads_) thread.join();
    }

private:
    asio::io_context main_{4};
    asio::io_context side_{1};
    asio::executor_work_guard<asio::io_context::executor_type> main_work_{main_.get_executor()};
    asio::executor_work_guard<asio::io_context::executor_type> side_work_{side_.get_executor()};
    std::vector<std::thread> threads_;
    bool joined_ = false;
    bool one_context_ = false;
};

/// Coroutines on strands of their own, each of which ends once and may be cancelled at any time.
class Callers {
public:
    explicit Callers(Threads& threads) : threads_(threads) {}
    Callers(const Callers&) = delete;
    Callers& operator=(const Callers&) = delete;

    void start(Dice& dice, asio::awaitable<void> body)
    {
        auto& caller = callers_.emplace_back(std::make_shared<Caller>(threads_.strand(dice)));
        // The executor of the end makes Asio queue a cancellation behind the start.
        asio::co_spawn(caller->strand, std::move(body),
                       asio::bind_cancellation_slot(caller->signal.slot(),
                                                    asio::bind_executor(caller->strand, [caller](std::exception_ptr error) {
                                                        caller->thrown.store(static_cast<bool>(error));
                                                        caller->ends.fetch_add(1);
                                                    })));
    }
    /// One of them, if there is one; it may have ended.
    void cancel_one(Dice& dice)
    {
        if (callers_.empty()) return;
        auto at = callers_.begin();
        std::advance(at, dice.whole(0, static_cast<int>(callers_.size()) - 1));
        ++cancelled_;
        asio::post((*at)->strand, [caller = *at] {
            if (caller->ends.load() == 0) caller->signal.emit(asio::cancellation_type::terminal);
        });
    }
    void cancel_all()
    {
        for (const auto& caller : callers_)
            asio::post(caller->strand, [caller] {
                if (caller->ends.load() == 0) caller->signal.emit(asio::cancellation_type::terminal);
            });
    }
    [[nodiscard]] std::size_t size() const noexcept { return callers_.size(); }
    [[nodiscard]] std::size_t cancelled() const noexcept { return cancelled_; }
    /// Waits until each has ended; how many have not ended exactly once.
    [[nodiscard]] std::size_t missing() const
    {
        (void)eventually([&] { return count([](int ends) { return ends == 0; }) == 0; });
        return count([](int ends) { return ends != 1; });
    }
    [[nodiscard]] std::size_t running() const { return count([](int ends) { return ends == 0; }); }
    /// How many ended with an exception.
    [[nodiscard]] std::size_t thrown() const
    {
        std::size_t all = 0;
        for (const auto& caller : callers_) all += caller->thrown.load() ? 1 : 0;
        return all;
    }

private:
    struct Caller {
        explicit Caller(asio::any_io_executor executor) : strand(std::move(executor)) {}
        asio::any_io_executor strand;
        asio::cancellation_signal signal; ///< on the strand
        std::atomic<int> ends{0};
        std::atomic<bool> thrown{false};
    };

    template <class Is>
    [[nodiscard]] std::size_t count(Is is) const
    {
        std::size_t all = 0;
        for (const auto& caller : callers_) all += is(caller->ends.load()) ? 1 : 0;
        return all;
    }

    Threads& threads_;
    std::vector<std::shared_ptr<Caller>> callers_;
    std::size_t cancelled_ = 0;
};

/// How many are inside at once, and the most there ever were.
class Gauge {
public:
    class Inside {
    public:
        explicit Inside(Gauge& gauge) noexcept : gauge_(gauge) { gauge_.enter(); }
        Inside(const Inside&) = delete;
        Inside& operator=(const Inside&) = delete;
        ~Inside() { gauge_.inside_.fetch_sub(1); }

    private:
        Gauge& gauge_;
    };

    [[nodiscard]] int peak() const noexcept { return peak_.load(); }
    [[nodiscard]] int inside() const noexcept { return inside_.load(); }
    [[nodiscard]] int entered() const noexcept { return entered_.load(); }

private:
    void enter() noexcept
    {
        const int now = inside_.fetch_add(1) + 1;
        entered_.fetch_add(1);
        int peak = peak_.load();
        while (peak < now && !peak_.compare_exchange_weak(peak, now)) {
        }
    }
    std::atomic<int> inside_{0};
    std::atomic<int> peak_{0};
    std::atomic<int> entered_{0};
};

/// Takes that much time; throws when it is cancelled.
inline asio::awaitable<void> nap(Duration length)
{
    auto sleep = async::sleep_until(Clock::now() + length);
    if (!co_await std::move(sleep)) Error{ErrorKind::cancelled}.raise();
}

} // namespace khive_tests

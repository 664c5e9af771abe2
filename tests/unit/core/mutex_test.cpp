// SPDX-License-Identifier: BSL-1.0
#include <khive/core/mutex.hpp>

#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <thread>

namespace khive_tests::mutex_test {

using khive::Mutex;

namespace {

template <class Act>
void run_on_threads(Act act)
{
    std::atomic<unsigned> ready{0};
    std::array<std::jthread, 4> threads;
    for (auto& thread : threads)
        thread = std::jthread([&] {
            ++ready;
            while (ready < threads.size()) std::this_thread::yield();
            act();
        });
}

/// Goes away with the last who has used it.
struct Shared {
    Mutex mutex;
    int users = 4;
    static std::atomic<int> alive;
    Shared() { ++alive; }
    ~Shared() { --alive; }
};
std::atomic<int> Shared::alive{0};

void let_go(Shared* shared)
{
    std::unique_lock lock(shared->mutex);
    const bool last = --shared->users == 0;
    lock.unlock();
    if (last) delete shared;
}

} // namespace

TEST_CASE("Mutex: one thread at a time is inside, and everyone gets in", "[core][mutex]")
{
    Mutex mutex;
    int inside = 0;
    int most = 0;
    int entered = 0;
    run_on_threads([&] {
        for (int i = 0; i < 5'000; ++i) {
            const std::lock_guard lock(mutex);
            ++entered;
            most = std::max(most, ++inside);
            if (i % 16 == 0) std::this_thread::yield(); // so that others have to wait
            --inside;
        }
    });
    CHECK(entered == 20'000);
    CHECK(most == 1);
}

TEST_CASE("Mutex: who has it last may destroy it", "[core][mutex]")
{
    for (int round = 0; round < 300; ++round) {
        auto* const shared = new Shared; // NOLINT: that is what is tested
        run_on_threads([shared] { let_go(shared); });
    }
    CHECK(Shared::alive == 0);
}

} // namespace khive_tests::mutex_test

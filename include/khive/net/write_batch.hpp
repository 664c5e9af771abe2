// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/post.hpp>
#include <khive/async/time_service.hpp>
#include <khive/core/cache_line.hpp>
#include <khive/core/time.hpp>
#include <khive/net/wire_listener.hpp>

#include <chrono>
#include <cstddef>

namespace khive::inline KHIVE_ABI::net {

/// Has requests that are made within moments of each other written one right after another, not each between the answers before and
/// after it: what the processor needs to send is in its cache then, and with 64 requests under way at once a request takes 5 % less
/// of its time.
///
/// A request waits until everything that had come at the same time as its caller's answer has been dealt with, at most until `most`
/// are together or one is made `longest` after the first. It does so only where that is soon: where the requests before came
/// thick, and others came with those that waited before.
///
/// On cache lines of its own: every request writes into it, and its neighbour in memory may be another thread's.
///
/// - Thread safety: none. It refuses wherever more than the thread of its context may make requests.
/// - Lifetime: that of its context, whose end abandons those that wait.
/// - Source: the same is known as flush consolidation (Netty) and as writing before the event loop sleeps (Redis).
class alignas(cache_line) WriteBatch final : private async::PostedTask {
public:
    WriteBatch() = default;
    ~WriteBatch() = default;

    /// A request is made now, by somebody who holds no connection's lock: is it to `join`? Others write first if it is time.
    [[nodiscard]] KHIVE_DECL bool expects(TimePoint now, async::Home* home);
    /// `listener` is told once when it is its turn, or abandoned, never from inside this call.
    KHIVE_DECL void join(ListenerPtr listener, TimePoint now, async::TimeService& time) noexcept;

private:
    static constexpr std::size_t most = 8; // more gain nothing

    /// All who wait, who wait no more.
    KHIVE_DECL std::size_t take(ListenerPtr (&into)[most]) noexcept;
    KHIVE_DECL void give_turns(TimePoint now);
    KHIVE_DECL void run() override;
    KHIVE_DECL void abandon() noexcept override;

    static constexpr Duration longest = std::chrono::microseconds{100};
    static constexpr Duration thick = std::chrono::microseconds{50}; ///< from one to the next
    static constexpr unsigned enough = 4;                            ///< of those in a row
    static constexpr unsigned longest_pause = 128;

    ListenerPtr waiting_[most];
    std::size_t size_ = 0;
    std::size_t joined_ = 0; ///< since it was posted
    async::TimeService* time_ = nullptr;
    TimePoint since_{};
    TimePoint last_{};
    unsigned in_a_row_ = 0;
    unsigned pause_ = 0; ///< so many write at once, for nobody came with the last that waited
    unsigned next_pause_ = 1;
    bool posted_ = false;
};

} // namespace khive::inline KHIVE_ABI::net

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/net/impl/write_batch.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <cstddef>
#include <limits>
#include <string>

namespace khive::inline KHIVE_ABI::net {

/// How many connections of one origin are in which state, and how many callers wait for one.
struct PoolCounts {
    std::size_t leased = 0;
    std::size_t idle = 0;
    std::size_t connecting = 0;
    std::size_t waiting = 0;

    [[nodiscard]] std::size_t open() const noexcept { return leased + idle + connecting; }
    /// Callers that no dial is under way for.
    [[nodiscard]] std::size_t lacking() const noexcept { return waiting > connecting ? waiting - connecting : 0; }
};

/// What to do for a caller that waits.
enum class DialPlan {
    wait,     ///< enough connections are on their way, or a cap is reached
    dial,     ///< open one
    make_room ///< close an idle connection of another origin, then open one
};

/// The arithmetic of a pool, for all origins: who may dial, and does it add up.
///
/// Invariant after every verb: `open() == leased + idle + connecting <= max_open`, and the same per origin.
class PoolMachine {
public:
    /// `max_per_origin` zero means no limit within `max_open`.
    PoolMachine(std::size_t max_open, std::size_t max_per_origin) noexcept
        : max_open_(max_open),
          max_per_origin_(max_per_origin == 0 ? std::numeric_limits<std::size_t>::max() : max_per_origin)
    {
    }

    [[nodiscard]] DialPlan plan(const PoolCounts& origin) const noexcept
    {
        if (origin.lacking() == 0 || origin.open() >= max_per_origin_) return DialPlan::wait;
        if (total_.open() < max_open_) return DialPlan::dial;
        return total_.idle > origin.idle ? DialPlan::make_room : DialPlan::wait;
    }

    /// Would a caller that joins now have to wait for somebody to give a connection back: with no dial under way that
    /// nobody else waits for, and none of its own?
    [[nodiscard]] bool newcomer_waits(PoolCounts origin) const noexcept
    {
        ++origin.waiting;
        return origin.lacking() != 0 && plan(origin) == DialPlan::wait;
    }
    /// Would one that joins now have one dialled, with nobody else's connection closed for it?
    [[nodiscard]] bool newcomer_dials(PoolCounts origin) const noexcept
    {
        ++origin.waiting;
        return plan(origin) == DialPlan::dial;
    }
    /// Callers of all origins that no dial is under way for.
    [[nodiscard]] std::size_t lacking() const noexcept { return lacking_; }
    /// Is there room for one more connection of some origin, free or to be made?
    [[nodiscard]] bool has_room() const noexcept { return total_.open() < max_open_ || total_.idle != 0; }

    void dialling(PoolCounts& origin) noexcept { add(origin, &PoolCounts::connecting); }
    void dial_failed(PoolCounts& origin) noexcept { remove(origin, &PoolCounts::connecting); }
    void dialled(PoolCounts& origin) noexcept { move(origin, &PoolCounts::connecting, &PoolCounts::idle); }
    void leased(PoolCounts& origin) noexcept { swap(origin, &PoolCounts::idle, &PoolCounts::leased); }
    void returned(PoolCounts& origin) noexcept { swap(origin, &PoolCounts::leased, &PoolCounts::idle); }
    void lease_closed(PoolCounts& origin) noexcept { remove(origin, &PoolCounts::leased); }
    void idle_closed(PoolCounts& origin) noexcept { remove(origin, &PoolCounts::idle); }
    void joined(PoolCounts& origin) noexcept { add(origin, &PoolCounts::waiting); }
    void left(PoolCounts& origin) noexcept { remove(origin, &PoolCounts::waiting); }

    [[nodiscard]] const PoolCounts& total() const noexcept { return total_; }
    /// `leased 1, idle 2, connecting 0, waiting 0 of 100`
    [[nodiscard]] std::string describe() const
    {
        return "leased " + std::to_string(total_.leased) + ", idle " + std::to_string(total_.idle) + ", connecting " +
               std::to_string(total_.connecting) + ", waiting " + std::to_string(total_.waiting) + " of " +
               std::to_string(max_open_);
    }

private:
    using Member = std::size_t PoolCounts::*;
    void add(PoolCounts& origin, Member state) noexcept
    {
        lacking_ -= origin.lacking();
        ++(origin.*state);
        ++(total_.*state);
        lacking_ += origin.lacking();
    }
    void remove(PoolCounts& origin, Member state) noexcept
    {
        lacking_ -= origin.lacking();
        --(origin.*state);
        --(total_.*state);
        lacking_ += origin.lacking();
    }
    void move(PoolCounts& origin, Member from, Member to) noexcept
    {
        remove(origin, from);
        add(origin, to);
    }

    /// Between states that say nothing about who lacks a dial: on the way of every request.
    void swap(PoolCounts& origin, Member from, Member to) noexcept
    {
        for (PoolCounts* const counts : {&origin, &total_}) {
            --(counts->*from);
            ++(counts->*to);
        }
    }

    std::size_t max_open_;
    std::size_t max_per_origin_;
    PoolCounts total_;
    std::size_t lacking_ = 0; ///< the sum over origins
};

} // namespace khive::inline KHIVE_ABI::net

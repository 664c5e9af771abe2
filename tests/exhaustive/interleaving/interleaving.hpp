// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/tally.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

// Every order in which the steps of a few threads can come, for models of khive's lock-free parts.
//
// A step is one atomic access, or one access under a lock, and what is computed from it without touching shared memory. Orders
// are sequentially consistent: that is what the code asks for where two variables matter (the default order of `std::atomic`);
// where it asks for less, one variable decides alone, or a lock orders the rest.
namespace khive_tests {

enum class Step {
    ran,     ///< the thread has taken its next step
    blocked, ///< it waits for another one
    done,    ///< it has ended
};

struct Explored {
    std::uint64_t interleavings = 0; ///< from the beginning to an end or a fault
    std::size_t states = 0;
    std::string fault; ///< the first that was found, with the threads in the order of their steps
};

/// A model has a `State` with `<`, `threads`, `step(state, thread)`, `check(state)` for every state and `check_end(state)` for when
/// all have ended; both give what is wrong, or nothing. No thread may go round for ever.
template <class Model>
class Explorer {
public:
    using State = typename Model::State;

    explicit Explorer(const Model& model) : model_(model) {}

    Explored run()
    {
        found_.interleavings = orders_from(State{});
        found_.states = seen_.size();
        return found_;
    }

private:
    std::uint64_t orders_from(const State& state)
    {
        if (const auto at = seen_.find(state); at != seen_.end()) return at->second;
        std::uint64_t orders = 0;
        if (note(model_.check(state))) {
            orders = 1;
        } else {
            bool any = false;
            bool all_done = true;
            for (unsigned thread = 0; thread < Model::threads; ++thread) {
                State next = state;
                const Step step = model_.step(next, thread);
                all_done = all_done && step == Step::done;
                if (step != Step::ran) continue;
                any = true;
                path_.push_back(static_cast<char>('0' + thread));
                orders += orders_from(next);
                path_.pop_back();
            }
            if (!any) {
                orders = 1;
                note(all_done ? model_.check_end(state) : "all that have not ended wait");
            }
        }
        seen_.emplace(state, orders);
        return orders;
    }
    bool note(const std::string& fault)
    {
        if (fault.empty()) return false;
        if (found_.fault.empty()) found_.fault = fault + " (" + path_ + ")";
        return true;
    }

    const Model& model_;
    std::map<State, std::uint64_t> seen_;
    std::string path_;
    Explored found_;
};

inline Tally interleavings("interleavings of models of lock-free parts");

/// Goes through all orders of a model that is right.
template <class Model>
Explored explore(const Model& model)
{
    const Explored explored = Explorer<Model>(model).run();
    interleavings.add(explored.interleavings);
    return explored;
}

/// A lock of a model.
class ModelLock {
public:
    /// False if another thread has it.
    bool lock() noexcept
    {
        if (held_) return false;
        return held_ = true;
    }
    void unlock() noexcept { held_ = false; }
    friend auto operator<=>(const ModelLock&, const ModelLock&) = default;

private:
    bool held_ = false;
};

} // namespace khive_tests

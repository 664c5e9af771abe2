// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/detail/simulated_link.hpp>
#include <khive/testing/simulated_server.hpp>

namespace khive::inline KHIVE_ABI::testing {

KHIVE_TESTING_DECL SimulatedPeer::SimulatedPeer(const std::shared_ptr<detail::SimulatedLink>& link)
    : queue_(link->queue()), link_(link), id_(link->id()), endpoint_(link->endpoint())
{}

KHIVE_TESTING_DECL TimePoint SimulatedPeer::now() const noexcept
{
    return queue_->now();
}

KHIVE_TESTING_DECL bool SimulatedPeer::is_open() const noexcept
{
    const auto link = link_.lock();
    return link && link->is_open();
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::act(PeerAction action)
{
    if (const auto link = link_.lock()) link->act(std::move(action));
    return *this;
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::send(std::string bytes)
{
    return act({PeerAction::Kind::send, std::move(bytes), {}});
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::pause(Duration duration)
{
    return act({PeerAction::Kind::pause, {}, duration});
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::end()
{
    return act({PeerAction::Kind::end, {}, {}});
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::close()
{
    return act({PeerAction::Kind::close, {}, {}});
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::reset()
{
    return act({PeerAction::Kind::reset, {}, {}});
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::perform(const std::vector<PeerAction>& actions)
{
    for (const auto& action : actions) act(action);
    return *this;
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::stop_reading()
{
    if (const auto link = link_.lock()) link->set_reading(false);
    return *this;
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::resume_reading()
{
    if (const auto link = link_.lock()) link->set_reading(true);
    return *this;
}

KHIVE_TESTING_DECL void SimulatedPeer::after(Duration duration, std::function<void(SimulatedPeer)> then) const
{
    queue_->at(saturating_add(now(), duration), [peer = *this, then = std::move(then)] { then(peer); });
}

} // namespace khive::inline KHIVE_ABI::testing

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/detail/simulated_link.hpp>
#include <khive/testing/simulated_server.hpp>

namespace khive::inline KHIVE_ABI::testing {

KHIVE_TESTING_DECL std::uint64_t SimulatedPeer::id() const noexcept
{
    return link_->id();
}

KHIVE_TESTING_DECL const net::Endpoint& SimulatedPeer::endpoint() const noexcept
{
    return link_->endpoint();
}

KHIVE_TESTING_DECL TimePoint SimulatedPeer::now() const noexcept
{
    return link_->now();
}

KHIVE_TESTING_DECL bool SimulatedPeer::is_open() const noexcept
{
    return link_->is_open();
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::send(std::string bytes)
{
    link_->act({PeerAction::Kind::send, std::move(bytes), {}});
    return *this;
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::pause(Duration duration)
{
    link_->act({PeerAction::Kind::pause, {}, duration});
    return *this;
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::end()
{
    link_->act({PeerAction::Kind::end, {}, {}});
    return *this;
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::close()
{
    link_->act({PeerAction::Kind::close, {}, {}});
    return *this;
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::reset()
{
    link_->act({PeerAction::Kind::reset, {}, {}});
    return *this;
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::perform(const std::vector<PeerAction>& actions)
{
    for (const auto& action : actions) link_->act(action);
    return *this;
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::stop_reading()
{
    link_->set_reading(false);
    return *this;
}

KHIVE_TESTING_DECL SimulatedPeer& SimulatedPeer::resume_reading()
{
    link_->set_reading(true);
    return *this;
}

KHIVE_TESTING_DECL void SimulatedPeer::after(Duration duration, std::function<void(SimulatedPeer)> then) const
{
    link_->queue().at(saturating_add(now(), duration), [peer = *this, then = std::move(then)] { then(peer); });
}

} // namespace khive::inline KHIVE_ABI::testing

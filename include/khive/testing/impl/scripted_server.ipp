// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/scripted_server.hpp>

#include <algorithm>

namespace khive::inline KHIVE_ABI::testing {

KHIVE_TESTING_DECL ScriptedServer& ScriptedServer::greet_with(Reply greeting)
{
    greeting_ = std::move(greeting);
    return *this;
}

KHIVE_TESTING_DECL ScriptedServer& ScriptedServer::do_to_all(const Reply& what)
{
    for (auto& [id, peer] : peers_) peer.perform(what.actions());
    return *this;
}

KHIVE_TESTING_DECL std::size_t ScriptedServer::open_connections() const
{
    const auto open = std::count_if(peers_.begin(), peers_.end(), [](const auto& entry) { return entry.second.is_open(); });
    return static_cast<std::size_t>(open);
}

KHIVE_TESTING_DECL void ScriptedServer::on_connection(SimulatedPeer peer)
{
    ++accepted_;
    peers_.emplace(peer.id(), peer);
    if (greeting_) peer.perform(greeting_->actions());
}

KHIVE_TESTING_DECL void ScriptedServer::on_bytes(SimulatedPeer peer, std::string_view bytes)
{
    RequestReader& reader = readers_[peer.id()];
    reader.feed(bytes);
    for (ReceivedRequest request; reader.next(request);) answer(peer, std::move(request));
}

KHIVE_TESTING_DECL void ScriptedServer::answer(SimulatedPeer& peer, ReceivedRequest request)
{
    request.connection = peer.id();
    request.number = requests_.size() + 1;
    request.time = peer.now();
    requests_.push_back(request);
    const Reply reply = script_.reply_to(request);
    peer.perform(reply.actions(request.method, request.close_asked()));
}

KHIVE_TESTING_DECL void ScriptedServer::on_end(SimulatedPeer peer)
{
    readers_.erase(peer.id());
    peers_.erase(peer.id());
}

} // namespace khive::inline KHIVE_ABI::testing

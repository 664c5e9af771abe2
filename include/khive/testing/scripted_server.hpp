// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/script.hpp>
#include <khive/testing/simulated_server.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace khive::inline KHIVE_ABI::testing {

/// An HTTP server of a simulated network: answers each complete request from its script and remembers them all.
///
/// ```cpp
/// auto server = std::make_shared<ScriptedServer>(too_many_requests(90s), reset(), ok("there"));
/// server->otherwise([](const ReceivedRequest& request) { return ok(request.target); });
/// ...
/// CHECK(server->requests().at(0).headers.get("accept") == "application/json");
/// ```
///
/// - Errors: a request beyond the end of the script throws `std::logic_error` where the context is run.
/// - Thread safety: none; it lives in the one thread of its network.
class ScriptedServer final : public SimulatedServer {
public:
    /// Gives these replies, one for each request; without any, `ok()` to all.
    template <std::same_as<Reply>... Replies>
    explicit ScriptedServer(Replies... replies);
    /// Answers whatever `handler` says.
    explicit ScriptedServer(Script::Handler handler) { script_.otherwise(std::move(handler)); }

    /// Appends to the script.
    ScriptedServer& reply(Reply reply) { return script_.add(std::move(reply)), *this; }
    /// Answers what the script does not.
    ScriptedServer& otherwise(Script::Handler handler) { return script_.otherwise(std::move(handler)), *this; }
    /// What it does on each new connection, before any request.
    KHIVE_TESTING_DECL ScriptedServer& greet_with(Reply greeting);
    /// Does something to every connection of this server that is open, unasked: closes it while it is idle, say.
    KHIVE_TESTING_DECL ScriptedServer& do_to_all(const Reply& what);

    /// Everything received so far, in the order in which it was complete.
    [[nodiscard]] const std::vector<ReceivedRequest>& requests() const noexcept { return requests_; }
    [[nodiscard]] std::size_t replies_left() const noexcept { return script_.left(); }
    /// How many connections have been accepted, and how many of them are open.
    [[nodiscard]] std::size_t connections() const noexcept { return accepted_; }
    [[nodiscard]] KHIVE_TESTING_DECL std::size_t open_connections() const;

    KHIVE_TESTING_DECL void on_connection(SimulatedPeer peer) override;
    KHIVE_TESTING_DECL void on_bytes(SimulatedPeer peer, std::string_view bytes) override;
    KHIVE_TESTING_DECL void on_end(SimulatedPeer peer) override;

private:
    KHIVE_TESTING_DECL void answer(SimulatedPeer& peer, ReceivedRequest request);

    Script script_;
    std::optional<Reply> greeting_;
    std::vector<ReceivedRequest> requests_;
    std::map<std::uint64_t, RequestReader> readers_;
    std::map<std::uint64_t, SimulatedPeer> peers_;
    std::size_t accepted_ = 0;
};

template <std::same_as<Reply>... Replies>
ScriptedServer::ScriptedServer(Replies... replies)
{
    (script_.add(std::move(replies)), ...);
}

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/scripted_server.ipp>
#endif

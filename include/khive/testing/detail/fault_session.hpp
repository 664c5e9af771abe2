// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>
#include <khive/testing/config.hpp>
#include <khive/testing/received_request.hpp>
#include <khive/testing/reply.hpp>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace khive::inline KHIVE_ABI::testing::detail {

/// How a TLS handshake went.
struct HandshakeSeen {
    std::string server_name;
    bool resumed = false;
};

/// One connection of a fault server. All of it runs on the server's one thread.
class FaultSession {
public:
    /// `tls` is null for none.
    KHIVE_TESTING_DECL FaultSession(asio::ip::tcp::socket socket, asio::ssl::context* tls, bool close_notify,
                                    std::uint64_t id);

    /// Speaks TLS from here on; nothing if it failed.
    KHIVE_TESTING_DECL asio::awaitable<std::optional<HandshakeSeen>> handshake();
    /// Reads what there is; 0 when the stream has ended.
    KHIVE_TESTING_DECL asio::awaitable<std::size_t> read_some(std::span<char> into);
    /// Waits for something to read on the bare socket.
    KHIVE_TESTING_DECL asio::awaitable<void> wait_for_bytes();
    /// Reads from the bare socket until the stream has ended.
    KHIVE_TESTING_DECL asio::awaitable<void> ignore_bytes();
    /// Does one after the other; false when the connection has ended by it. `bare` leaves TLS out.
    KHIVE_TESTING_DECL asio::awaitable<bool> perform(std::vector<PeerAction> actions, bool bare);
    KHIVE_TESTING_DECL void reset() noexcept;

    [[nodiscard]] bool has_tls() const noexcept { return tls_.has_value(); }
    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }

    bool idle = false; ///< no request is under way

private:
    [[nodiscard]] bool encrypts(bool bare) const noexcept { return tls_ && !bare; }
    asio::awaitable<bool> write(const std::string* bytes, bool bare);
    asio::awaitable<void> say_goodbye();
    asio::awaitable<void> end(bool bare);

    asio::ip::tcp::socket socket_;
    std::optional<asio::ssl::stream<asio::ip::tcp::socket&>> tls_;
    std::uint64_t id_;
    bool close_notify_;
};

} // namespace khive::inline KHIVE_ABI::testing::detail

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/fault_session.ipp>
#endif

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
    FaultSession(asio::ip::tcp::socket socket, asio::ssl::context* tls, bool close_notify, std::uint64_t id);

    /// Speaks TLS from here on; nothing if it failed, or if there is no TLS.
    KHIVE_TESTING_DECL asio::awaitable<std::optional<HandshakeSeen>> handshake();
    /// Reads what there is; 0 when the stream has ended.
    KHIVE_TESTING_DECL asio::awaitable<std::size_t> read_some(std::span<char> into);
    /// The same on the bare socket, without TLS, looking only.
    KHIVE_TESTING_DECL asio::awaitable<void> wait_for_bytes();
    /// Does one after the other; false when the connection has ended by it. `bare` leaves TLS out.
    KHIVE_TESTING_DECL asio::awaitable<bool> perform(std::vector<PeerAction> actions, bool bare);
    KHIVE_TESTING_DECL void reset() noexcept;

    [[nodiscard]] bool has_tls() const noexcept { return tls_; }
    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    /// No request is under way.
    bool idle = false;

private:
    using Stream = asio::ssl::stream<asio::ip::tcp::socket>;

    [[nodiscard]] asio::ip::tcp::socket& socket() noexcept { return stream_.next_layer(); }
    asio::awaitable<bool> write(const std::string* bytes, bool bare);
    asio::awaitable<void> say_goodbye();
    asio::awaitable<void> close(bool bare);
    void shut_down_sending() noexcept;

    asio::ssl::context no_tls_;
    Stream stream_;
    std::uint64_t id_;
    bool tls_;
    bool close_notify_;
};

} // namespace khive::inline KHIVE_ABI::testing::detail

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/fault_session.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/detail/fault_session.hpp>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/socket_base.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include <openssl/ssl.h>

#include <array>
#include <chrono>
#include <utility>

namespace khive::inline KHIVE_ABI::testing::detail {

KHIVE_TESTING_DECL FaultSession::FaultSession(asio::ip::tcp::socket socket, asio::ssl::context* tls, bool close_notify,
                                              std::uint64_t id)
    : socket_(std::move(socket)), id_(id), close_notify_(close_notify)
{
    boost::system::error_code ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    if (tls != nullptr) tls_.emplace(socket_, *tls);
}

KHIVE_TESTING_DECL asio::awaitable<std::optional<HandshakeSeen>> FaultSession::handshake()
{
    boost::system::error_code error;
    co_await tls_->async_handshake(asio::ssl::stream_base::server, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return std::nullopt;
    SSL* ssl = tls_->native_handle();
    HandshakeSeen seen;
    if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) seen.server_name = name;
    seen.resumed = SSL_session_reused(ssl) == 1;
    co_return seen;
}

KHIVE_TESTING_DECL asio::awaitable<std::size_t> FaultSession::read_some(std::span<char> into)
{
    boost::system::error_code error;
    const auto buffer = asio::buffer(into.data(), into.size());
    std::size_t bytes = 0;
    if (tls_)
        bytes = co_await tls_->async_read_some(buffer, asio::redirect_error(asio::use_awaitable, error));
    else
        bytes = co_await socket_.async_read_some(buffer, asio::redirect_error(asio::use_awaitable, error));
    co_return error ? 0 : bytes;
}

KHIVE_TESTING_DECL asio::awaitable<void> FaultSession::wait_for_bytes()
{
    boost::system::error_code ignored;
    co_await socket_.async_wait(asio::socket_base::wait_read, asio::redirect_error(asio::use_awaitable, ignored));
}

KHIVE_TESTING_DECL asio::awaitable<void> FaultSession::ignore_bytes()
{
    std::array<char, 4096> ignored;
    boost::system::error_code error;
    while (!error) co_await socket_.async_read_some(asio::buffer(ignored), asio::redirect_error(asio::use_awaitable, error));
}

inline asio::awaitable<bool> FaultSession::write(const std::string* bytes, bool bare)
{
    boost::system::error_code error;
    const auto buffer = asio::buffer(*bytes);
    if (encrypts(bare))
        co_await asio::async_write(*tls_, buffer, asio::redirect_error(asio::use_awaitable, error));
    else
        co_await asio::async_write(socket_, buffer, asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
}

/// Sends close_notify. The peer's own, for which Asio waits, may never come.
inline asio::awaitable<void> FaultSession::say_goodbye()
{
    const std::chrono::milliseconds wait{idle ? 10 : 1000};
    if (idle) { // Asio would wait for the read of the next request, and only then read on its own account
        boost::system::error_code ignored;
        socket_.cancel(ignored);
        co_await asio::post(socket_.get_executor(), asio::use_awaitable);
    }
    asio::steady_timer patience(socket_.get_executor(), wait);
    patience.async_wait([this](boost::system::error_code cancelled) {
        boost::system::error_code ignored;
        if (!cancelled) socket_.cancel(ignored);
    });
    boost::system::error_code ignored;
    co_await tls_->async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
}

inline asio::awaitable<void> FaultSession::end(bool bare)
{
    if (encrypts(bare) && close_notify_) co_await say_goodbye();
    boost::system::error_code ignored;
    socket_.shutdown(asio::socket_base::shutdown_send, ignored);
}

KHIVE_TESTING_DECL void FaultSession::reset() noexcept
{
    boost::system::error_code ignored;
    socket_.set_option(asio::socket_base::linger(true, 0), ignored);
    socket_.close(ignored);
}

KHIVE_TESTING_DECL asio::awaitable<bool> FaultSession::perform(std::vector<PeerAction> actions, bool bare)
{
    asio::steady_timer timer(socket_.get_executor());
    boost::system::error_code ignored;
    for (const auto& action : actions) {
        switch (action.kind) {
        case PeerAction::Kind::send:
            if (!co_await write(&action.bytes, bare || action.bare)) co_return false;
            break;
        case PeerAction::Kind::pause:
            timer.expires_after(action.pause);
            co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
            break;
        case PeerAction::Kind::end: co_await end(bare); break;
        case PeerAction::Kind::close:
            co_await end(bare);
            socket_.close(ignored);
            co_return false;
        case PeerAction::Kind::reset: reset(); co_return false;
        }
    }
    co_return true;
}

} // namespace khive::inline KHIVE_ABI::testing::detail

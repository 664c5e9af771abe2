// SPDX-License-Identifier: BSL-1.0
#pragma once

// What both Beast clients of the race share: where to connect, and a connection with TLS sessions kept for reuse.

#include "runner.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <type_traits>

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;

using Plain = beast::tcp_stream;
using Tls = beast::ssl_stream<beast::tcp_stream>;
template <class Stream>
inline constexpr bool is_tls = std::is_same_v<Stream, Tls>;

struct Target {
    explicit Target(const race::Arguments& arguments)
        : host(arguments.host), endpoint(asio::ip::make_address(host), static_cast<std::uint16_t>(std::stoi(arguments.port)))
    {
        if (!arguments.tls) return;
        context.load_verify_file(arguments.ca_file);
        context.set_verify_mode(ssl::verify_peer);
        context.set_verify_callback(ssl::host_name_verification(host));
        SSL_CTX_set_session_cache_mode(context.native_handle(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(context.native_handle(), [](SSL*, SSL_SESSION* made) {
            SSL_SESSION_free(session);
            session = made;
            return 1;
        });
    }

    asio::io_context io{1};
    std::string host;
    asio::ip::tcp::endpoint endpoint;
    ssl::context context{ssl::context::tls_client};
    inline static SSL_SESSION* session = nullptr; ///< the last
};

template <class Stream>
struct Connection {
    explicit operator bool() const { return stream.has_value(); }
    void reset(Target& target)
    {
        buffer.clear();
        if constexpr (is_tls<Stream>) {
            stream.emplace(target.io, target.context);
            if (target.session) SSL_set_session(stream->native_handle(), target.session);
        } else {
            stream.emplace(target.io);
        }
    }
    void close()
    {
        if constexpr (is_tls<Stream>) // or OpenSSL does not use the session again
            if (stream) SSL_set_shutdown(stream->native_handle(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        stream.reset();
    }
    beast::tcp_stream& tcp() { return beast::get_lowest_layer(*stream); }

    std::optional<Stream> stream;
    beast::flat_buffer buffer;
};

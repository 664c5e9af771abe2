// SPDX-License-Identifier: BSL-1.0
//
// The floor of the race: request bytes made by hand once, epoll, a look for the end of the answer, nothing else. Over TLS an
// SSL on the socket.

#include "runner.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <vector>

namespace {

struct Connection {
    int fd = -1;
    SSL* ssl = nullptr;
    bool sent = false;
    std::string head; ///< only if the answer comes in pieces
    std::size_t missing = 0;
    bool right = true;
};

class Floor {
public:
    explicit Floor(race::Run& run) : run_(run), connections_(static_cast<std::size_t>(run.arguments.connections))
    {
        const auto& to = run.arguments;
        request_ = "GET " + to.path + " HTTP/1.1\r\nHost: " + to.host + ":" + to.port +
                   "\r\nUser-Agent: floor\r\nAccept: */*\r\n\r\n";
        if (to.path == "/echo")
            request_ = "POST /echo HTTP/1.1\r\nHost: " + to.host +
                       "\r\nUser-Agent: floor\r\nContent-Type: application/json\r\n"
                       "Content-Length: " +
                       std::to_string(to.body.size()) + "\r\n\r\n" + to.body;
        server_.sin_family = AF_INET;
        server_.sin_port = htons(static_cast<std::uint16_t>(std::stoi(to.port)));
        ::inet_pton(AF_INET, to.host.c_str(), &server_.sin_addr);
        if (to.tls) make_tls();
    }

    void run()
    {
        for (auto& connection : connections_)
            if (run_.take()) connect(connection);
        std::array<epoll_event, 512> events{};
        while (!run_.finished()) {
            const int ready = ::epoll_wait(poller_, events.data(), static_cast<int>(events.size()), -1);
            for (int i = 0; i < ready; ++i)
                on_event(*static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr));
        }
    }

private:
    void make_tls()
    {
        tls_ = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_verify(tls_, SSL_VERIFY_PEER, nullptr);
        SSL_CTX_set_read_ahead(tls_, 1);
        SSL_CTX_load_verify_locations(tls_, run_.arguments.ca_file.c_str(), nullptr);
        SSL_CTX_set_session_cache_mode(tls_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_set_app_data(tls_, this);
        SSL_CTX_sess_set_new_cb(tls_, [](SSL* ssl, SSL_SESSION* session) {
            auto& self = *static_cast<Floor*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
            SSL_SESSION_free(self.session_);
            self.session_ = session;
            return 1;
        });
    }

    void connect(Connection& connection)
    {
        connection.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        const int yes = 1;
        ::setsockopt(connection.fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        ::connect(connection.fd, reinterpret_cast<const sockaddr*>(&server_), sizeof server_);
        connection.sent = false;
        if (tls_) {
            connection.ssl = SSL_new(tls_);
            SSL_set_fd(connection.ssl, connection.fd);
            SSL_set1_host(connection.ssl, run_.arguments.host.c_str());
            if (session_) SSL_set_session(connection.ssl, session_);
            SSL_set_connect_state(connection.ssl);
        }
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLET;
        event.data.ptr = &connection;
        ::epoll_ctl(poller_, EPOLL_CTL_ADD, connection.fd, &event);
    }

    void on_event(Connection& connection)
    {
        if (connection.fd < 0) return;
        if (!connection.sent) {
            if (!send(connection)) return;
            if (!connection.ssl) return; // no answer can be there yet
        }
        while (connection.sent && connection.fd >= 0) {
            const long got = receive(connection);
            if (got < 0) return;
            if (got == 0) return end(connection, false);
            take(connection, {buffer_.data(), static_cast<std::size_t>(got)});
            if (!connection.ssl && static_cast<std::size_t>(got) < buffer_.size()) return; // edge-triggered: nothing is left
        }
    }

    bool send(Connection& connection)
    {
        long sent = 0;
        if (connection.ssl)
            sent = of_ssl(connection, SSL_write(connection.ssl, request_.data(), static_cast<int>(request_.size())));
        else
            sent = ::send(connection.fd, request_.data(), request_.size(), MSG_NOSIGNAL);
        connection.sent = sent > 0;
        if (sent == 0) end(connection, false);
        return connection.sent;
    }

    long receive(Connection& connection)
    {
        if (connection.ssl)
            return of_ssl(connection, SSL_read(connection.ssl, buffer_.data(), static_cast<int>(buffer_.size())));
        return ::recv(connection.fd, buffer_.data(), buffer_.size(), 0);
    }

    static long of_ssl(const Connection& connection, int result)
    {
        if (result > 0) return result;
        const int why = SSL_get_error(connection.ssl, result);
        if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) return -1;
        ERR_clear_error(); // or the next connection takes it for its own
        return 0;
    }

    /// The next bytes of an answer. The floor supposes that a head comes in one piece.
    void take(Connection& connection, std::string_view bytes)
    {
        const std::string_view right = run_.arguments.body;
        if (connection.missing == 0) {
            const auto head = static_cast<const char*>(::memmem(bytes.data(), bytes.size(), "\r\n\r\n", 4));
            const auto length = static_cast<const char*>(::memmem(bytes.data(), bytes.size(), "Content-Length: ", 16));
            connection.right = head && length && bytes.starts_with("HTTP/1.1 200 ");
            if (!connection.right) return end(connection, false);
            connection.missing = static_cast<std::size_t>(std::atol(length + 16));
            connection.right = connection.missing == right.size();
            bytes.remove_prefix(static_cast<std::size_t>(head + 4 - bytes.data()));
        }
        const std::size_t at = right.size() - connection.missing;
        const std::size_t compared =
            right.size() <= 1024 || ++pieces_ % 16 == 0 ? bytes.size() : std::min<std::size_t>(64, bytes.size());
        connection.right = connection.right && bytes.size() <= connection.missing &&
                           bytes.substr(0, compared) == right.substr(at, compared);
        connection.missing -= std::min(bytes.size(), connection.missing);
        if (connection.missing == 0) end(connection, connection.right);
    }

    void end(Connection& connection, bool right)
    {
        run_.answered(right);
        connection.missing = 0;
        if (right && run_.arguments.path != "/fresh") {
            if (run_.take()) send(connection);
            return;
        }
        if (connection.ssl) {
            SSL_set_shutdown(connection.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); // or the session is not used again
            SSL_free(connection.ssl);
        }
        ::close(connection.fd);
        connection.fd = -1;
        if (run_.take()) connect(connection);
    }

    race::Run& run_;
    std::vector<Connection> connections_;
    std::string request_;
    sockaddr_in server_{};
    const int poller_ = ::epoll_create1(0);
    SSL_CTX* tls_ = nullptr;
    SSL_SESSION* session_ = nullptr;
    std::string buffer_ = std::string(256 * 1024, '\0');
    unsigned pieces_ = 0;
};

} // namespace

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    race::Run run(argc, argv);
    Floor(run).run();
    run.report("floor");
}

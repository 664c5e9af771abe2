// SPDX-License-Identifier: BSL-1.0
//
// The server of the race: one thread, epoll, answers made once. `tiny_server FOLDER CERTIFICATE KEY` serves on 127.0.0.1 and
// prints three ports: plain; TLS 1.3 with tickets; TLS 1.3 without, so that every handshake is a full one.
//
// `/small` and `/big` are the files of FOLDER. `/fresh` is `/small` and the end of the connection. `/slow` is `/small` a second
// later. `/resumed` says how many handshakes were resumed, of how many. A POST is answered with its own body.

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

struct Connection {
    int fd = -1;
    SSL* ssl = nullptr;
    bool ready = true; ///< no handshake under way
    bool closing = false;
    bool blocked = false; ///< waits until it may send
    std::string in;
    std::string out;
    std::size_t sent = 0;

    ~Connection()
    {
        SSL_free(ssl);
        ::close(fd);
    }
    /// What `recv` and `send` give; 0 at the end.
    long receive(char* data, std::size_t size) const
    {
        if (!ssl) return ::recv(fd, data, size, 0);
        return of_ssl(SSL_read(ssl, data, static_cast<int>(size)));
    }
    long send(const char* data, std::size_t size) const
    {
        if (!ssl) return ::send(fd, data, size, MSG_NOSIGNAL);
        return of_ssl(SSL_write(ssl, data, static_cast<int>(size)));
    }
    long of_ssl(int result) const
    {
        if (result > 0) return result;
        const int why = SSL_get_error(ssl, result);
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) {
            ERR_clear_error(); // or the next connection takes it for its own
            return 0;
        }
        errno = EAGAIN;
        return -1;
    }
};

struct Late {
    Clock::time_point due;
    std::weak_ptr<Connection> connection;
};

std::string answer(const std::string& body, const char* more = "")
{
    return "HTTP/1.1 200 OK\r\nServer: tiny\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: application/json\r\n"
           "X-Request-Id: 0123456789abcdef\r\nCache-Control: no-store\r\nVary: Accept\r\n" +
           std::string(more) + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string file(const std::string& path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

class Server {
public:
    Server(const std::string& folder, const char* certificate, const char* key)
        : small_(answer(file(folder + "/small"))),
          big_(answer(file(folder + "/big"))),
          fresh_(answer(file(folder + "/small"), "Connection: close\r\n"))
    {
        listen(nullptr);
        listen(tls(certificate, key, 0));
        listen(tls(certificate, key, SSL_OP_NO_TICKET));
        std::printf("\n");
        std::fflush(stdout);
    }

    [[noreturn]] void run()
    {
        std::array<epoll_event, 512> events{};
        for (;;) {
            const int ready = ::epoll_wait(poller_, events.data(), static_cast<int>(events.size()), until_late());
            for (int i = 0; i < ready; ++i) on_event(events[static_cast<std::size_t>(i)].data.fd);
            send_late();
        }
    }

private:
    static SSL_CTX* tls(const char* certificate, const char* key, std::uint64_t options)
    {
        SSL_CTX* context = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
        SSL_CTX_set_options(context, options);
        if (options & SSL_OP_NO_TICKET) SSL_CTX_set_num_tickets(context, 0);
        SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
        SSL_CTX_set_read_ahead(context, 1);
        if (SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
            SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1)
            std::exit(1);
        return context;
    }

    /// On one port of 127.0.0.1 to 127.0.0.16: who opens a connection for each request soon finds most of its own ports taken by
    /// connections to one address that have ended a minute ago, so a run takes the address that has rested longest.
    void listen(SSL_CTX* context)
    {
        in_port_t port = 0;
        for (in_addr_t i = 0; i < 16; ++i) {
            const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
            sockaddr_in address{};
            address.sin_family = AF_INET;
            address.sin_addr.s_addr = htonl(INADDR_LOOPBACK + i);
            address.sin_port = port;
            socklen_t size = sizeof address;
            if (::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(fd, 4096) != 0) std::exit(1);
            ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
            port = address.sin_port;
            watch(EPOLL_CTL_ADD, fd, EPOLLIN);
            listeners_.push_back({fd, context});
        }
        std::printf("%d ", int{ntohs(port)});
    }

    void watch(int what, int fd, std::uint32_t events) const
    {
        epoll_event event{};
        event.events = events;
        event.data.fd = fd;
        ::epoll_ctl(poller_, what, fd, &event);
    }

    void on_event(int fd)
    {
        if (fd <= listeners_.back().first)
            for (const auto& [listener, context] : listeners_)
                if (fd == listener) return accept(listener, context);
        auto& slot = connections_[static_cast<std::size_t>(fd)];
        if (slot && !serve(*slot)) slot.reset();
    }

    void accept(int listener, SSL_CTX* context)
    {
        for (int fd; (fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
            const int yes = 1;
            ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
            const auto connection = std::make_shared<Connection>();
            connection->fd = fd;
            if (context) {
                connection->ssl = SSL_new(context);
                connection->ready = false;
                SSL_set_fd(connection->ssl, fd);
                SSL_set_accept_state(connection->ssl);
            }
            if (connections_.size() <= static_cast<std::size_t>(fd)) connections_.resize(static_cast<std::size_t>(fd) + 1);
            connections_[static_cast<std::size_t>(fd)] = connection;
            watch(EPOLL_CTL_ADD, fd, EPOLLIN);
        }
    }

    /// False when the connection is over.
    bool serve(Connection& connection)
    {
        if (!connection.ready) {
            if (const int result = SSL_do_handshake(connection.ssl); result != 1) return connection.of_ssl(result) != 0;
            connection.ready = true;
            ++handshakes_;
            if (SSL_session_reused(connection.ssl)) ++resumed_;
        }
        for (;;) {
            const long got = connection.receive(buffer_.data(), buffer_.size());
            if (got == 0 || (got < 0 && errno != EAGAIN)) return false;
            if (got < 0) break;
            connection.in.append(buffer_.data(), static_cast<std::size_t>(got));
            if (!connection.ssl) break; // level-triggered: what is left wakes us again
        }
        answer_all(connection);
        return flush(connection);
    }

    void answer_all(Connection& connection)
    {
        for (;;) {
            const auto end = connection.in.find("\r\n\r\n");
            if (end == std::string::npos) return;
            const std::string_view head(connection.in.data(), end + 4);
            const std::size_t length = head.starts_with("POST") ? body_length(head) : 0;
            if (connection.in.size() < end + 4 + length) return;
            answer_one(connection, head, length);
            if (connection.in.size() == end + 4 + length)
                connection.in.clear();
            else
                connection.in.erase(0, end + 4 + length);
        }
    }

    void answer_one(Connection& connection, std::string_view head, std::size_t length)
    {
        const std::string_view path = head.substr(head.find(' ') + 1);
        if (head.starts_with("POST"))
            connection.out += answer(connection.in.substr(head.size(), length));
        else if (path.starts_with("/small "))
            connection.out += small_;
        else if (path.starts_with("/big "))
            connection.out += big_;
        else if (path.starts_with("/resumed "))
            connection.out += answer(std::to_string(resumed_) + " " + std::to_string(handshakes_));
        else if (path.starts_with("/slow "))
            late_.push_back({Clock::now() + std::chrono::seconds(1), connections_[static_cast<std::size_t>(connection.fd)]});
        else {
            connection.out += fresh_;
            connection.closing = true;
        }
    }

    static std::size_t body_length(std::string_view head)
    {
        for (const std::string_view name : {"Content-Length: ", "content-length: "})
            if (const auto at = head.find(name); at != std::string_view::npos)
                return std::strtoul(head.data() + at + name.size(), nullptr, 10);
        return 0;
    }

    bool flush(Connection& connection)
    {
        while (connection.sent < connection.out.size()) {
            const long sent =
                connection.send(connection.out.data() + connection.sent, connection.out.size() - connection.sent);
            if (sent < 0 && errno == EAGAIN) {
                if (!connection.blocked) watch(EPOLL_CTL_MOD, connection.fd, EPOLLIN | EPOLLOUT);
                return connection.blocked = true;
            }
            if (sent <= 0) return false;
            connection.sent += static_cast<std::size_t>(sent);
        }
        if (connection.blocked) watch(EPOLL_CTL_MOD, connection.fd, EPOLLIN);
        connection.blocked = false;
        connection.out.clear();
        connection.sent = 0;
        if (connection.closing && connection.ssl) SSL_shutdown(connection.ssl);
        return !connection.closing;
    }

    int until_late() const
    {
        if (late_.empty()) return -1;
        const auto left = std::chrono::ceil<std::chrono::milliseconds>(late_.front().due - Clock::now()).count();
        return left > 0 ? static_cast<int>(left) : 0;
    }

    void send_late()
    {
        if (late_.empty()) return;
        for (const auto now = Clock::now(); !late_.empty() && late_.front().due <= now; late_.pop_front()) {
            const auto connection = late_.front().connection.lock();
            if (!connection) continue;
            connection->out += small_;
            if (!flush(*connection)) connections_[static_cast<std::size_t>(connection->fd)].reset();
        }
    }

    const std::string small_;
    const std::string big_;
    const std::string fresh_;
    const int poller_ = ::epoll_create1(0);
    std::vector<std::pair<int, SSL_CTX*>> listeners_;
    std::vector<std::shared_ptr<Connection>> connections_; ///< by descriptor
    std::deque<Late> late_;
    std::string buffer_ = std::string(64 * 1024, '\0');
    long handshakes_ = 0;
    long resumed_ = 0;
};

} // namespace

int main(int argc, char** argv)
{
    if (argc < 4) return 2;
    std::signal(SIGPIPE, SIG_IGN);
    Server(argv[1], argv[2], argv[3]).run();
}

// SPDX-License-Identifier: BSL-1.0
//
// The server of the race: one thread, epoll, answers made once. `tiny_server PORT` prints its port and serves on 127.0.0.1:
// `/small` 208 bytes of JSON, `/big` 64 KiB; a POST is answered with its own body.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>

namespace {

struct Client {
    std::string in;
    std::string out;
};

std::string answer(const std::string& body)
{
    return "HTTP/1.1 200 OK\r\nServer: tiny\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nContent-Type: application/json\r\n"
           "X-Request-Id: 0123456789abcdef\r\nCache-Control: no-store\r\nVary: Accept\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
}

const std::string small_head = R"({"id":42,"name":"a small answer","tags":["a","b","c"],"text":")";
const std::string small = answer(small_head + std::string(208 - small_head.size() - 2, 'x') + "\"}");
const std::string big = answer(std::string(64 * 1024, 'b'));

std::size_t body_length(std::string_view head)
{
    const auto at = head.find("Content-Length: ");
    return at == std::string_view::npos ? 0 : std::strtoul(head.data() + at + 16, nullptr, 10);
}

/// Answers every whole request in `in`.
void serve(Client& client)
{
    for (;;) {
        const auto end = client.in.find("\r\n\r\n");
        if (end == std::string::npos) return;
        const std::string_view head(client.in.data(), end + 4);
        const std::size_t length = body_length(head);
        if (client.in.size() < end + 4 + length) return;
        if (head.starts_with("POST"))
            client.out += answer(client.in.substr(end + 4, length));
        else
            client.out += head.find(" /big") != std::string_view::npos ? big : small;
        client.in.erase(0, end + 4 + length);
    }
}

/// False when the client has gone.
bool flush(int fd, Client& client)
{
    while (!client.out.empty()) {
        const auto sent = ::send(fd, client.out.data(), client.out.size(), MSG_NOSIGNAL);
        if (sent < 0) return errno == EAGAIN;
        client.out.erase(0, static_cast<std::size_t>(sent));
    }
    return true;
}

int listen_on(int port)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    const int yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 || ::listen(fd, 4096) != 0) {
        std::perror("tiny_server");
        std::exit(1);
    }
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    std::printf("%d\n", int{ntohs(address.sin_port)});
    std::fflush(stdout);
    return fd;
}

} // namespace

int main(int argc, char** argv)
{
    const int listener = listen_on(argc > 1 ? std::atoi(argv[1]) : 0);
    const int poller = ::epoll_create1(0);
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = listener;
    ::epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event);
    std::unordered_map<int, Client> clients;
    std::array<epoll_event, 256> events{};
    std::string buffer(256 * 1024, '\0');
    for (;;) {
        const int ready = ::epoll_wait(poller, events.data(), static_cast<int>(events.size()), -1);
        for (int i = 0; i < ready; ++i) {
            const int fd = events[static_cast<std::size_t>(i)].data.fd;
            if (fd == listener) {
                for (int peer; (peer = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK)) >= 0;) {
                    const int yes = 1;
                    ::setsockopt(peer, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
                    event.events = EPOLLIN;
                    event.data.fd = peer;
                    ::epoll_ctl(poller, EPOLL_CTL_ADD, peer, &event);
                    clients[peer];
                }
                continue;
            }
            Client& client = clients[fd];
            const auto got = ::recv(fd, buffer.data(), buffer.size(), 0);
            bool alive = got > 0 || (got < 0 && errno == EAGAIN);
            if (got > 0) {
                client.in.append(buffer.data(), static_cast<std::size_t>(got));
                serve(client);
            }
            alive = alive && flush(fd, client);
            event.events = client.out.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT;
            event.data.fd = fd;
            if (alive && !client.out.empty()) ::epoll_ctl(poller, EPOLL_CTL_MOD, fd, &event);
            if (!alive) {
                ::close(fd);
                clients.erase(fd);
            }
        }
    }
}

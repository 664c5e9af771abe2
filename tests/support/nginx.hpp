// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/certificates.hpp"
#include "support/temp_directory.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace khive_tests {

/// 127.0.0.1 and a port; 0 is any that is free.
inline sockaddr_in loopback(std::uint16_t port)
{
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/// A port of 127.0.0.1 that nobody else is given as long as this lives; a server may listen there all the same.
class ReservedPort {
public:
    ReservedPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0))
    {
        const int shared = 1; // without it whoever listens there could not
        ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &shared, sizeof shared);
        sockaddr_in address = loopback(0);
        socklen_t size = sizeof address;
        ::bind(socket_, reinterpret_cast<const sockaddr*>(&address), size);
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
        number_ = ntohs(address.sin_port);
    }
    ~ReservedPort() { ::close(socket_); }
    ReservedPort(const ReservedPort&) = delete;
    ReservedPort& operator=(const ReservedPort&) = delete;

    [[nodiscard]] std::uint16_t number() const noexcept { return number_; }

private:
    int socket_;
    std::uint16_t number_ = 0;
};

/// How an `Nginx` is to behave.
class NginxOptions {
public:
    /// How long it keeps idle connections. Zero: none.
    NginxOptions& keepalive(std::chrono::milliseconds timeout) { return keepalive_ = timeout, *this; }
    /// How many requests it answers on one connection.
    NginxOptions& keepalive_requests(unsigned count) { return keepalive_requests_ = count, *this; }
    /// The rate of `/limited`, above which it answers 429.
    NginxOptions& limited_rate(unsigned per_second) { return limited_rate_ = per_second, *this; }
    /// Another identity than a `TestIdentity`'s for the TLS listener.
    NginxOptions& certificate(Certificate certificate) { return certificate_ = std::move(certificate), *this; }
    /// Lets in only clients with a certificate of this authority.
    NginxOptions& require_client_certificate(std::string authority)
    {
        return client_authority_ = std::move(authority), *this;
    }
    /// Lines for the server block.
    NginxOptions& extra(std::string lines) { return extra_ = std::move(lines), *this; }
    NginxOptions& workers(unsigned count) { return workers_ = count, *this; }

private:
    friend class Nginx;

    std::chrono::milliseconds keepalive_{75'000};
    unsigned keepalive_requests_ = 1'000'000;
    unsigned limited_rate_ = 10;
    unsigned workers_ = 1;
    std::optional<Certificate> certificate_;
    std::string client_authority_;
    std::string extra_;
};

/// A real nginx as a child process, with a plain and a TLS listener on free ports of 127.0.0.1; gone with the object.
///
/// | path | answer |
/// |---|---|
/// | `/small.txt` `/medium.bin` `/large.bin` | a file of 12 bytes, 64 KiB, 4 MiB |
/// | `/chunked/...` | the same files, chunked |
/// | `/slow/...` | the same files, 64 KiB a second |
/// | `/limited` | the small file, or 429 above the rate |
/// | `/empty` | 204 |
/// | `/echo` | 200, method and target as text; takes bodies |
/// | `/pid` | 200, the worker's process id |
/// | `/status/N` | N, for the usual 4xx and 5xx |
class Nginx {
public:
    explicit Nginx(NginxOptions options = {}) : options_(std::move(options))
    {
        write_files();
        try_start();
        if (child_ < 0) throw std::runtime_error("nginx does not start:\n" + log());
    }
    ~Nginx() { stop(); }
    Nginx(const Nginx&) = delete;
    Nginx& operator=(const Nginx&) = delete;

    /// Is there an nginx on this machine?
    [[nodiscard]] static bool available() { return !binary().empty(); }

    [[nodiscard]] std::uint16_t port() const noexcept { return port_.number(); }
    [[nodiscard]] std::uint16_t tls_port() const noexcept { return tls_port_.number(); }
    [[nodiscard]] std::string url() const { return "http://127.0.0.1:" + std::to_string(port()); }
    [[nodiscard]] std::string tls_url() const { return "https://localhost:" + std::to_string(tls_port()); }
    /// The authority that its certificate goes back to, unless the options brought another.
    [[nodiscard]] const TestIdentity& identity() const noexcept { return identity_; }
    [[nodiscard]] pid_t pid() const noexcept { return child_; }
    /// What it has complained about.
    [[nodiscard]] std::string log() const
    {
        std::ifstream file(directory_.path() / "error.log");
        return {std::istreambuf_iterator<char>(file), {}};
    }

    /// Ends it: connections break.
    void stop() { end_with(SIGTERM); }
    /// Ends it when the requests under way are answered.
    void quit() { end_with(SIGQUIT); }
    /// The same ports again.
    void start()
    {
        if (child_ < 0) try_start();
        if (child_ < 0) throw std::runtime_error("nginx does not start again:\n" + log());
    }
    void restart()
    {
        stop();
        start();
    }
    /// Replaces its workers; the old ones finish their requests and close idle connections.
    void reload() const
    {
        if (child_ > 0) ::kill(child_, SIGHUP);
    }

private:
    static std::string binary()
    {
        for (const char* path : {"/usr/sbin/nginx", "/usr/local/sbin/nginx", "/usr/bin/nginx"})
            if (std::filesystem::exists(path)) return path;
        return {};
    }

    static bool accepts(std::uint16_t port)
    {
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const sockaddr_in address = loopback(port);
        const bool connected = ::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        ::close(socket);
        return connected;
    }

    /// Does a worker of nginx answer? A master that has got no further than to listen dies of some signals and forgets others.
    static bool answers(std::uint16_t port)
    {
        const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        const timeval patience{1, 0};
        ::setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        const sockaddr_in address = loopback(port);
        const std::string request = "GET /empty HTTP/1.0\r\n\r\n";
        std::array<char, 512> answer{};
        ssize_t got = -1;
        if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 &&
            ::send(socket, request.data(), request.size(), MSG_NOSIGNAL) > 0)
            got = ::recv(socket, answer.data(), answer.size(), 0);
        ::close(socket);
        return got > 0 && std::string_view(answer.data(), static_cast<std::size_t>(got)).find("nginx") != std::string_view::npos;
    }

    void write_files() const
    {
        directory_.write("www/small.txt", "hello khive\n");
        directory_.write("www/medium.bin", pattern(64 * 1024));
        directory_.write("www/large.bin", pattern(4 * 1024 * 1024));
        const Certificate& server = options_.certificate_ ? *options_.certificate_ : identity_.server;
        directory_.write("server.pem", server.chain_pem());
        directory_.write("server.key", server.key_pem());
        directory_.write("client_ca.pem", options_.client_authority_);
        std::filesystem::create_directories(directory_.path() / "temp");
    }

    /// Bytes of which each position can be told from its neighbours.
    static std::string pattern(std::size_t size)
    {
        std::string bytes(size, '\0');
        for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>('a' + (i * 7 + i / 251) % 26);
        return bytes;
    }

    [[nodiscard]] std::string config() const
    {
        const std::string here = directory_.path().string();
        std::ostringstream text;
        if (::geteuid() == 0) text << "user root;\n";
        text << "daemon off;\nworker_processes " << options_.workers_ << ";\npid " << here << "/nginx.pid;\n"
             << "events { worker_connections 4096; }\n"
             << "http {\n"
             << "  access_log off;\n  default_type application/octet-stream;\n  sendfile on;\n"
             << "  client_max_body_size 0;\n";
        for (const char* kind : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"})
            text << "  " << kind << "_temp_path " << here << "/temp/" << kind << ";\n";
        text << "  keepalive_timeout " << options_.keepalive_.count() << "ms;\n"
             << "  keepalive_requests " << options_.keepalive_requests_ << ";\n"
             << "  limit_req_zone $binary_remote_addr zone=limited:1m rate=" << options_.limited_rate_ << "r/s;\n"
             << "  server {\n"
             << server_block(here) << "  }\n}\n";
        return text.str();
    }

    [[nodiscard]] std::string server_block(const std::string& here) const
    {
        std::ostringstream text;
        text << "listen 127.0.0.1:" << port() << ";\nlisten 127.0.0.1:" << tls_port() << " ssl;\n"
             << "ssl_certificate " << here << "/server.pem;\nssl_certificate_key " << here << "/server.key;\n"
             << "ssl_session_cache shared:sessions:1m;\n";
        if (!options_.client_authority_.empty())
            text << "ssl_client_certificate " << here << "/client_ca.pem;\nssl_verify_client on;\n";
        text << "root " << here << "/www;\n"
             << "location /chunked/ { alias " << here << "/www/; ssi on; ssi_types *; }\n"
             << "location /slow/ { alias " << here << "/www/; limit_rate 64k; }\n"
             << "location = /limited { limit_req zone=limited; limit_req_status 429; try_files /small.txt =404; }\n"
             << "location = /empty { return 204; }\n"
             << "location = /echo { return 200 \"$request_method $request_uri\\n\"; }\n"
             << "location = /pid { return 200 \"$pid\"; }\n";
        for (const int status : {400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504})
            text << "location = /status/" << status << " { return " << status << "; }\n";
        text << options_.extra_ << '\n';
        return text.str();
    }

    /// Leaves `child_` negative if it did not come up.
    void try_start()
    {
        const std::string program = binary();
        if (program.empty()) throw std::runtime_error("nginx is not installed");
        const std::string file = directory_.write("nginx.conf", config());
        const std::string errors = (directory_.path() / "error.log").string();
        const std::string prefix = directory_.path().string();
        child_ = spawn({program.c_str(), "-p", prefix.c_str(), "-e", errors.c_str(), "-c", file.c_str(), nullptr});
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        while (!answers(port()) || !accepts(tls_port())) {
            const bool gone = ::waitpid(child_, nullptr, WNOHANG) == child_;
            if (gone) child_ = -1;
            if (gone || std::chrono::steady_clock::now() > deadline) return stop();
            ::poll(nullptr, 0, 5);
        }
    }

    static pid_t spawn(std::array<const char*, 8> arguments)
    {
        const pid_t parent = ::getpid();
        const pid_t child = ::fork();
        if (child != 0) return child;
        ::prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (::getppid() != parent) ::_exit(1);
        ::close_range(3, ~0U, 0); // or connections of other servers in this process would not end where those end them
        ::execv(arguments[0], const_cast<char* const*>(arguments.data()));
        ::_exit(127);
    }

    void end_with(int signal)
    {
        if (child_ < 0) return;
        ::kill(child_, signal);
        while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {}
        child_ = -1;
    }

    NginxOptions options_;
    TestIdentity identity_;
    TempDirectory directory_;
    ReservedPort port_;
    ReservedPort tls_port_;
    pid_t child_ = -1;
};

} // namespace khive_tests

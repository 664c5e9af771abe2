// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>
#include <khive/core/ledger.hpp>

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <string>
#include <type_traits>

namespace khive::inline KHIVE_ABI::net {

/// An address of TCP over IPv4 or IPv6 with its port, as the system's calls take it.
///
/// That of Asio costs a program that includes khive nine thousand lines, and what a vector of it takes to compile.
class Endpoint {
public:
    /// None: 0.0.0.0:0.
    Endpoint() noexcept { v4_.sin_family = AF_INET; }
    /// One of `AF_INET` or `AF_INET6`, the whole of which is there; as `*endpoint.data()` of Asio's is.
    KHIVE_DECL explicit Endpoint(const ::sockaddr& address) noexcept;

    [[nodiscard]] const ::sockaddr* data() const noexcept { return &any_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_of(family()); }
    /// `AF_INET` or `AF_INET6`.
    [[nodiscard]] int family() const noexcept { return any_.sa_family; }
    /// As a ledger has it.
    [[nodiscard]] KHIVE_DECL PeerAddress peer() const noexcept;

private:
    static std::size_t size_of(int family) noexcept
    {
        return family == AF_INET6 ? sizeof(::sockaddr_in6) : sizeof(::sockaddr_in);
    }

    union {
        ::sockaddr_in6 v6_{};
        ::sockaddr_in v4_;
        ::sockaddr any_;
    };
};

/// Some of them, in a string, which programs have anyhow: a vector of them takes sixty functions.
class Endpoints {
public:
    void push_back(const Endpoint& endpoint) { bytes_.append(reinterpret_cast<const char*>(&endpoint), sizeof endpoint); }
    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size() / sizeof(Endpoint); }
    [[nodiscard]] KHIVE_DECL Endpoint operator[](std::size_t index) const noexcept;

private:
    static_assert(std::is_trivially_copyable_v<Endpoint>);
    std::string bytes_;
};

} // namespace khive::inline KHIVE_ABI::net

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/net/impl/endpoint.ipp>
#endif

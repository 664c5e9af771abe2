// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/net/endpoint.hpp>

#include <netinet/in.h>

#include <cstring>

namespace khive::inline KHIVE_ABI::net {

KHIVE_DECL Endpoint::Endpoint(const ::sockaddr& address) noexcept
{
    std::memcpy(&v6_, &address, size_of(address.sa_family));
}

KHIVE_DECL PeerAddress Endpoint::peer() const noexcept
{
    PeerAddress peer;
    if (family() == AF_INET6) {
        peer.family = 6;
        peer.port = ntohs(v6_.sin6_port);
        std::memcpy(peer.bytes.data(), &v6_.sin6_addr, sizeof v6_.sin6_addr);
    } else {
        peer.family = 4;
        peer.port = ntohs(v4_.sin_port);
        std::memcpy(peer.bytes.data(), &v4_.sin_addr, sizeof v4_.sin_addr);
    }
    return peer;
}

KHIVE_DECL Endpoint Endpoints::operator[](std::size_t index) const noexcept
{
    Endpoint endpoint;
    std::memcpy(static_cast<void*>(&endpoint), bytes_.data() + index * sizeof endpoint, sizeof endpoint);
    return endpoint;
}

} // namespace khive::inline KHIVE_ABI::net

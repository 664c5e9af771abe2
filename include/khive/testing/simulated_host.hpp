// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/time.hpp>
#include <khive/net/wire.hpp>
#include <khive/testing/config.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/ip/address.hpp>

#include <cstddef>
#include <string>
#include <vector>

namespace khive::inline KHIVE_ABI::testing {

/// A name of a simulated network and how looking it up ends.
class SimulatedHost {
public:
    /// The lookup finds these addresses, in this order.
    KHIVE_TESTING_DECL SimulatedHost& addresses(const std::vector<std::string>& ips);
    /// The lookup ends with `error`.
    KHIVE_TESTING_DECL SimulatedHost& fail(boost::system::error_code error = asio::error::host_not_found);
    /// How long a lookup takes; `unlimited` for ever.
    SimulatedHost& delay(Duration delay) { return delay_ = delay, *this; }

    /// How often it has been looked up.
    [[nodiscard]] std::size_t lookups() const noexcept { return lookups_; }

private:
    friend class SimulatedNetwork;

    std::vector<asio::ip::address> addresses_;
    boost::system::error_code error_ = asio::error::host_not_found;
    Duration delay_{};
    std::size_t lookups_ = 0;
};

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/simulated_host.ipp>
#endif

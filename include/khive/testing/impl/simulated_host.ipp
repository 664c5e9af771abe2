// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/simulated_host.hpp>

namespace khive::inline KHIVE_ABI::testing {

KHIVE_TESTING_DECL SimulatedHost& SimulatedHost::addresses(const std::vector<std::string>& ips)
{
    addresses_.clear();
    for (const auto& ip : ips) addresses_.push_back(asio::ip::make_address(ip));
    error_ = {};
    return *this;
}

KHIVE_TESTING_DECL SimulatedHost& SimulatedHost::fail(boost::system::error_code error)
{
    error_ = error;
    return *this;
}

} // namespace khive::inline KHIVE_ABI::testing

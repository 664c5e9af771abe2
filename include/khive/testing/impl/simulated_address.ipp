// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/detail/simulated_link.hpp>
#include <khive/testing/simulated_address.hpp>

namespace khive::inline KHIVE_ABI::testing {

KHIVE_TESTING_DECL SimulatedAddress& SimulatedAddress::fail(boost::system::error_code error)
{
    connects_end_ = detail::ConnectEnd::failed;
    error_ = error;
    return *this;
}

KHIVE_TESTING_DECL SimulatedAddress& SimulatedAddress::fail_next(std::size_t times, boost::system::error_code error)
{
    fail_next_ = times;
    fail_next_error_ = error;
    return *this;
}

KHIVE_TESTING_DECL SimulatedAddress& SimulatedAddress::black_hole()
{
    connects_end_ = detail::ConnectEnd::unanswered;
    return *this;
}

KHIVE_TESTING_DECL SimulatedAddress& SimulatedAddress::accept()
{
    connects_end_ = detail::ConnectEnd::accepted;
    return *this;
}

KHIVE_TESTING_DECL SimulatedAddress& SimulatedAddress::reset_connections()
{
    for (const auto& weak : links_)
        if (const auto link = weak.lock()) link->break_now();
    return *this;
}

KHIVE_TESTING_DECL std::size_t SimulatedAddress::open_connections() const
{
    std::size_t open = 0;
    for (const auto& weak : links_)
        if (const auto link = weak.lock(); link && !link->closed_by_client()) ++open;
    return open;
}

inline detail::ConnectEnd SimulatedAddress::begin_connect(boost::system::error_code& error)
{
    ++connects_;
    error = error_;
    if (fail_next_ == 0)
        return server_ || connects_end_ != detail::ConnectEnd::accepted ? connects_end_ : detail::ConnectEnd::failed;
    --fail_next_;
    error = fail_next_error_;
    return detail::ConnectEnd::failed;
}

} // namespace khive::inline KHIVE_ABI::testing

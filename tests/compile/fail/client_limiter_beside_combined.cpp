// SPDX-License-Identifier: BSL-1.0
// Rate and concurrency are one policy or two, not three.
// expect: leaves no room for a rate limiter or executor beside it
#include <khive/khive.hpp>

#include <boost/asio/io_context.hpp>

void make(boost::asio::io_context& io)
{
    const khive::RateLimitedExecutor both{{.rate = 1}};
    khive::AsyncAPIClient api{io, "http://api.test", both, khive::AsyncExecutor{}};
}

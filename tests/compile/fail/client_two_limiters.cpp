// SPDX-License-Identifier: BSL-1.0
// A role is played once.
// expect: two policies are rate limiters
#include <khive/khive.hpp>

#include <boost/asio/io_context.hpp>

void make(boost::asio::io_context& io)
{
    const khive::TokenBucketRateLimiter limiter{{.rate = 1}};
    khive::AsyncAPIClient api{io, "http://api.test", limiter, khive::NullRateLimiter{}};
}

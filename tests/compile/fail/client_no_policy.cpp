// SPDX-License-Identifier: BSL-1.0
// What is no policy is told so, with the concepts to ask.
// expect: this type is no policy: it must satisfy RateLimiterPolicy, ExecutorPolicy, DispatchPolicy
#include <khive/khive.hpp>

#include <boost/asio/io_context.hpp>

struct NoPolicy {};

void make(boost::asio::io_context& io)
{
    khive::AsyncAPIClient api{io, "http://api.test", NoPolicy{}};
}

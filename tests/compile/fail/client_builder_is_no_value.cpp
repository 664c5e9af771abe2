// SPDX-License-Identifier: BSL-1.0
// A request that knows its client is sent once; what is kept and copied is a `Request`.
// expect: use of deleted function || call to implicitly-deleted copy constructor
#include <khive/khive.hpp>

khive::RequestBuilder copy(const khive::RequestBuilder& builder)
{
    return builder;
}

// SPDX-License-Identifier: BSL-1.0
// What khive keeps out of Boost.URL is not taken from who has included it before.
#include <boost/type_traits.hpp>

#include <khive/core/url.hpp>

#if !defined(BOOST_TYPE_TRAITS_HPP)
#error "khive undefines the include guard of another library"
#endif

static_assert(boost::is_complex<std::complex<double>>::value);

// SPDX-License-Identifier: BSL-1.0
// What khive keeps out of Boost.URL is not taken from who has included it before.
#include <algorithm>
#include <boost/type_traits.hpp>

#include <khive/core/url.hpp>

#include <string>

#if !defined(BOOST_TYPE_TRAITS_HPP) || (defined(__GLIBCXX__) && !defined(_GLIBCXX_ALGORITHM))
#error "khive undefines the include guard of another library"
#endif

static_assert(boost::is_complex<std::complex<double>>::value);

void sort(std::string& text)
{
    std::ranges::sort(text);
}

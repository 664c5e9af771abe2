// SPDX-License-Identifier: BSL-1.0
// khive keeps Boost.TypeTraits and <algorithm> out of Boost.URL; who includes the one or the other afterwards gets all of it.
#include <khive/core/url.hpp>

#include <boost/type_traits.hpp>
#include <boost/url.hpp>
#include <boost/version.hpp>
#if BOOST_VERSION < 108200 // since when it is compiled only
#include <boost/url/src.hpp>
#endif

#include <algorithm>

static_assert(boost::is_complex<std::complex<double>>::value);
static_assert(boost::has_plus<int>::value);
static_assert(boost::urls::string_token::is_token<boost::urls::string_token::return_string>::value);

std::string normalized(std::string_view text)
{
    boost::urls::url url(text);
    url.normalize();
    url.params().append({"a", "b"});
    std::string result = url.buffer();
    std::ranges::sort(result);
    std::sort(result.begin(), result.end());
    return result;
}

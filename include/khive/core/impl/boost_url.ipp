// SPDX-License-Identifier: BSL-1.0
#pragma once

/// What khive uses of Boost.URL, which is to be included by way of this file alone.
///
/// Boost.URL includes `<algorithm>` for `std::swap`, and in Boost 1.81 all of Boost.TypeTraits for `boost::void_t`, with that
/// `<complex>` and `<cmath>`: 29,000 lines and 15 MB of the compiler's memory. The versions that are known to need no more are told
/// that both have been included. Who includes them, before or after, gets all that is in them.

#include <khive/core/min_max.hpp>

#include <boost/type_traits/make_void.hpp>
#include <boost/version.hpp>

#if BOOST_VERSION < 108200 && !defined(BOOST_TYPE_TRAITS_HPP)
#define BOOST_TYPE_TRAITS_HPP
#define KHIVE_WITHOUT_TYPE_TRAITS
#endif
#if BOOST_VERSION < 108400 && defined(__GLIBCXX__) && !defined(_GLIBCXX_ALGORITHM)
#define _GLIBCXX_ALGORITHM // NOLINT: that of libstdc++
#define KHIVE_WITHOUT_ALGORITHM
#endif

#include <boost/url/authority_view.hpp>
#include <boost/url/host_type.hpp>
#include <boost/url/ipv6_address.hpp>

#if defined(KHIVE_WITHOUT_ALGORITHM)
#undef _GLIBCXX_ALGORITHM
#undef KHIVE_WITHOUT_ALGORITHM
#endif
#if defined(KHIVE_WITHOUT_TYPE_TRAITS)
#undef BOOST_TYPE_TRAITS_HPP
#undef KHIVE_WITHOUT_TYPE_TRAITS
#endif

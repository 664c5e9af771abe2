// SPDX-License-Identifier: BSL-1.0
#pragma once

/// What khive uses of Boost.URL, which is to be included by way of this file alone.
///
/// One of its headers includes all of Boost.TypeTraits in Boost 1.81, for the sake of `boost::void_t`, and with that `<complex>`
/// and `<algorithm>`: 24,000 lines, 12 MB of the compiler's memory. It is told that they are there, and gets the one that it
/// needs; who includes `<boost/type_traits.hpp>` still gets it all.

#include <boost/type_traits/make_void.hpp>
#include <boost/version.hpp>

#if BOOST_VERSION < 108200 && !defined(BOOST_TYPE_TRAITS_HPP)
#define BOOST_TYPE_TRAITS_HPP
#define KHIVE_WITHOUT_TYPE_TRAITS
#endif

#include <boost/url/authority_view.hpp>
#include <boost/url/host_type.hpp>
#include <boost/url/ipv6_address.hpp>

#if defined(KHIVE_WITHOUT_TYPE_TRAITS)
#undef BOOST_TYPE_TRAITS_HPP
#undef KHIVE_WITHOUT_TYPE_TRAITS
#endif

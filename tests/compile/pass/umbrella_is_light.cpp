// SPDX-License-Identifier: BSL-1.0
// The umbrella brings neither JSON nor logging nor a whole library with it: who wants those includes them.
#include <khive/khive.hpp>

#if defined(INCLUDE_NLOHMANN_JSON_HPP_) || defined(SPDLOG_VERSION)
#error "khive.hpp includes an optional library"
#endif
#if defined(BOOST_ASIO_HPP) || defined(BOOST_ASIO_SSL_HPP) || defined(BOOST_BEAST_HPP)
#error "khive.hpp includes the umbrella of another library"
#endif

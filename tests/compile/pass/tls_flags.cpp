// SPDX-License-Identifier: BSL-1.0
// khive names two flags of OpenSSL without their header.
#include <khive/net/tls_session.hpp>

#include <openssl/x509v3.h>

static_assert(khive::net::detail::no_partial_wildcards == X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
static_assert(khive::net::detail::never_check_subject == X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/detail/basic_auth.hpp>
#include <khive/net/base64.hpp>

namespace khive::inline KHIVE_ABI::detail {

KHIVE_DECL std::string basic_credentials(std::string_view user, const Secret& password)
{
    return "Basic " + net::base64(std::string(user) + ":" + password.reveal());
}

} // namespace khive::inline KHIVE_ABI::detail

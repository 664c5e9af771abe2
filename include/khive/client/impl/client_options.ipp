// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/client_options.hpp>
#include <khive/client/detail/basic_auth.hpp>

namespace khive::inline KHIVE_ABI {

KHIVE_DECL ClientOptions::ClientOptions(std::string_view base_url)
{
    if (const Error bad = settings_.base.read(base_url); bad.failed()) bad.raise();
    settings_.headers.set("User-Agent", "khive/" KHIVE_VERSION_STRING).set("Accept", "*/*");
    const Url& url = settings_.base;
    if (!url.user().empty() || !url.password().empty()) basic_auth(url.user().reveal(), url.password());
}

KHIVE_DECL ClientOptions& ClientOptions::header(std::string_view name, std::string_view value)
{
    settings_.origin_headers.set(name, value);
    return *this;
}

KHIVE_DECL ClientOptions& ClientOptions::secret_header(std::string_view name, const Secret& value)
{
    return header(name, value.reveal());
}

KHIVE_DECL ClientOptions& ClientOptions::bearer(const Secret& token)
{
    return header("Authorization", "Bearer " + token.reveal());
}

KHIVE_DECL ClientOptions& ClientOptions::basic_auth(std::string_view user, const Secret& password)
{
    if (user.find(':') != std::string_view::npos) detail::raise_invalid_argument(detail::no_colon_in_user, "user");
    return header("Authorization", detail::basic_credentials(user, password));
}

KHIVE_DECL ClientOptions& ClientOptions::user_agent(std::string_view agent)
{
    settings_.headers.set("User-Agent", agent);
    return *this;
}

KHIVE_DECL ClientOptions& ClientOptions::timeouts(const Timeouts& timeouts)
{
    if (const Error contradiction = timeouts.check(); contradiction.failed()) contradiction.raise();
    settings_.timeouts = timeouts;
    return *this;
}

} // namespace khive::inline KHIVE_ABI

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/error.hpp>
#include <khive/core/impl/boost_url.ipp>
#include <khive/core/impl/percent.ipp>
#include <khive/core/min_max.hpp>
#include <khive/core/number.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI::detail {

KHIVE_COLD_DECL Error bad_url(std::string_view rule, std::string_view text)
{
    return Error{ErrorKind::invalid_url}.with_message(std::string{rule} + ": '" + escape_untrusted(text) + "'");
}

/// The userinfo of a URL that is refused must not reach a log.
KHIVE_COLD_DECL Error bad_url(std::string_view rule)
{
    return Error{ErrorKind::invalid_url}.with_message(std::string{rule});
}

/// Takes the next of the parts of `text` between separators from it; false where none is left.
KHIVE_DECL bool next_part(std::string_view& text, char separator, std::string_view& part)
{
    if (text.empty()) return false;
    const auto end = std::min(text.find(separator), text.size());
    part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return true;
}

/// `http` and `https` in any case, with what follows the two slashes.
struct SchemeAndRest {
    bool found; ///< it has one of the two
    bool tls;
    std::string_view rest;
};

inline SchemeAndRest split_scheme(std::string_view text)
{
    const std::string_view plain = "http://";
    const std::string_view secure = "https://";
    if (iequals(text.substr(0, plain.size()), plain)) return {true, false, text.substr(plain.size())};
    if (iequals(text.substr(0, secure.size()), secure)) return {true, true, text.substr(secure.size())};
    return {};
}

/// Would a resolver take the name for a number in one of the old forms (127.1, 0x7f.1, 2130706433)?
KHIVE_COLD_DECL bool ends_in_number(std::string_view host)
{
    if (host.ends_with('.')) host.remove_suffix(1);
    const auto last = host.substr(host.rfind('.') + 1);
    return last.find_first_not_of("0123456789") == std::string_view::npos || iequals(last.substr(0, 2), "0x");
}

KHIVE_COLD_DECL bool is_host_name(std::string_view host)
{
    if (host.ends_with('.')) host.remove_suffix(1);
    if (host.empty() || host.size() > 253 || host.ends_with('.')) return false;
    for (std::string_view label; next_part(host, '.', label);) {
        if (label.empty() || label.size() > 63) return false;
        for (const char c : label)
            if (c == '~' || !unreserved_bytes[static_cast<unsigned char>(c)]) return false;
    }
    return true;
}

KHIVE_COLD_DECL Error read_host(std::string& host, const boost::urls::authority_view& url)
{
    const std::string_view encoded{url.encoded_host().data(), url.encoded_host().size()};
    switch (url.host_type()) {
    case boost::urls::host_type::ipv4: host = encoded; return {};
    case boost::urls::host_type::ipv6: {
        // Boost after 1.81 takes zones, and leaves them out of the address.
        if (encoded.find('%') != std::string_view::npos) return bad_url("an IPv6 address in a URL has no zone", encoded);
        char text[boost::urls::ipv6_address::max_str_len];
        const auto canonical = url.host_ipv6_address().to_buffer(text, sizeof text);
        host.assign(canonical.data(), canonical.size());
        return {};
    }
    case boost::urls::host_type::name: break;
    default: return bad_url("the URL has no usable host", encoded);
    }
    if (encoded.empty()) return bad_url("the URL has no host");
    if (!is_host_name(encoded)) return bad_url("not a host name (letters, digits, '-', '_' and '.')", encoded);
    if (ends_in_number(encoded)) return bad_url("the host ends in a number but is no IPv4 address", encoded);
    host = encoded;
    for (char& c : host) c = lower(c);
    return {};
}

/// An empty port is the default one (RFC 3986 section 3.2.3). Zero where it is none.
inline std::uint16_t read_port(std::string_view text, bool tls) noexcept
{
    if (text.empty()) return static_cast<std::uint16_t>(tls ? 443 : 80);
    std::uint64_t port = 0;
    return static_cast<std::uint16_t>(text.size() <= 5 && parse_number(text, port, 65535) ? port : 0);
}

KHIVE_COLD_DECL Error check_authority(std::string_view authority)
{
    for (const char c : authority) {
        if (static_cast<unsigned char>(c) >= 0x80)
            return bad_url("the host is not ASCII: write international names in their xn-- form");
        if (c == '\\') return bad_url("a backslash stands before the path of the URL");
    }
    return {};
}

inline bool has_control(std::string_view text)
{
    for (const char c : text)
        if (is_control(c)) return true;
    return false;
}

} // namespace khive::inline KHIVE_ABI::detail

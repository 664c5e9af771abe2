// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/impl/url_authority.ipp>
#include <khive/core/min_max.hpp>
#include <khive/core/url.hpp>

#include <boost/system/system_error.hpp>

#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI {
namespace detail {

/// Path, query and fragment of what follows the authority.
struct TargetParts {
    std::string_view path;
    std::string_view query;
    bool has_query;
};

inline TargetParts split_target(std::string_view text)
{
    text = text.substr(0, text.find('#'));
    const auto mark = text.find('?');
    if (mark == std::string_view::npos) return {text, {}, false};
    return {text.substr(0, mark), text.substr(mark + 1), true};
}

/// How a segment looks to a server that decodes it.
KHIVE_DECL bool is_dots(std::string_view segment, std::size_t how_many)
{
    if (segment.size() > 6) return false;
    const auto plain = decode(segment);
    return plain.size() == how_many && plain.find_first_not_of('.') == std::string::npos;
}

/// Empty segments do not count: servers that merge slashes do not see them.
KHIVE_COLD_DECL bool climbs(std::string_view path)
{
    int depth = 0;
    for (std::string_view segment; depth >= 0 && next_part(path, '/', segment);) {
        if (is_dots(segment, 2))
            --depth;
        else if (!segment.empty() && !is_dots(segment, 1))
            ++depth;
    }
    return depth < 0;
}

inline std::string_view key_of(std::string_view pair)
{
    return pair.substr(0, pair.find('='));
}

KHIVE_COLD_DECL bool has_key(std::string_view query, std::string_view key)
{
    for (std::string_view pair; next_part(query, '&', pair);)
        if (decode(key_of(pair)) == key) return true;
    return false;
}

inline void append_part(std::string& query, std::string_view part)
{
    if (!query.empty()) query += '&';
    query.append(part);
}

/// The pairs of the base whose keys the request does not have, then those of the request.
KHIVE_COLD_DECL std::string merge_queries(std::string_view base, std::string_view request)
{
    if (base.empty()) return std::string{request};
    std::string merged;
    for (std::string_view pair; next_part(base, '&', pair);)
        if (!has_key(request, decode(key_of(pair)))) append_part(merged, pair);
    if (!request.empty()) append_part(merged, request);
    return merged;
}

KHIVE_COLD_DECL Error bad_pattern(std::string_view rule, std::string_view pattern)
{
    // Neither the query nor a user before an '@' may reach a log.
    const auto shown = pattern.substr(0, pattern.find_first_of("?#"));
    std::string text{rule};
    if (shown.find('@') == std::string_view::npos) text += ": '" + escape_untrusted(shown) + "'";
    return Error{ErrorKind::invalid_argument}.with_message(std::move(text));
}

KHIVE_COLD_DECL Error check_count(std::string_view pattern, std::size_t places, std::size_t args)
{
    if (places == args) return {};
    return bad_pattern("the path has " + std::to_string(places) + " {} and " + std::to_string(args) + " arguments", pattern);
}

/// How many segments of a path are only dots.
KHIVE_DECL std::size_t count_dots(std::string_view reference)
{
    std::size_t found = 0;
    auto path = reference.substr(0, reference.find_first_of("?#"));
    for (std::string_view segment; next_part(path, '/', segment);)
        if (is_dots(segment, 1) || is_dots(segment, 2)) ++found;
    return found;
}

} // namespace detail

KHIVE_DECL std::string Origin::host_header() const
{
    std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
    if (port != (tls ? 443 : 80)) text += ":" + std::to_string(port);
    return text;
}

KHIVE_DECL std::string Origin::to_string() const
{
    return (tls ? "https://" : "http://") + host_header();
}

KHIVE_DECL Error Url::read(std::string_view text)
{
    if (detail::has_control(text)) return detail::bad_url("the URL has a control byte such as CR, LF or NUL");
    if (text.find(' ') != std::string_view::npos) return detail::bad_url("the URL has a space");
    const auto scheme = detail::split_scheme(text);
    if (!scheme.found) return detail::bad_url("the URL does not start with http:// or https://");

    const auto authority = scheme.rest.substr(0, scheme.rest.find_first_of("/?#"));
    if (auto error = detail::check_authority(authority); error.failed()) return error;
    boost::urls::authority_view parsed;
    try {
        parsed = boost::urls::authority_view(authority);
    } catch (const boost::system::system_error&) {
        return detail::bad_url("user, host or port of the URL are malformed");
    }
    std::string host;
    if (auto error = detail::read_host(host, parsed); error.failed()) return error;
    const std::string_view port_text{parsed.port().data(), parsed.port().size()};
    const auto port = detail::read_port(port_text, scheme.tls);
    if (port == 0) return detail::bad_url("the port is not in 1..65535", port_text);

    origin_ = Origin{scheme.tls, std::move(host), port};
    user_ = Secret{detail::decode(parsed.encoded_user())};
    password_ = Secret{detail::decode(parsed.encoded_password())};
    set_target(detail::split_target(scheme.rest.substr(authority.size())));
    return {};
}

KHIVE_DECL std::string_view Url::query() const noexcept
{
    return std::string_view{target_}.substr(std::min(path_size_ + 1, target_.size()));
}

KHIVE_DECL std::string redact_url(const Origin& origin, std::string_view target)
{
    const auto mark = target.find('?');
    std::string text = origin.to_string().append(target.substr(0, mark));
    if (mark == std::string_view::npos) return text;
    char separator = '?';
    auto query = target.substr(mark + 1);
    for (std::string_view pair; detail::next_part(query, '&', pair);) {
        const auto key = detail::key_of(pair);
        text += std::exchange(separator, '&');
        if (key.size() != pair.size()) text.append(key).append("=");
        text += "***";
    }
    return text;
}

KHIVE_DECL std::string Url::redacted() const
{
    return redact_url(origin_, target_);
}

KHIVE_DECL void Url::set_target(const detail::TargetParts& parts)
{
    target_.clear();
    detail::append_encoded_once(target_, parts.path, detail::path_bytes);
    if (target_.empty()) target_ = "/";
    path_size_ = target_.size();
    if (!parts.has_query) return;
    target_ += '?';
    detail::append_encoded_once(target_, parts.query, detail::query_bytes);
}

KHIVE_DECL void Url::append(const detail::TargetParts& parts)
{
    if (parts.path.empty() && !parts.has_query) return;
    std::string path{this->path()};
    if (!parts.path.empty()) {
        if (!path.ends_with('/')) path += '/';
        path.append(parts.path.substr(std::min(parts.path.find_first_not_of('/'), parts.path.size())));
    }
    const auto query = detail::merge_queries(this->query(), parts.query);
    set_target({path, query, parts.has_query || !query.empty()});
}

KHIVE_DECL Error Url::follow(std::string_view reference)
{
    if (detail::split_scheme(reference).found) return read(reference);
    if (detail::has_control(reference)) return detail::bad_url("the path has a control byte such as CR, LF or NUL");
    const auto parts = detail::split_target(reference);
    const auto head = parts.path.substr(0, parts.path.find('/'));
    const bool foreign = parts.path.substr(head.size()).starts_with("//") && head.ends_with(':');
    if (foreign || iequals(head, "http:") || iequals(head, "https:"))
        return detail::bad_url("only http:// and https:// URLs can be requested");
    if (detail::climbs(parts.path)) return detail::bad_url("'..' climbs above the base path", parts.path);
    append(parts);
    return {};
}

KHIVE_DECL std::string encode_segment(std::string_view text)
{
    std::string out;
    if (text == "." || text == "..")
        for (const char dot : text) detail::append_escape(out, dot);
    else
        detail::append_encoded(out, text, detail::unreserved_bytes);
    return out;
}

KHIVE_DECL void append_query(std::string& query, std::string_view key, std::string_view value)
{
    if (!query.empty()) query += '&';
    detail::append_encoded(query, key, detail::unreserved_bytes);
    query += '=';
    detail::append_encoded(query, value, detail::unreserved_bytes);
}

KHIVE_DECL void insert_query(std::string& reference, std::string_view query)
{
    if (query.empty()) return;
    const auto end = std::min(reference.find('#'), reference.size());
    const char* separator = reference.find('?') < end ? "&" : "?";
    reference.insert(end, separator + std::string{query});
}

KHIVE_DECL void append_form(std::string& form, std::string_view key, std::string_view value)
{
    std::string encoded;
    append_query(encoded, key, value);
    std::string pair;
    pair.reserve(encoded.size());
    for (std::string_view rest = encoded; !rest.empty();) {
        const auto space = rest.find("%20");
        pair.append(rest.substr(0, space));
        if (space == std::string_view::npos) break;
        pair += '+';
        rest.remove_prefix(space + 3);
    }
    detail::append_part(form, pair);
}

KHIVE_DECL Error append_path(std::string& path, std::string_view pattern, const std::string* args, std::size_t count)
{
    const std::size_t before = path.size();
    std::size_t places = 0;
    for (std::size_t i = 0; i < pattern.size(); ++i) {
        const auto two = pattern.substr(i, 2);
        if (pattern[i] != '{' && pattern[i] != '}') {
            path += pattern[i];
            continue;
        }
        if (two != "{}" && two != "{{" && two != "}}")
            return detail::bad_pattern("a brace stands alone in the path", pattern);
        if (two != "{}")
            path += pattern[i];
        else if (++places <= count)
            path += encode_segment(args[places - 1]);
        ++i;
    }
    if (auto error = detail::check_count(pattern, places, count); error.failed()) return error;
    const std::string_view made = std::string_view{path}.substr(before);
    // One that the pattern spells out is meant.
    if (detail::count_dots(made) != detail::count_dots(pattern))
        return detail::bad_pattern("an argument makes a segment '.' or '..'", made);
    return {};
}

} // namespace khive::inline KHIVE_ABI

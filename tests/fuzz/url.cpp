// SPDX-License-Identifier: BSL-1.0
// What is accepted as a URL means one thing: it can be sent, reads again as itself, stays below its base, and keeps its secrets.
//
// Input: base URL, reference, key and value of a query, path template, then its arguments.
#include "fuzz/fuzz.hpp"

#include <khive/core/url.hpp>
#include <khive/http/request_head.hpp>

#include <optional>

using namespace khive_fuzz;

using khive::Url;

namespace {

int digit_of(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    const char letter = static_cast<char>(c | 0x20);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

std::string decoded(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool escape =
            text[i] == '%' && i + 2 < text.size() && digit_of(text[i + 1]) >= 0 && digit_of(text[i + 2]) >= 0;
        out += escape ? static_cast<char>(digit_of(text[i + 1]) * 16 + digit_of(text[i + 2])) : text[i];
        i += escape ? 2 : 0;
    }
    return out;
}

std::vector<std::string_view> split(std::string_view text, char separator)
{
    std::vector<std::string_view> parts;
    for (;;) {
        const auto end = text.find(separator);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

/// The segments that are left when a server has walked the path, `..` taking one away, or none if it climbs too far.
std::optional<std::vector<std::string>> walked(std::string_view path, bool merges_slashes)
{
    std::vector<std::string> segments;
    for (const auto part : split(path, '/')) {
        auto segment = decoded(part);
        if (segment == "." || (segment.empty() && merges_slashes)) continue;
        if (segment != "..")
            segments.push_back(std::move(segment));
        else if (segments.empty())
            return std::nullopt;
        else
            segments.pop_back();
    }
    return segments;
}

std::string_view path_of(std::string_view reference)
{
    return reference.substr(0, reference.find_first_of("?#"));
}

bool is_absolute(std::string_view reference)
{
    return khive::iequals(reference.substr(0, 7), "http://") || khive::iequals(reference.substr(0, 8), "https://");
}

void check_redacted(const Url& url)
{
    const auto shown = url.redacted();
    const auto parts = split(shown, '?');
    require_equal(parts.front(), url.origin().to_string() + std::string{url.path()}, "what is shown is another URL");
    require(is_visible(shown), "what is shown has a space, control or non-ASCII byte", shown);
    if (shown.size() == parts.front().size()) return;
    for (const auto pair : split(std::string_view{shown}.substr(parts.front().size() + 1), '&')) {
        const auto value = pair.substr(std::min(pair.find('=') + 1, pair.size()));
        require(value == "***", "a value of the query is shown", shown);
    }
}

void check_url(const Url& url)
{
    const auto& origin = url.origin();
    const auto host = origin.host_header();
    require(url.target().starts_with('/') && is_visible(url.target()), "the target cannot be sent", url.target());
    require(url.target().find('#') == std::string::npos, "the fragment is sent", url.target());
    require(!host.empty() && is_visible(host), "the host cannot be sent", host);
    require(host.find_first_of("/?#@\\%ABCDEFGHIJKLMNOPQRSTUVWXYZ") == std::string::npos, "the host has a delimiter", host);
    require(origin.port != 0, "port 0", host);
    require(url.path().find('?') == std::string_view::npos, "the query is in the path", url.target());
    require(khive::http::write_request_head("GET", url.target(), host, {}, std::nullopt).has_value(),
            "it cannot be requested", host);

    const auto again = Url::parse(origin.to_string() + url.target());
    require(again.has_value(), "it does not read again", url.target());
    require(again->origin() == origin, "it reads as another origin", again->origin().to_string());
    require_equal(again->target(), url.target(), "it reads as another target");
    require_equal(again->path(), url.path(), "it reads as another path");
    require_equal(again->query(), url.query(), "it reads as another query");
    require(again->user().empty() && again->password().empty(), "user or password are in a part that is sent", url.target());
    check_redacted(url);
}

void check_error(const khive::Error& error)
{
    require(error.kind() == khive::ErrorKind::invalid_url, "another error", error.message());
    require_loggable(error.message());
}

/// A reference stays where its base is, unless it is a URL of its own.
void check_join(const Url& base, std::string_view reference)
{
    const auto url = join(base, reference);
    if (!url) return check_error(url.error());
    check_url(*url);
    if (is_absolute(reference)) {
        require(Url::parse(reference)->target() == url->target(), "an absolute reference is changed", url->target());
        return;
    }
    require(url->origin() == base.origin(), "a path changes the origin", reference);
    require(url->user().reveal() == base.user().reveal() && url->password().reveal() == base.password().reveal(),
            "a path changes the user", reference);
    require(url->path().starts_with(base.path()), "the base path is gone", url->path());
    const auto added = url->path().substr(base.path().size());
    require(walked(added, true) && walked(added, false), "a path climbs above its base", url->path());
    require_equal(join(base, "").value().target(), base.target(), "an empty reference is not the base");
}

/// A query that is added changes nothing else and arrives as it was given.
void check_query(const Url& base, std::string_view reference, std::string_view key, std::string_view value)
{
    std::string query;
    khive::append_query(query, key, value);
    require(is_visible(query), "a query has a space, control or non-ASCII byte", query);
    require_equal(decoded(query.substr(0, query.find('='))), key, "another key");
    require_equal(decoded(query.substr(query.find('=') + 1)), value, "another value");
    std::string both{reference};
    khive::insert_query(both, query);

    const auto before = join(base, reference);
    const auto after = join(base, both);
    require(before.has_value() == after.has_value(), "a query decides whether a reference is valid", both);
    if (!after) return check_error(after.error());
    require(after->origin() == before->origin(), "a query changes the origin", both);
    require_equal(after->path(), before->path(), "a query changes the path");
    const auto last =
        std::string_view{after->query()}.substr(std::min(after->query().size(), after->query().rfind('&') + 1));
    require_equal(last, query, "a query does not arrive");
}

/// Arguments fill their segments and nothing else.
void check_template(const Url& base, std::string_view pattern, const std::vector<std::string>& args)
{
    const auto path = khive::expand_path(pattern, args);
    if (!path) {
        require(path.error().kind() == khive::ErrorKind::invalid_argument, "another error", path.error().message());
        return require_loggable(path.error().message());
    }
    const std::vector<std::string> plain_args(args.size(), "x");
    const auto plain = khive::expand_path(pattern, plain_args);
    if (!plain) return; // such as the pattern `%2{}`, where it is the letter that does harm
    for (const char delimiter : {'/', '?', '#', '&', '='})
        require(std::count(path->begin(), path->end(), delimiter) == std::count(plain->begin(), plain->end(), delimiter),
                "an argument makes a delimiter", *path);
    require(split(path_of(*path), '/').size() == split(path_of(*plain), '/').size(), "an argument makes a segment", *path);
    // The pattern itself says that its scheme may vary: `http:` and `https:` as a first segment are refused, `ftp:` is one.
    if (plain->find("://") != std::string::npos || split(path_of(*plain), '/').front().ends_with(':')) return;
    if (std::count(args.begin(), args.end(), "") != 0) return; // an empty segment is one, but not at the end of a path

    const auto url = join(base, *path);
    const auto expected = join(base, *plain);
    if (!expected) return; // for the pattern's own fault
    require(url.has_value(), "an argument decides whether a path is valid", *path);
    require(url->origin() == expected->origin(), "an argument changes the origin", *path);
    require(walked(url->path(), false)->size() == walked(expected->path(), false)->size(),
            "an argument steps through the path", *path);
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    static const auto usual_base = Url::parse("https://me:secret@api.test:8443/v1?a=b").value();
    Input in(data, size);
    const auto text = in.text();
    const auto reference = in.text();
    const auto key = in.text();
    const auto value = in.text();
    const auto pattern = in.text();
    std::vector<std::string> args;
    while (!in.empty()) args.emplace_back(in.text());

    const auto parsed = Url::parse(text);
    if (parsed)
        check_url(*parsed);
    else
        check_error(parsed.error());
    const Url& base = parsed ? *parsed : usual_base;
    check_join(base, reference);
    check_query(base, reference, key, value);
    check_template(base, pattern, args);
    return 0;
}

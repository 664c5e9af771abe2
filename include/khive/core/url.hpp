// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>
#include <khive/core/result.hpp>
#include <khive/core/secret.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI {
namespace detail {
struct TargetParts;
} // namespace detail

/// Who is spoken to: the part of a URL that pool, `Host`, SNI and certificate check agree on.
struct Origin {
    bool tls = false;        ///< https
    std::string host;        ///< lower case; an IPv6 literal stands without brackets
    std::uint16_t port = 80; ///< the effective port, 1..65535

    [[nodiscard]] bool operator==(const Origin&) const = default;
    /// What travels in `Host`: without the default port, IPv6 in brackets.
    [[nodiscard]] KHIVE_COLD_DECL std::string host_header() const;
    /// `https://example.com:8443`
    [[nodiscard]] KHIVE_COLD_DECL std::string to_string() const;
};

/// An absolute http or https URL, checked once and split into what is sent and what is kept back.
///
/// - Errors: `parse` gives `invalid_url` for another scheme; a missing host; a host that is not ASCII (write `xn--`
///   names), has percent-encoded bytes or is a number that is no plain IPv4 address; a port outside 1..65535; a control
///   byte or space anywhere; a backslash before the path.
/// - Source: RFC 3986; the host rules for numbers follow the WHATWG URL standard.
class Url {
public:
    template <class Parsed = Url>
    [[nodiscard]] static Result<Parsed> parse(std::string_view text)
    {
        Parsed url;
        Error error = url.read(text);
        return result_of(std::move(error), std::move(url));
    }
    /// The same into this one, which is as it was where it fails.
    [[nodiscard]] KHIVE_COLD_DECL Error read(std::string_view text);
    /// Becomes what a client with it as the base requests, see `join`; it is as it was where that fails.
    [[nodiscard]] KHIVE_COLD_DECL Error follow(std::string_view reference);

    [[nodiscard]] const Origin& origin() const noexcept { return origin_; }
    /// Path and query as sent: bytes that a URL may not have are percent-encoded, others are as given.
    [[nodiscard]] const std::string& target() const noexcept { return target_; }
    /// Never empty; starts with '/'.
    [[nodiscard]] std::string_view path() const noexcept { return std::string_view{target_}.substr(0, path_size_); }
    /// Without the '?'.
    [[nodiscard]] KHIVE_DECL std::string_view query() const noexcept;
    /// Decoded userinfo; empty where there was none. It is in no other part.
    [[nodiscard]] const Secret& user() const noexcept { return user_; }
    [[nodiscard]] const Secret& password() const noexcept { return password_; }

    /// For logs and errors: no userinfo, each value of the query as `***`.
    [[nodiscard]] KHIVE_COLD_DECL std::string redacted() const;

private:
    KHIVE_DECL void set_target(const detail::TargetParts& parts);
    KHIVE_COLD_DECL void append(const detail::TargetParts& parts);

    Origin origin_;
    std::string target_ = "/";
    std::size_t path_size_ = 1;
    Secret user_;
    Secret password_;
};

/// The URL of a target at an origin, for logs and errors: each value of the query as `***`.
[[nodiscard]] KHIVE_COLD_DECL std::string redact_url(const Origin& origin, std::string_view target);

/// What a client with a base URL requests: `https://h/v1` and `/users?a=1` make `https://h/v1/users?a=1`.
///
/// The path is appended: the base always counts as ending in '/', leading slashes of the reference are dropped, so
/// `//host` never names another host. A reference that is an absolute http or https URL is taken as it is, without the
/// user and password of the base; an empty one is the base itself. The query of the base goes first, without the
/// keys that the reference has. Bytes that a URL may not have are percent-encoded, valid `%XX` are kept.
///
/// - Errors: `invalid_url` for another scheme, control bytes, and `..` (also as `%2E%2E`) that climbs above the base.
template <class Joined = Url>
[[nodiscard]] Result<Joined> join(const Url& base, std::string_view reference)
{
    Joined url = base;
    Error error = url.follow(reference);
    return result_of(std::move(error), std::move(url));
}

/// One path segment from any text: only unreserved bytes stay, so that '/' becomes `%2F`; `.` and `..` become `%2E` and
/// `%2E%2E`.
[[nodiscard]] KHIVE_DECL std::string encode_segment(std::string_view text);

/// Adds `key=value` to a query, both encoded (a space as `%20`), after an '&' where something is there.
KHIVE_DECL void append_query(std::string& query, std::string_view key, std::string_view value);
/// Adds a query to a reference: behind the one that is there, before a fragment (RFC 3986 section 3).
KHIVE_DECL void insert_query(std::string& reference, std::string_view query);

/// Adds `key=value` to a body of type `application/x-www-form-urlencoded`: as `append_query`, with a space as '+'.
KHIVE_DECL void append_form(std::string& form, std::string_view key, std::string_view value);

/// Appends what `expand_path` gives; where it fails, a part of it. No span: what that takes of every compilation.
[[nodiscard]] KHIVE_DECL Error append_path(std::string& path, std::string_view pattern, const std::string* args,
                                           std::size_t count);

/// Replaces each `{}` of `pattern` by the next argument, encoded as a segment; `{{` and `}}` stand for braces.
///
/// - Errors: `invalid_argument` where the number of arguments differs, a brace stands alone, or an argument makes a whole
///   path segment `.` or `..`, which a server would take for a step in the path even when it is encoded.
template <class Path = std::string>
[[nodiscard]] Result<Path> expand_path(std::string_view pattern, std::span<const std::string> args)
{
    Path path;
    Error error = append_path(path, pattern, args.data(), args.size());
    return result_of(std::move(error), std::move(path));
}

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/core/impl/url.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/headers.hpp>

namespace khive::inline KHIVE_ABI {
namespace detail {

constexpr char lower(char c) noexcept
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

inline void check_field(std::string_view name, std::string_view value)
{
    if (!is_token(name)) raise_invalid_argument("header name is not a token (RFC 9110 5.6.2)", name);
    if (!is_field_value(value))
        raise_invalid_argument("header value has a control byte such as CR, LF or NUL (RFC 9110 5.5)", name);
}

} // namespace detail

KHIVE_DECL bool iequals(std::string_view a, std::string_view b) noexcept
{
    if (a.size() != b.size()) return false;
    if (a == b) return true; // most senders agree on the case
    for (std::size_t i = 0; i < a.size(); ++i)
        if (detail::lower(a[i]) != detail::lower(b[i])) return false;
    return true;
}

KHIVE_DECL std::string_view trim(std::string_view text) noexcept
{
    const auto blank = [](char c) { return c == ' ' || c == '\t'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

KHIVE_DECL bool is_token(std::string_view text) noexcept
{
    if (text.empty()) return false;
    for (const char c : text)
        if (!detail::token_bytes[static_cast<unsigned char>(c)]) return false;
    return true;
}

KHIVE_DECL bool is_field_value(std::string_view text) noexcept
{
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if ((byte < 0x20 && byte != '\t') || byte == 0x7f) return false;
    }
    return true;
}

KHIVE_DECL Headers& Headers::add(std::string_view name, std::string_view value)
{
    value = trim(value);
    detail::check_field(name, value);
    lines_.reserve(lines_.size() + name.size() + value.size() + 4);
    lines_.append(name).append(": ").append(value).append("\r\n");
    return *this;
}

KHIVE_DECL void Headers::assign_lines(std::string_view lines)
{
    if (lines_.capacity() < lines.size())
        lines_ = std::string(lines);
    else
        lines_.assign(lines);
}

KHIVE_DECL Headers& Headers::set(std::string_view name, std::string_view value)
{
    Headers changed = *this;
    changed.erase(name);
    changed.add(name, value);
    lines_.swap(changed.lines_);
    return *this;
}

KHIVE_DECL std::size_t Headers::erase(std::string_view name)
{
    std::size_t erased = 0;
    std::string kept;
    for (auto at = begin(); at != end();) {
        const auto line = at.rest();
        const bool match = iequals((*at).name, name);
        ++at;
        if (match)
            ++erased;
        else
            kept.append(line.substr(0, line.size() - at.rest().size()));
    }
    if (erased != 0) lines_.swap(kept);
    return erased;
}

KHIVE_DECL bool Headers::find(std::string_view name, std::string_view& value) const noexcept
{
    for (const auto field : *this) {
        if (!iequals(field.name, name)) continue;
        value = field.value;
        return true;
    }
    return false;
}

KHIVE_DECL std::size_t Headers::count(std::string_view name) const noexcept
{
    std::size_t found = 0;
    for (const auto field : *this) found += iequals(field.name, name) ? 1u : 0u;
    return found;
}

KHIVE_DECL std::size_t Headers::size() const noexcept
{
    return static_cast<std::size_t>(std::distance(begin(), end()));
}

KHIVE_DECL Headers::iterator& Headers::iterator::operator++() noexcept
{
    rest_.remove_prefix(line_);
    read();
    return *this;
}

KHIVE_DECL void Headers::iterator::read() noexcept
{
    if (rest_.empty()) return;
    const auto end = rest_.find("\r\n");
    const auto line = rest_.substr(0, end);
    line_ = end == std::string_view::npos ? rest_.size() : end + 2;
    const auto colon = line.find(':');
    field_.name = line.substr(0, colon);
    field_.value = colon == std::string_view::npos ? std::string_view{} : trim(line.substr(colon + 1));
}

} // namespace khive::inline KHIVE_ABI

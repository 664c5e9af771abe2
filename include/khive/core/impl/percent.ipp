// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/impl/headers.ipp>

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

namespace khive::inline KHIVE_ABI::detail {

using ByteTable = std::array<bool, 256>;

constexpr ByteTable bytes_of(std::string_view more)
{
    ByteTable table{};
    for (const char c : std::string_view{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"})
        table[static_cast<unsigned char>(c)] = true;
    for (const char c : more) table[static_cast<unsigned char>(c)] = true;
    return table;
}

inline constexpr ByteTable unreserved_bytes = bytes_of("");
inline constexpr ByteTable path_bytes = bytes_of("!$&'()*+,;=:@/");
inline constexpr ByteTable query_bytes = bytes_of("!$&'()*+,;=:@/?");

constexpr bool is_control(char c) noexcept
{
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

constexpr int hex_value(char c) noexcept
{
    if (c >= '0' && c <= '9') return c - '0';
    const char letter = lower(c);
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

constexpr bool is_escape(std::string_view text, std::size_t at) noexcept
{
    return text[at] == '%' && text.size() - at >= 3 && hex_value(text[at + 1]) >= 0 && hex_value(text[at + 2]) >= 0;
}

inline void append_escape(std::string& out, char c)
{
    constexpr std::string_view digits = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    out.append({'%', digits[byte >> 4], digits[byte & 15u]});
}

/// Encodes every byte that is not in `allowed`.
inline void append_encoded(std::string& out, std::string_view text, const ByteTable& allowed)
{
    for (const char c : text) {
        if (allowed[static_cast<unsigned char>(c)])
            out += c;
        else
            append_escape(out, c);
    }
}

/// The same, but a valid `%XX` is there already.
inline void append_encoded_once(std::string& out, std::string_view text, const ByteTable& allowed)
{
    for (std::size_t i = 0; i < text.size(); ++i)
        if (is_escape(text, i))
            out += text[i];
        else
            append_encoded(out, text.substr(i, 1), allowed);
}

inline std::string decode(std::string_view text)
{
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!is_escape(text, i)) {
            out += text[i];
            continue;
        }
        out += static_cast<char>(hex_value(text[i + 1]) * 16 + hex_value(text[i + 2]));
        i += 2;
    }
    return out;
}

} // namespace khive::inline KHIVE_ABI::detail

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <array>
#include <cstddef>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI {
namespace detail {
/// Throws `InvalidArgumentError` that names the rule and the name it was broken for.
[[noreturn]] KHIVE_COLD_DECL void raise_invalid_argument(std::string rule, std::string_view name);

/// Which bytes a token may have (RFC 9110 section 5.6.2), for one look a byte.
inline constexpr auto token_bytes = [] {
    std::array<bool, 256> table{};
    for (const char c : std::string_view{"!#$%&'*+-.^_`|~0123456789"
                                         "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"})
        table[static_cast<unsigned char>(c)] = true;
    return table;
}();
} // namespace detail

/// Compares header names, ignoring ASCII case (RFC 9110 section 5.1).
[[nodiscard]] KHIVE_DECL bool iequals(std::string_view a, std::string_view b) noexcept;
/// Without the spaces and tabs at both ends.
[[nodiscard]] KHIVE_DECL std::string_view trim(std::string_view text) noexcept;
/// Is `text` a token (RFC 9110 section 5.6.2): a valid method or header name?
[[nodiscard]] KHIVE_DECL bool is_token(std::string_view text) noexcept;
/// Is `text` allowed as a header value: no CR, LF, NUL or other control byte but tab (RFC 9110 section 5.5)?
[[nodiscard]] KHIVE_DECL bool is_field_value(std::string_view text) noexcept;

/// One header field; both views point into the `Headers` they come from.
struct HeaderField {
    std::string_view name;
    std::string_view value;
};

/// Header fields in order; names are compared ignoring case; repeated names are kept.
///
/// They live as text in one block of memory, the form in which they travel: a lookup reads it line by line, which for the
/// twenty fields of a message is faster than an index and costs no allocation.
///
/// - Errors: `set` and `add` throw `InvalidArgumentError` for a name that is no token or a value with CR, LF, NUL or control
///   bytes; nothing changes then.
/// - Thread safety: as a standard container.
/// - Complexity: every lookup is linear in the size of the text.
class Headers {
public:
    class iterator;

    Headers() = default;
    /// Takes field lines that a parser has already checked: each `name:value CRLF`, no folding, no empty line.
    [[nodiscard]] static Headers from_lines(std::string&& lines) noexcept { return Headers(std::move(lines)); }
    [[nodiscard]] static Headers from_lines(const std::string& lines) { return Headers(std::string(lines)); }
    /// Puts such lines in place of what there is. Memory that is too small does not grow, but is replaced.
    KHIVE_DECL void assign_lines(std::string_view lines);

    /// Replaces every field of that name by one.
    KHIVE_DECL Headers& set(std::string_view name, std::string_view value);
    /// Adds a field and keeps others of that name.
    KHIVE_DECL Headers& add(std::string_view name, std::string_view value);
    /// Removes every field of that name; how many there were.
    KHIVE_DECL std::size_t erase(std::string_view name);
    void clear() noexcept { lines_.clear(); }

    /// The first value of that name.
    template <class Value = std::string_view>
    [[nodiscard]] std::optional<Value> get(std::string_view name) const noexcept
    {
        Value value;
        if (!find(name, value)) return std::nullopt;
        return value;
    }
    /// The first value of that name, or `otherwise`.
    [[nodiscard]] std::string_view get_or(std::string_view name, std::string_view otherwise) const noexcept
    {
        find(name, otherwise);
        return otherwise;
    }
    [[nodiscard]] bool contains(std::string_view name) const noexcept
    {
        std::string_view value;
        return find(name, value);
    }
    /// How many fields have that name.
    [[nodiscard]] KHIVE_DECL std::size_t count(std::string_view name) const noexcept;

    [[nodiscard]] bool empty() const noexcept { return lines_.empty(); }
    /// How many fields there are.
    [[nodiscard]] KHIVE_DECL std::size_t size() const noexcept;
    [[nodiscard]] iterator begin() const noexcept;
    [[nodiscard]] iterator end() const noexcept;

    /// The fields as they travel: `name: value CRLF` each, without the empty line.
    [[nodiscard]] const std::string& lines() const noexcept { return lines_; }

private:
    explicit Headers(std::string&& lines) noexcept : lines_(std::move(lines)) {}
    /// The first value of that name; where there is none it is left as it is.
    KHIVE_DECL bool find(std::string_view name, std::string_view& value) const noexcept;

    std::string lines_;
};

/// Walks the fields of a `Headers`, which must not change meanwhile.
class Headers::iterator {
public:
    using value_type = HeaderField;
    using reference = HeaderField;
    using pointer = void;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;

    iterator() = default;
    explicit iterator(std::string_view rest) noexcept : rest_(rest) { read(); }

    [[nodiscard]] HeaderField operator*() const noexcept { return field_; }
    KHIVE_DECL iterator& operator++() noexcept;
    iterator operator++(int) noexcept
    {
        iterator before = *this;
        ++*this;
        return before;
    }
    friend bool operator==(const iterator& a, const iterator& b) noexcept { return a.rest_.size() == b.rest_.size(); }

    /// The bytes from this field on.
    [[nodiscard]] std::string_view rest() const noexcept { return rest_; }

private:
    KHIVE_DECL void read() noexcept;

    std::string_view rest_;
    std::size_t line_ = 0;
    HeaderField field_;
};

inline Headers::iterator Headers::begin() const noexcept
{
    return iterator(lines_);
}

inline Headers::iterator Headers::end() const noexcept
{
    return iterator();
}

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/core/error.hpp>
#include <khive/core/impl/headers.ipp>
#endif

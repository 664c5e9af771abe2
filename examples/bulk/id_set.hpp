// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <utility>
#include <vector>

namespace bulk {

/// What a line is known by: a hash of its id, or of its number where it has none.
///
/// Of a million ids two share a hash with a probability of 3 in 100 million.
[[nodiscard]] inline std::uint64_t key_of(std::string_view id_json, std::uint64_t line)
{
    const auto bytes = std::string_view(reinterpret_cast<const char*>(&line), sizeof line);
    const std::uint64_t hash = id_json == "null" ? ~std::uint64_t{std::hash<std::string_view>{}(bytes)}
                                                 : std::uint64_t{std::hash<std::string_view>{}(id_json)};
    return hash == 0 ? 1 : hash;
}

/// A set of keys in 8 to 24 bytes each: a hash table without pointers.
class IdSet {
public:
    /// False if it was there.
    bool insert(std::uint64_t key)
    {
        if (10 * (size_ + 1) > 7 * table_.size()) grow();
        std::uint64_t& place = find(table_, key);
        if (place == key) return false;
        place = key;
        ++size_;
        return true;
    }
    [[nodiscard]] bool contains(std::uint64_t key) { return size_ != 0 && find(table_, key) == key; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    using Table = std::vector<std::uint64_t>;

    /// Where the key is or belongs; 0 is free.
    static std::uint64_t& find(Table& table, std::uint64_t key)
    {
        const std::size_t mask = table.size() - 1;
        std::size_t at = key & mask;
        while (table[at] != 0 && table[at] != key) at = (at + 1) & mask;
        return table[at];
    }
    void grow()
    {
        Table larger(table_.empty() ? 64 : 2 * table_.size());
        for (const std::uint64_t key : table_)
            if (key != 0) find(larger, key) = key;
        table_ = std::move(larger);
    }

    Table table_; ///< its size is a power of two
    std::size_t size_ = 0;
};

} // namespace bulk

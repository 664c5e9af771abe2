// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/byte_buffer.hpp>
#include <khive/core/sanitizer.hpp>
#include <khive/core/min_max.hpp>

#include <cstring>
#include <new>

namespace khive::inline KHIVE_ABI {

namespace detail {

/// Blocks that buffers of this thread have given back, for its next ones: the C library would return the memory of a large
/// body to the system each time and take page faults for the next. At most 2 MiB a thread. Off under AddressSanitizer, which
/// is to see who uses a body after its end.
class BlockCache {
public:
    BlockCache() = default;
    BlockCache(const BlockCache&) = delete;
    BlockCache& operator=(const BlockCache&) = delete;
    ~BlockCache()
    {
        gone() = true;
        for (const Block& block : blocks_) delete[] block.bytes;
    }

    /// One of at least `capacity` bytes, which it sets to what there is, and not much more; null if there is none.
    [[nodiscard]] char* take(std::size_t& capacity) noexcept
    {
        for (Block& block : blocks_) {
            if (block.capacity < capacity || block.capacity / 4 > capacity) continue;
            capacity = std::exchange(block.capacity, 0);
            held_ -= capacity;
            return std::exchange(block.bytes, nullptr);
        }
        return nullptr;
    }
    void keep(char* bytes, std::size_t capacity) noexcept
    {
        if (held_ + capacity > most) return delete[] bytes;
        for (Block& block : blocks_) {
            if (block.bytes != nullptr) continue;
            block = {bytes, capacity};
            held_ += capacity;
            return;
        }
        delete[] bytes;
    }
    /// Has this thread's cache been destroyed?
    static bool& gone() noexcept
    {
        static thread_local bool gone = false;
        return gone;
    }
    static BlockCache& mine() noexcept
    {
        static thread_local BlockCache cache;
        return cache;
    }

private:
    static constexpr std::size_t most = 2u << 20;
    struct Block {
        char* bytes = nullptr;
        std::size_t capacity = 0;
    };
    Block blocks_[16];
    std::size_t held_ = 0;
};

inline constexpr bool caches_blocks = !KHIVE_ADDRESS_SANITIZER;

KHIVE_DECL void free_block(char* bytes, std::size_t capacity) noexcept
{
    if (caches_blocks && !BlockCache::gone())
        BlockCache::mine().keep(bytes, capacity);
    else
        delete[] bytes;
}

} // namespace detail

KHIVE_DECL void ByteBuffer::reserve(std::size_t capacity)
{
    if (capacity <= this->capacity()) return;
    char* grown = nullptr;
    if (detail::caches_blocks && !detail::BlockCache::gone()) grown = detail::BlockCache::mine().take(capacity);
    if (grown == nullptr) grown = new char[capacity];
    if (size_ != 0) std::memcpy(grown, bytes_, size_);
    if (bytes_ != nullptr) detail::free_block(bytes_, capacity_);
    bytes_ = grown;
    capacity_ = capacity;
}

KHIVE_DECL std::span<char> ByteBuffer::prepare(std::size_t room)
{
    if (room > static_cast<std::size_t>(-1) / 4 - size_) throw std::bad_alloc{};
    if (room > capacity() - size_) reserve(std::max(size_ + room, 2 * capacity()));
    return {bytes_ + size_, capacity() - size_};
}

KHIVE_DECL void ByteBuffer::append(std::string_view bytes)
{
    if (bytes.empty()) return;
    std::memcpy(prepare(bytes.size()).data(), bytes.data(), bytes.size());
    commit(bytes.size());
}

KHIVE_DECL void ByteBuffer::consume(std::size_t count) noexcept
{
    size_ -= count;
    if (size_ != 0) std::memmove(bytes_, bytes_ + count, size_);
}

} // namespace khive::inline KHIVE_ABI

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/byte_buffer.hpp>

#include <algorithm>
#include <cstring>
#include <new>

namespace khive::inline KHIVE_ABI {

KHIVE_DECL void ByteBuffer::reserve(std::size_t capacity)
{
    if (capacity <= capacity_) return;
    auto grown = std::make_unique_for_overwrite<char[]>(capacity);
    if (size_ != 0) std::memcpy(grown.get(), bytes_.get(), size_);
    bytes_ = std::move(grown);
    capacity_ = capacity;
}

KHIVE_DECL std::span<char> ByteBuffer::prepare(std::size_t room)
{
    if (room > static_cast<std::size_t>(-1) / 4 - size_) throw std::bad_alloc{};
    if (room > capacity_ - size_) reserve(std::max(size_ + room, 2 * capacity_));
    return {bytes_.get() + size_, capacity_ - size_};
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
    if (size_ != 0) std::memmove(bytes_.get(), bytes_.get() + count, size_);
}

KHIVE_DECL std::string ByteBuffer::take_string()
{
    std::string text{view()};
    clear();
    return text;
}

} // namespace khive::inline KHIVE_ABI

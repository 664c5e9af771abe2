// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI {

namespace detail {
/// Gives a block of a `ByteBuffer` back.
KHIVE_DECL void free_block(char* bytes, std::size_t capacity) noexcept;
} // namespace detail

/// Bytes that grow at the end and are written in place, without being set to zero first.
///
/// `const auto room = buffer.prepare(4096); buffer.commit(read(room));`
///
/// - Errors: `prepare` and `reserve` throw `std::bad_alloc`; nothing changes then.
/// - Complexity: growth doubles, so bytes are moved a constant number of times each.
class ByteBuffer {
public:
    ByteBuffer() noexcept = default;
    ByteBuffer(ByteBuffer&& other) noexcept;
    ByteBuffer& operator=(ByteBuffer&& other) noexcept;
    ByteBuffer(const ByteBuffer&) = delete;
    ByteBuffer& operator=(const ByteBuffer&) = delete;
    ~ByteBuffer()
    {
        if (bytes_ != nullptr) detail::free_block(bytes_, capacity_);
    }

    [[nodiscard]] char* data() noexcept { return bytes_; }
    [[nodiscard]] const char* data() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::string_view view() const noexcept { return {bytes_, size_}; }

    /// Makes room for `capacity` bytes in all.
    KHIVE_DECL void reserve(std::size_t capacity);
    /// All the room after the last byte, at least `room` bytes of it; valid until the next call that grows or moves.
    [[nodiscard]] KHIVE_DECL std::span<char> prepare(std::size_t room);
    /// The first `count` bytes of the prepared room are data now; not more than was prepared.
    void commit(std::size_t count) noexcept { size_ += count; }
    KHIVE_DECL void append(std::string_view bytes);
    /// Removes `count` bytes at the front and moves the rest there; not more than there are.
    KHIVE_DECL void consume(std::size_t count) noexcept;

    /// Forgets the data and keeps the memory.
    void clear() noexcept { size_ = 0; }
    /// Gives the memory back.
    void release() noexcept { *this = ByteBuffer{}; }

private:
    char* bytes_ = nullptr; ///< owned
    std::size_t capacity_ = 0;
    std::size_t size_ = 0;
};

inline ByteBuffer::ByteBuffer(ByteBuffer&& other) noexcept
    : bytes_(std::exchange(other.bytes_, nullptr)),
      capacity_(std::exchange(other.capacity_, 0)),
      size_(std::exchange(other.size_, 0))
{}

inline ByteBuffer& ByteBuffer::operator=(ByteBuffer&& other) noexcept
{
    ByteBuffer taken(std::move(other));
    std::swap(bytes_, taken.bytes_);
    std::swap(capacity_, taken.capacity_);
    std::swap(size_, taken.size_);
    return *this;
}

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/core/impl/byte_buffer.ipp>
#endif

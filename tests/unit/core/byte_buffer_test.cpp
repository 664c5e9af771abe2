// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/core/byte_buffer.hpp>

#include <limits>
#include <new>
#include <type_traits>

namespace khive_tests::byte_buffer_test {

using khive::ByteBuffer;

TEST_CASE("ByteBuffer: is written in place", "[core][byte_buffer]")
{
    ByteBuffer buffer;
    CHECK(buffer.empty());
    CHECK(buffer.view().empty());

    const auto room = buffer.prepare(3);
    REQUIRE(room.size() >= 3);
    room[0] = 'a';
    room[1] = 'b';
    buffer.commit(2);

    CHECK(buffer.view() == "ab");
    CHECK(buffer.size() == 2);
    CHECK(buffer.data() == buffer.view().data());
}

TEST_CASE("ByteBuffer: keeps its bytes while it grows by doubling", "[core][byte_buffer]")
{
    ByteBuffer buffer;
    std::string expected;
    int growths = 0;
    for (int i = 0; i < 10'000; ++i) {
        const auto before = buffer.capacity();
        buffer.append(std::string(1, static_cast<char>('a' + i % 26)));
        expected += static_cast<char>('a' + i % 26);
        growths += buffer.capacity() != before ? 1 : 0;
    }

    CHECK(buffer.view() == expected);
    CHECK(growths <= 16);
}

TEST_CASE("ByteBuffer: gives all the room that it has", "[core][byte_buffer]")
{
    ByteBuffer buffer;
    buffer.reserve(100);
    buffer.append("12345");

    const std::size_t capacity = buffer.capacity();
    CHECK(capacity >= 100); // as much as the allocator has given
    CHECK(buffer.prepare(1).size() == capacity - 5);
    buffer.reserve(10);
    CHECK(buffer.capacity() == capacity);
}

TEST_CASE("ByteBuffer: consume removes at the front", "[core][byte_buffer]")
{
    ByteBuffer buffer;
    buffer.append("hello");
    buffer.consume(0);
    buffer.consume(3);
    CHECK(buffer.view() == "lo");

    buffer.consume(2);
    CHECK(buffer.empty());
    buffer.consume(0);
    CHECK(buffer.empty());
}

TEST_CASE("ByteBuffer: clear keeps the memory, release gives it back", "[core][byte_buffer]")
{
    ByteBuffer buffer;
    buffer.append("hello");
    const auto capacity = buffer.capacity();

    buffer.clear();
    CHECK(buffer.empty());
    CHECK(buffer.capacity() == capacity);

    buffer.release();
    CHECK(buffer.capacity() == 0);
    buffer.append("again");
    CHECK(buffer.view() == "again");
}

TEST_CASE("ByteBuffer: a moved-from buffer is empty and usable", "[core][byte_buffer]")
{
    STATIC_REQUIRE(std::is_nothrow_move_constructible_v<ByteBuffer>);
    STATIC_REQUIRE_FALSE(std::is_copy_constructible_v<ByteBuffer>);
    ByteBuffer from;
    from.append("hello");

    ByteBuffer to = std::move(from);
    CHECK(to.view() == "hello");
    CHECK(from.capacity() == 0); // NOLINT(bugprone-use-after-move): that is what is tested
    from.append("x");
    to = std::move(from);
    CHECK(to.view() == "x");
    CHECK(from.empty()); // NOLINT(bugprone-use-after-move)
}

TEST_CASE("ByteBuffer: an impossible size is refused and changes nothing", "[core][byte_buffer]")
{
    ByteBuffer buffer;
    buffer.append("hello");

    CHECK_THROWS_AS(buffer.prepare(std::numeric_limits<std::size_t>::max()), std::bad_alloc);
    CHECK(buffer.view() == "hello");
}

} // namespace khive_tests::byte_buffer_test

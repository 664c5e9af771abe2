// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <limits>

// The memory of this executable fails when it is told to: `operator new` in all its forms, and Asio's `aligned_alloc`; or that of
// OpenSSL.
namespace khive_tests::memory {

/// Which allocations of the calling thread fail.
struct Plan {
    std::uint64_t first = std::numeric_limits<std::uint64_t>::max(); ///< from 1 on
    bool later_too = false;                                          ///< all that follow, too
    bool openssl = false;                                            ///< those of OpenSSL, and no others
};

/// From now on allocations of this thread count, and fail as planned.
void arm(const Plan& plan) noexcept;
/// No more. Also where it is not armed.
void disarm() noexcept;
/// How many there were since `arm`, and how many of them failed.
[[nodiscard]] std::uint64_t counted() noexcept;
[[nodiscard]] std::uint64_t failed() noexcept;
/// How many should have failed and were let through: see `failing_memory.cpp`.
[[nodiscard]] std::uint64_t excused() noexcept;
/// Does OpenSSL take its memory here?
[[nodiscard]] bool serves_openssl() noexcept;
/// Counts as an allocation.
void charge();

/// What a test does in between, and what stands for the other side, has memory.
class Aside {
public:
    Aside() noexcept;
    ~Aside();
    Aside(const Aside&) = delete;
    Aside& operator=(const Aside&) = delete;

private:
    int before_;
};

/// The opposite, inside of an `Aside`.
class Inside {
public:
    Inside() noexcept;
    ~Inside();
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

private:
    int before_;
};

} // namespace khive_tests::memory

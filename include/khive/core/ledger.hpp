// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>
#include <khive/core/error_kind.hpp>
#include <khive/core/outcome.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// The address of the other side, without a dependency on sockets.
struct PeerAddress {
    std::array<std::uint8_t, 16> bytes{}; ///< network order; IPv4 uses the first four
    std::uint16_t port = 0;
    std::uint8_t family = 0; ///< 4, 6, or 0 where there was no connection

    /// `127.0.0.1:80`, `[::1]:80`, or `-`.
    [[nodiscard]] KHIVE_COLD_DECL std::string to_string() const;
};

/// One attempt of a call: what it waited for, where it went, how long each phase took, how it ended.
///
/// Durations of phases that did not happen are zero. A call that was refused before an attempt could start has one record
/// that says so.
struct Attempt {
    TimePoint started{};        ///< when the attempt began, before any waiting
    Duration backoff{};         ///< slept before this attempt by the retry policy
    Duration rate_wait{};       ///< waited for a rate token
    Duration slot_wait{};       ///< waited for an executor slot
    Duration pool_wait{};       ///< waited for a connection, dialling not counted
    Duration resolve{};         ///< host name lookup
    Duration connect{};         ///< TCP connect, all addresses tried
    Duration tls{};             ///< TLS handshake
    Duration write{};           ///< from the first byte of the request until the last was accepted
    Duration first_byte{};      ///< from there to the first byte of the answer
    Duration body{};            ///< from there to the last byte of the answer
    Duration elapsed{};         ///< all of the attempt, waits included, backoff not
    std::uint64_t bytes_sent = 0;
    std::uint64_t bytes_received = 0;
    PeerAddress peer{};
    std::uint16_t status = 0;   ///< 0 where no head of an answer came
    ErrorKind error{};          ///< zero where there was none; `status` for 400 and more
    Timer timer = Timer::none;  ///< which timer, where `error` is a timeout
    Verdict verdict = Verdict::neutral; ///< what the circuit breaker was told
    bool reused = false;        ///< the connection had served a request before
    bool replayed = false;      ///< a stale connection was found and the request sent again on a fresh one
    bool maybe_processed = false; ///< the server may have acted on it although there is no answer
};

static_assert(std::is_trivially_copyable_v<Attempt>);

/// Why a call stopped trying.
enum class StopReason : std::uint8_t {
    done,           ///< the last attempt succeeded, or there is nothing to repeat
    not_retryable,  ///< the same again would end the same
    not_replayable, ///< the server may have acted on it and the request is not idempotent
    attempts,       ///< the maximum number of attempts is reached
    deadline,       ///< the next attempt would not fit in the total time
    retry_after,    ///< the server asks for a longer pause than the policy allows
    refused,        ///< refused locally, nothing was sent
    cancelled,      ///< by the caller or by closing the client
};

[[nodiscard]] KHIVE_DECL std::string_view to_string(StopReason reason) noexcept;

/// Every attempt of a call in order: `for (const Attempt& attempt : response.ledger())`. The first costs no allocation. Empty
/// where a request was refused before it could begin.
class Ledger {
public:
    class Iterator;

    Ledger() noexcept {}
    Ledger(const Ledger& other);
    Ledger(Ledger&& other) noexcept;
    Ledger& operator=(const Ledger& other);
    Ledger& operator=(Ledger&& other) noexcept;
    ~Ledger() = default;

    [[nodiscard]] Iterator begin() const noexcept;
    [[nodiscard]] Iterator end() const noexcept;
    [[nodiscard]] std::size_t size() const noexcept { return count_; }
    [[nodiscard]] bool empty() const noexcept { return count_ == 0; }
    [[nodiscard]] const Attempt& operator[](std::size_t index) const { return index == 0 ? first_ : more_.get()[index - 1]; }
    /// The last, if there is one.
    [[nodiscard]] const Attempt& back() const { return (*this)[count_ - 1]; }
    /// Starts the record of a new attempt.
    KHIVE_DECL Attempt& begin_attempt(TimePoint now);
    /// The record being written.
    [[nodiscard]] Attempt& current() { return count_ == 1 ? first_ : more_.get()[count_ - 2]; }
    void clear() noexcept;

    /// Why the call stopped trying.
    [[nodiscard]] StopReason stop_reason() const noexcept { return stop_; }
    void stop(StopReason reason) noexcept { stop_ = reason; }

    /// One line: how many attempts, and of each its backoff, status or error, length and what it waited for.
    [[nodiscard]] KHIVE_COLD_DECL std::string summary() const;

private:
    struct DeleteAttempts {
        void operator()(Attempt* attempts) const noexcept { delete[] attempts; }
    };
    /// The others of `other`, with room until there are as many attempts as the next power of two says.
    KHIVE_COLD_DECL static Attempt* copy_more(const Ledger& other);
    void copy_first(const Ledger& other) noexcept
    {
        if (count_ != 0) std::construct_at(&first_, other.first_);
    }

    union {
        Attempt first_; ///< if there is one; most ledgers that are moved are empty
    };
    Owned<Attempt, DeleteAttempts> more_; ///< once there is a second: few calls have one
    std::uint32_t count_ = 0;
    StopReason stop_ = StopReason::done;
};

class Ledger::Iterator {
public:
    using iterator_category = std::forward_iterator_tag;
    using value_type = Attempt;
    using difference_type = std::ptrdiff_t;
    using pointer = const Attempt*;
    using reference = const Attempt&;

    Iterator() noexcept = default;
    [[nodiscard]] reference operator*() const { return (*ledger_)[index_]; }
    [[nodiscard]] pointer operator->() const { return &**this; }
    Iterator& operator++() noexcept
    {
        ++index_;
        return *this;
    }
    Iterator operator++(int) noexcept
    {
        const Iterator before = *this;
        ++index_;
        return before;
    }
    friend bool operator==(const Iterator& a, const Iterator& b) noexcept { return a.index_ == b.index_; }

private:
    friend class Ledger;
    Iterator(const Ledger& ledger, std::size_t index) noexcept : ledger_(&ledger), index_(index) {}

    const Ledger* ledger_ = nullptr;
    std::size_t index_ = 0;
};

inline Ledger::Ledger(const Ledger& other)
    : more_(other.more_ ? copy_more(other) : nullptr), count_(other.count_), stop_(other.stop_)
{
    copy_first(other);
}

inline Ledger::Ledger(Ledger&& other) noexcept
    : more_(std::move(other.more_)), count_(std::exchange(other.count_, 0U)), stop_(other.stop_)
{
    copy_first(other);
}

inline Ledger& Ledger::operator=(const Ledger& other)
{
    return *this = Ledger(other);
}

inline Ledger& Ledger::operator=(Ledger&& other) noexcept
{
    more_ = std::move(other.more_);
    count_ = std::exchange(other.count_, 0U);
    stop_ = other.stop_;
    copy_first(other);
    return *this;
}

inline Ledger::Iterator Ledger::begin() const noexcept
{
    return {*this, 0};
}

inline Ledger::Iterator Ledger::end() const noexcept
{
    return {*this, count_};
}

inline void Ledger::clear() noexcept
{
    more_.reset();
    count_ = 0;
    stop_ = StopReason::done;
}

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/core/impl/ledger.ipp>
#endif

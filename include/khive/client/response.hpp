// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/detail/json_codec.hpp>
#include <khive/core/byte_buffer.hpp>
#include <khive/core/error.hpp>
#include <khive/core/headers.hpp>
#include <khive/core/ledger.hpp>
#include <khive/core/result.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// An answer, whole: status, headers, body, and the ledger of the attempts it took.
///
/// - Thread safety: as a standard value.
class Response {
public:
    Response() = default;

    [[nodiscard]] int status() const noexcept { return status_; }
    /// Status 200 to 299.
    [[nodiscard]] bool ok() const noexcept { return status_ >= 200 && status_ < 300; }
    [[nodiscard]] const Headers& headers() const noexcept { return headers_; }
    /// The first header of that name, or empty.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept { return headers_.get_or(name, {}); }
    /// The body, valid as long as this object.
    [[nodiscard]] std::string_view body() const noexcept { return body_.view(); }
    /// A copy of the body.
    [[nodiscard]] std::string text() const { return std::string(body()); }
    /// The body as a `T`: as it is for `std::string`, else from JSON, for which `#include <khive/client/json.hpp>`. Throws
    /// `DecodeError`, which carries the answer.
    template <class T>
    [[nodiscard]] T as() const
    {
        auto value = try_as<T>();
        if (!value) value.error().raise();
        return std::move(*value);
    }
    /// The same without a throw.
    template <class T>
    [[nodiscard]] Result<T> try_as() const
    {
        auto value = detail::decode_body<T>(body());
        if (!value) return with_answer(value.error());
        return value;
    }
    /// From the call's start to the last byte, waits and failed attempts included.
    [[nodiscard]] Duration elapsed() const noexcept { return elapsed_; }
    [[nodiscard]] const Ledger& ledger() const noexcept { return ledger_; }

    /// \name For the client
    /// @{
    void assign(int status, Headers&& headers, ByteBuffer&& body) noexcept
    {
        status_ = status;
        headers_ = std::move(headers);
        body_ = std::move(body);
    }
    void finish(Duration elapsed) noexcept { elapsed_ = elapsed; }
    [[nodiscard]] Ledger& writable_ledger() noexcept { return ledger_; }
    [[nodiscard]] Headers&& take_headers() noexcept { return std::move(headers_); }
    [[nodiscard]] ByteBuffer&& take_body() noexcept { return std::move(body_); }
    /// The error with what is known of the answer, and so much of the body.
    [[nodiscard]] KHIVE_DECL Error with_answer(Error error, std::size_t max_body = 4096) const;
    /// Without status and ledger; memory stays.
    void clear() noexcept
    {
        status_ = 0;
        elapsed_ = {};
        ledger_.clear();
    }
    /// Empties another and has its memory.
    void take_memory(Response& other) noexcept
    {
        other.clear();
        *this = std::move(other);
    }
    /// @}

private:
    int status_ = 0;
    Headers headers_;
    ByteBuffer body_;
    Duration elapsed_{};
    Ledger ledger_;
};

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/client/impl/response.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>
#include <khive/core/error_kind.hpp>
#include <khive/core/headers.hpp>
#include <khive/core/ledger.hpp>
#include <khive/core/outcome.hpp>
#include <khive/core/time.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/system/error_code.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI {

namespace detail {
struct ErrorDetails;
KHIVE_DECL void intrusive_ptr_add_ref(const ErrorDetails* details) noexcept;
KHIVE_DECL void intrusive_ptr_release(const ErrorDetails* details) noexcept;
} // namespace detail

/// At most `limit` bytes of untrusted text with control bytes, quotes and non-ASCII bytes escaped, safe to print.
[[nodiscard]] KHIVE_COLD_DECL std::string escape_untrusted(std::string_view text, std::size_t limit = 256);

/// What went wrong, as a value: a kind, and behind a pointer whatever is known about it.
///
/// The same object serves both styles: `Result<T>` holds it, and `raise()` throws the exception class of its kind, which
/// holds it too. A refusal that carries nothing but a kind and a delay allocates nothing.
///
/// - Lifetime: headers, body, ledger and texts live as long as this object or a copy of it. `error()` of a `const` `Result` is a
///   copy: keep it while you look at them.
/// - Thread safety: as a standard value; copies share immutable details.
class Error {
public:
    /// No error: what `Result<T>::error()` gives for a value.
    Error() noexcept = default;
    explicit Error(ErrorKind kind) noexcept : kind_(kind) {}

    /// Is it an error at all?
    [[nodiscard]] bool failed() const noexcept { return kind_ != ErrorKind{}; }

    /// \name What is known
    /// @{
    [[nodiscard]] ErrorKind kind() const noexcept { return kind_; }
    [[nodiscard]] boost::system::error_code code() const noexcept { return make_error_code(kind_); }
    /// All of it in one line, safe to log: no secrets, untrusted text escaped and bounded.
    [[nodiscard]] KHIVE_COLD_DECL std::string message() const;
    /// What happened, without method and URL.
    [[nodiscard]] KHIVE_COLD_DECL std::string_view reason() const noexcept;
    /// Request method; empty where there was no request.
    [[nodiscard]] KHIVE_COLD_DECL std::string_view method() const noexcept;
    /// Request URL without userinfo and with the values of the query masked.
    [[nodiscard]] KHIVE_COLD_DECL std::string_view url() const noexcept;
    /// HTTP status; 0 where no answer came.
    [[nodiscard]] KHIVE_COLD_DECL int status() const noexcept;
    /// Headers of the answer; empty where none came.
    [[nodiscard]] KHIVE_COLD_DECL const Headers& headers() const noexcept;
    /// The beginning of the answer's body. Untrusted: never print it raw.
    [[nodiscard]] KHIVE_COLD_DECL std::string_view body() const noexcept;
    /// The error code underneath: of the socket, of TLS, of the resolver.
    [[nodiscard]] KHIVE_COLD_DECL boost::system::error_code cause() const noexcept;
    /// Which timer ran out, and its value.
    [[nodiscard]] KHIVE_DECL Timer timer() const noexcept;
    [[nodiscard]] KHIVE_DECL Duration timer_value() const noexcept;
    /// Every attempt of the call.
    [[nodiscard]] KHIVE_COLD_DECL const Ledger& ledger() const noexcept;
    /// How long the call took; zero where none was made.
    [[nodiscard]] KHIVE_COLD_DECL Duration elapsed() const noexcept;
    /// Would the same call later end differently?
    [[nodiscard]] bool retryable() const noexcept { return retryable_; }
    /// When to try again, where somebody said so.
    [[nodiscard]] std::optional<Duration> retry_after() const noexcept;
    /// May the server have acted on the request although it failed?
    [[nodiscard]] bool maybe_processed() const noexcept { return maybe_processed_; }
    /// What it says about the other side, for policies.
    [[nodiscard]] KHIVE_COLD_DECL Outcome outcome() const noexcept;
    /// @}

    /// \name Building
    /// @{
    KHIVE_COLD_DECL Error&& with_message(std::string reason) &&;
    KHIVE_COLD_DECL Error&& with_request(std::string_view method, std::string_view redacted_url) &&;
    KHIVE_COLD_DECL Error&& with_response(int status, Headers headers, std::string body) &&;
    KHIVE_COLD_DECL Error&& with_cause(boost::system::error_code cause) &&;
    KHIVE_COLD_DECL Error&& with_timer(Timer timer, Duration value) &&;
    KHIVE_COLD_DECL Error&& with_ledger(Ledger ledger) &&;
    KHIVE_COLD_DECL Error&& with_elapsed(Duration elapsed) &&;
    Error&& with_retryable(bool retryable) && noexcept;
    Error&& with_retry_after(std::optional<Duration> delay) && noexcept;
    Error&& with_maybe_processed(bool maybe) && noexcept;
    /// @}

    /// Throws the exception class of this kind.
    [[noreturn]] KHIVE_COLD_DECL void raise() const;

private:
    [[nodiscard]] KHIVE_COLD_DECL detail::ErrorDetails& details();

    boost::intrusive_ptr<detail::ErrorDetails> details_;
    Duration retry_after_{-1};
    ErrorKind kind_{};
    bool retryable_ = false;
    bool maybe_processed_ = false;
};

inline std::optional<Duration> Error::retry_after() const noexcept
{
    return retry_after_ < Duration::zero() ? std::nullopt : std::optional{retry_after_};
}

inline Error&& Error::with_retryable(bool retryable) && noexcept
{
    retryable_ = retryable;
    return std::move(*this);
}

inline Error&& Error::with_retry_after(std::optional<Duration> delay) && noexcept
{
    retry_after_ = delay.value_or(Duration{-1});
    return std::move(*this);
}

inline Error&& Error::with_maybe_processed(bool maybe) && noexcept
{
    maybe_processed_ = maybe;
    return std::move(*this);
}

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/core/exceptions.hpp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/detail/json_codec.hpp>
#include <khive/client/timeouts.hpp>
#include <khive/core/headers.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/result.hpp>
#include <khive/core/secret.hpp>
#include <khive/core/single_threaded.hpp>
#include <khive/core/url.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>

#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI {

namespace detail {

/// What may stand for a piece of a path, query or form: text, a finite number, a boolean.
template <class T>
concept UrlValue = std::convertible_to<const T&, std::string_view> || std::integral<T> || std::floating_point<T>;

/// The shortest text that reads back as this number in its type. Of one that is not finite it makes a mistake.
[[nodiscard]] KHIVE_DECL std::string text_of_number(float value, Error& mistake);
[[nodiscard]] KHIVE_DECL std::string text_of_number(double value, Error& mistake);

template <UrlValue T>
std::string text_of(const T& value, Error& mistake)
{
    if constexpr (std::convertible_to<const T&, std::string_view>)
        return std::string(std::string_view(value));
    else if constexpr (std::same_as<T, bool>)
        return value ? "true" : "false";
    else if constexpr (std::same_as<T, char>)
        return std::string(1, value);
    else if constexpr (std::same_as<T, long double>)
        return text_of_number(static_cast<double>(value), mistake);
    else if constexpr (std::floating_point<T>)
        return text_of_number(value, mistake);
    else
        return std::to_string(value);
}

/// What a caller has said to a question, if anything.
enum class Said : unsigned char { nothing, no, yes };
inline bool yes(Said said, bool otherwise) noexcept
{
    return said == Said::nothing ? otherwise : said == Said::yes;
}

/// What a request says besides its method and path. Mistakes are kept and reported when it is sent, before any byte is.
struct RequestExtras {
    std::string query;
    Headers headers;
    std::string body;
    std::string content_type; ///< of the body, unless `headers` says
    bool has_body = false;
    Timeouts timeouts; ///< if `has_timeouts`
    bool has_timeouts = false;
    std::optional<Duration> total;
    std::optional<Duration> attempt;
    Said raise_for_status = Said::nothing;
    Said replay_safe = Said::nothing;
    Error mistake;

    /// \name For the client
    /// @{
    TimeoutsInForce in_force;           ///< of the call, where it has some of its own
    std::shared_ptr<void> other_origin; ///< keeps the pool's record of an origin that is not that of the base
    /// @}

    KHIVE_DECL void set_header(std::string_view name, std::string_view value);
    KHIVE_DECL void set_basic_auth(std::string_view user, const Secret& password);
    KHIVE_DECL void set_body(std::string bytes, std::string_view content_type);
    KHIVE_DECL void add_form_field(std::string_view name, std::string_view value);
    /// A form and another body do not go together, whichever comes first.
    KHIVE_DECL void check_one_body(bool is_form);
    /// Ready for another request; memory stays.
    KHIVE_DECL void clear() noexcept;
    /// Those of a request that says nothing more.
    [[nodiscard]] KHIVE_DECL static const RequestExtras& none() noexcept;
};

/// Method and path, and what the client has made of them. Not changed while several share it.
struct RequestLine : boost::intrusive_ref_counter<RequestLine, ThreadSafeCount> {
    std::string method;
    std::string reference; ///< path or absolute URL, encoded

    std::string head; ///< as it is sent
    std::string target;
    bool head_method = false;
    bool idempotent = false;          ///< by its method
    bool plainly_replay_safe = false; ///< where the head is of method and path alone: unless the caller says otherwise
};
using RequestLinePtr = boost::intrusive_ptr<RequestLine>;

/// What a request has collected. Most say no more than a line, and there may be thousands that wait.
class RequestFields {
public:
    bool in_head = false;   ///< the client has made a head of the line alone, which is still there
    bool only_line = false; ///< nothing but the line has been said
    double cost = 1;

    RequestFields() = default;
    RequestFields(RequestFields&&) noexcept = default;
    RequestFields& operator=(RequestFields&&) noexcept = default;
    KHIVE_DECL RequestFields(const RequestFields& other);
    RequestFields& operator=(const RequestFields& other) { return *this = RequestFields(other); }
    ~RequestFields() = default;

    [[nodiscard]] const RequestLine& line() const noexcept { return line_ ? *line_ : no_line(); }
    /// To be written: not what others share.
    [[nodiscard]] KHIVE_DECL RequestLine& own_line();
    [[nodiscard]] const RequestLinePtr& shared_line() const noexcept { return line_; }
    /// A line that others have, of which the client has made a head, to be compared with what is said.
    void share_line(RequestLinePtr line) noexcept
    {
        line_ = std::move(line);
        in_head = line_ != nullptr;
    }
    /// The rest, to be read.
    [[nodiscard]] const RequestExtras& extras() const noexcept { return extras_ ? *extras_ : RequestExtras::none(); }
    /// The rest, to be written.
    [[nodiscard]] RequestExtras& more()
    {
        if (!extras_) extras_.reset(new RequestExtras);
        return *extras_;
    }
    [[nodiscard]] std::string_view body() const noexcept { return extras_ ? extras_->body : std::string_view{}; }
    [[nodiscard]] std::size_t body_capacity() const noexcept { return extras_ ? extras_->body.capacity() : 0; }
    /// Does the request have a limit of its own that beats a policy's?
    [[nodiscard]] bool sets_total() const noexcept
    {
        return extras_ && (extras_->total || (extras_->has_timeouts && extras_->timeouts.total != Timeouts{}.total));
    }
    [[nodiscard]] bool sets_attempt() const noexcept
    {
        return extras_ && (extras_->attempt || (extras_->has_timeouts && extras_->timeouts.attempt != Timeouts{}.attempt));
    }

    /// Method and path, its `{}` replaced by the arguments.
    KHIVE_DECL void set_line(std::string_view new_method, std::string_view pattern, const std::string* arguments,
                             std::size_t count, Error mistake);
    /// Those of a request that was made elsewhere.
    KHIVE_DECL void take(RequestFields other) noexcept;
    /// Ready for another request; memory stays, and so does the line, for the next to be compared with.
    KHIVE_DECL void clear() noexcept;

private:
    KHIVE_DECL void replace_line(std::string_view new_method, std::string_view pattern, const std::string* arguments,
                                 std::size_t count);

    [[nodiscard]] KHIVE_DECL static const RequestLine& no_line() noexcept;

    RequestLinePtr line_;
    Owned<RequestExtras> extras_; ///< from the first setter on
};

/// Method and path, its `{}` replaced by the arguments.
template <UrlValue... Args>
void set_line(RequestFields& fields, std::string_view method, std::string_view path, const Args&... args)
{
    Error mistake;
    if constexpr (sizeof...(Args) == 0) {
        fields.set_line(method, path, nullptr, 0, std::move(mistake));
    } else {
        const std::string texts[] = {text_of(args, mistake)...};
        fields.set_line(method, path, texts, sizeof...(Args), std::move(mistake));
    }
}

} // namespace detail

/// The setters of a request, for whatever holds one.
///
/// - Errors: nothing throws here; a header with CR or LF, a path that climbs, a cost of NaN and the like are reported by the verb
///   that sends, as the error `invalid_argument` or `invalid_url`, before any byte goes out.
/// - Lifetime: each setter gives a reference to the object it was called on. A request that outlives its statement gets a name
///   first: `auto r = api.get("/users");`, then `r.query("page", 2);`. `auto& r = api.get("/users").query("page", 2);` dangles.
template <class Self>
class FluentRequest {
public:
    /// Adds `key=value` to the query, both encoded. A key may be repeated.
    template <detail::UrlValue T>
    Self& query(std::string_view key, const T& value)
    {
        append_query(more().query, key, text_of(value));
        return self();
    }
    /// Adds it only if there is a value.
    template <detail::UrlValue T>
    Self& query(std::string_view key, const std::optional<T>& value)
    {
        return value ? query(key, *value) : self();
    }
    /// Sets a header; replaces the client's default of that name.
    Self& header(std::string_view name, std::string_view value)
    {
        more().set_header(name, value);
        return self();
    }
    /// `Authorization: Bearer` for this request, wherever it goes.
    Self& bearer(const Secret& token) { return header("Authorization", "Bearer " + token.reveal()); }
    /// `Authorization: Basic` for this request, wherever it goes (RFC 7617).
    Self& basic_auth(std::string_view user, const Secret& password)
    {
        more().set_basic_auth(user, password);
        return self();
    }
    /// A body of raw bytes.
    Self& body(std::string bytes, std::string_view content_type = "application/octet-stream")
    {
        more().set_body(std::move(bytes), content_type);
        return self();
    }
    /// A body of JSON made from `value`. Needs `#include <khive/client/json.hpp>`. For GCC 12 and 13 name a braced
    /// `nlohmann::json` on the line before the `co_await`: inside the expression they do not compile it or destroy it twice.
    template <class T>
    Self& json(const T& value)
    {
        static_assert(detail::HasJsonCodec<T>, "json(value) needs #include <khive/client/json.hpp>");
        auto text = JsonCodec<T>::encode(value);
        if (text)
            more().set_body(std::move(*text), "application/json");
        else
            more().mistake = text.error();
        return self();
    }
    /// Adds a field to an urlencoded form, which becomes the body. Beside another body it is a mistake.
    template <detail::UrlValue T>
    Self& form(std::string_view name, const T& value)
    {
        more().add_form_field(name, text_of(value));
        return self();
    }
    /// Adds it only if there is a value.
    template <detail::UrlValue T>
    Self& form(std::string_view name, const std::optional<T>& value)
    {
        return value ? form(name, *value) : self();
    }
    /// The whole call may take that long; `unlimited` for no limit. Overrides the client's `Timeouts::total`.
    Self& timeout(Duration total)
    {
        more().total = total;
        return self();
    }
    /// One attempt may take that long. Overrides `Timeouts::attempt`.
    Self& attempt_timeout(Duration attempt)
    {
        more().attempt = attempt;
        return self();
    }
    /// Replaces all of the client's timeouts: what is not named gets khive's default, not the client's. Those of dialling apply
    /// to a connection that is made for this call; it may get another that comes first.
    Self& timeouts(const Timeouts& timeouts)
    {
        more().timeouts = timeouts;
        more().has_timeouts = true;
        return self();
    }
    /// What the rate limiter charges; 1 by default.
    Self& cost(double tokens)
    {
        fields().cost = tokens;
        return self();
    }
    /// Sends `Idempotency-Key`, the same on every attempt, which makes any method safe to repeat.
    Self& idempotency_key(std::string_view key) { return header("Idempotency-Key", key); }
    /// Says whether acting on this request twice is harmless, whatever its method.
    Self& replay_safe(bool safe)
    {
        more().replay_safe = safe ? detail::Said::yes : detail::Said::no;
        return self();
    }
    /// Is a status of 400 or more an error?
    Self& raise_for_status(bool raise)
    {
        more().raise_for_status = raise ? detail::Said::yes : detail::Said::no;
        return self();
    }

protected:
    FluentRequest() = default;
    ~FluentRequest() = default;
    FluentRequest(const FluentRequest&) = default;
    FluentRequest(FluentRequest&&) noexcept = default;
    FluentRequest& operator=(const FluentRequest&) = default;
    FluentRequest& operator=(FluentRequest&&) noexcept = default;

private:
    Self& self() noexcept { return static_cast<Self&>(*this); }
    detail::RequestFields& fields()
    {
        detail::RequestFields& fields = self().collected();
        fields.only_line = false;
        return fields;
    }
    detail::RequestExtras& more() { return fields().more(); }
    template <detail::UrlValue T>
    std::string text_of(const T& value)
    {
        return detail::text_of(value, more().mistake);
    }
};

/// A request as a value, for code that makes requests in one place and sends them in another.
///
/// `co_await api.call(khive::Request("GET", "/users/{}", 42).query("expand", "teams"))`
class Request : public FluentRequest<Request> {
public:
    Request() : Request("GET", "/") {}
    /// `{}` in the path is replaced by the arguments, encoded.
    template <detail::UrlValue... Args>
    Request(std::string_view method, std::string_view path, const Args&... args)
    {
        detail::set_line(fields_, method, path, args...);
    }

    /// For the client.
    [[nodiscard]] detail::RequestFields take_fields() && noexcept { return std::move(fields_); }

private:
    friend FluentRequest<Request>;
    detail::RequestFields& collected() noexcept { return fields_; }

    detail::RequestFields fields_;
};

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/client/impl/request.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/detail/basic_auth.hpp>
#include <khive/client/request.hpp>

#include <charconv>

namespace khive::inline KHIVE_ABI::detail {

inline constexpr std::string_view form_type = "application/x-www-form-urlencoded";

template <class Number>
std::string shortest_text(Number value)
{
    char text[32];
    return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

inline void check_finite(double value, Error& mistake)
{
    if (value - value == 0) return; // not by `<cmath>`, which takes 10 MB of the compiler
    mistake = Error{ErrorKind::invalid_argument}.with_message("a number in a path, query or form must be finite, not " +
                                                              shortest_text(value));
}

KHIVE_DECL std::string text_of_number(float value, Error& mistake)
{
    check_finite(value, mistake);
    return shortest_text(value);
}

KHIVE_DECL std::string text_of_number(double value, Error& mistake)
{
    check_finite(value, mistake);
    return shortest_text(value);
}

KHIVE_DECL void RequestExtras::set_header(std::string_view name, std::string_view value)
{
    if (is_token(name) && is_field_value(value)) {
        headers.set(name, value);
        return;
    }
    const char* rule = is_token(name) ? "header value has a control byte such as CR, LF or NUL (RFC 9110 5.5)"
                                      : "header name is not a token (RFC 9110 5.6.2)";
    mistake = Error{ErrorKind::invalid_argument}.with_message(std::string(rule) + ": '" + escape_untrusted(name) + "'");
}

KHIVE_DECL void RequestExtras::set_basic_auth(std::string_view user, const Secret& password)
{
    if (user.find(':') == std::string_view::npos) return set_header("Authorization", basic_credentials(user, password));
    mistake = Error{ErrorKind::invalid_argument}.with_message(no_colon_in_user);
}

KHIVE_DECL void RequestExtras::set_body(std::string bytes, std::string_view type)
{
    if (!is_field_value(type)) return set_header("Content-Type", type);
    check_one_body(type == form_type);
    body = std::move(bytes);
    has_body = true;
    content_type = type;
}

KHIVE_DECL void RequestExtras::add_form_field(std::string_view name, std::string_view value)
{
    check_one_body(true);
    append_form(body, name, value);
    has_body = true;
    content_type = form_type;
}

KHIVE_DECL void RequestExtras::check_one_body(bool is_form)
{
    if (has_body && is_form != (content_type == form_type))
        mistake = Error{ErrorKind::invalid_argument}.with_message("a request has one body: a form, or JSON or bytes");
}

KHIVE_DECL void RequestExtras::clear() noexcept
{
    query.clear();
    headers.clear();
    body.clear();
    content_type.clear();
    has_body = false;
    has_timeouts = false;
    total.reset();
    attempt.reset();
    raise_for_status = replay_safe = Said::nothing;
    mistake = Error{};
}

KHIVE_DECL const RequestExtras& RequestExtras::none() noexcept
{
    static const RequestExtras none;
    return none;
}

KHIVE_DECL RequestFields::RequestFields(const RequestFields& other)
    : in_head(other.in_head),
      only_line(other.only_line),
      cost(other.cost),
      line_(other.line_),
      extras_(other.extras_ ? new RequestExtras(*other.extras_) : nullptr)
{}

KHIVE_DECL const RequestLine& RequestFields::no_line() noexcept
{
    static const RequestLine none;
    return none;
}

KHIVE_DECL RequestLine& RequestFields::own_line()
{
    if (line_ && line_->use_count() == 1) return *line_;
    RequestLinePtr own(new RequestLine);
    own->method = line().method;
    own->reference = line().reference;
    line_ = std::move(own);
    return *line_;
}

KHIVE_DECL void RequestFields::set_line(std::string_view new_method, std::string_view pattern, const std::string* arguments,
                                        std::size_t count, Error mistake)
{
    only_line = !mistake.failed();
    // There are no braces in a head: what is equal to its path has none either.
    if (!in_head || count != 0 || pattern != line_->reference || new_method != line_->method)
        replace_line(new_method, pattern, arguments, count);
    if (mistake.failed()) more().mistake = std::move(mistake);
}

KHIVE_DECL void RequestFields::replace_line(std::string_view new_method, std::string_view pattern,
                                            const std::string* arguments, std::size_t count)
{
    in_head = false;
    if (!line_ || line_->use_count() != 1) line_.reset(new RequestLine);
    line_->method.clear();
    line_->method.append(new_method); // which costs a third of assigning
    if (count == 0 && pattern.find("{}") == std::string_view::npos) {
        line_->reference.clear();
        line_->reference.append(pattern);
        return;
    }
    std::string path;
    auto bad = append_path(path, pattern, arguments, count);
    only_line = only_line && !bad.failed();
    if (!bad.failed())
        line_->reference = std::move(path);
    else
        more().mistake = std::move(bad);
}

KHIVE_DECL void RequestFields::take(RequestFields other) noexcept
{
    other.in_head = in_head && other.line().reference == line_->reference && other.line().method == line_->method;
    if (other.in_head) other.line_ = std::move(line_);
    *this = std::move(other);
}

KHIVE_DECL void RequestFields::clear() noexcept
{
    if (extras_) extras_->other_origin.reset();
    if (only_line) return;
    cost = 1;
    if (extras_) extras_->clear();
}

} // namespace khive::inline KHIVE_ABI::detail

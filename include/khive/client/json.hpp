// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/request.hpp>
#include <khive/core/result.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI {

namespace detail {

/// What nlohmann's library says, without the bytes it quotes: a body may hold secrets.
inline Error json_error(const nlohmann::json::exception& error, const char* doing)
{
    std::string what = error.what();
    for (const char* quote : {"; last read", " parsing '"})
        if (const auto at = what.find(quote); at != std::string::npos) what.resize(at);
    return Error{ErrorKind::decode}.with_message(std::string(doing) + ": " + escape_untrusted(what));
}

/// nlohmann's library copies, compares and writes a value by recursion: what a server nests must not overflow the stack.
inline constexpr std::size_t max_json_depth = 512;

/// Where the quote stands that ends the text which begins at `begin`.
inline std::size_t end_of_json_text(std::string_view text, std::size_t begin) noexcept
{
    auto quote = text.find('"', begin);
    while (quote < text.size()) {
        const auto before = text.substr(begin, quote - begin);
        const auto slashes = before.size() - (before.find_last_not_of('\\') + 1);
        if (slashes % 2 == 0) return quote;
        quote = text.find('"', quote + 1);
    }
    return text.size();
}

/// Are arrays and objects nested deeper than `limit`? Exact up to where the text is no JSON.
inline bool nests_deeper(std::string_view text, std::size_t limit) noexcept
{
    std::size_t depth = 0;
    for (std::size_t i = 0; i < text.size() && depth <= limit; ++i) {
        const char c = text[i];
        if (c == '"')
            i = end_of_json_text(text, i + 1);
        else if (c == '[' || c == '{')
            ++depth;
        else if ((c == ']' || c == '}') && depth != 0)
            --depth;
    }
    return depth > limit;
}

} // namespace detail

/// JSON through nlohmann's library: any type with `to_json` and `from_json`, such as by `NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE`.
///
/// - Errors: `decode` with the position or the name of the field that does not fit; for a value that cannot be written
///   (text that is not UTF-8, a `to_json` that throws) `invalid_argument`.
/// - Numbers: as nlohmann's library converts them, which does not check whether one fits the integer that is asked for. Where a
///   server is not trusted that far, read a `double` or `nlohmann::json` and look.
template <class T>
struct JsonCodec {
    [[nodiscard]] static Result<std::string> encode(const T& value)
    {
        try {
            return nlohmann::json(value).dump();
        } catch (const nlohmann::json::exception& error) {
            return Error{ErrorKind::invalid_argument}.with_message(detail::json_error(error, "cannot write JSON").message());
        } catch (const std::bad_alloc&) {
            throw;
        } catch (const std::exception&) { // whose text may quote the value
            return Error{ErrorKind::invalid_argument}.with_message("cannot write JSON: to_json threw an exception");
        }
    }

    /// An empty body is an error, except for `nlohmann::json`, where it is null; one that nests deeper than 512 is an error.
    [[nodiscard]] static Result<T> decode(std::string_view text)
    {
        if (text.empty()) {
            if constexpr (std::is_same_v<T, nlohmann::json>)
                return Result<T>(boost::system::in_place_value);
            else
                return Error{ErrorKind::decode}.with_message("cannot decode JSON: the body is empty");
        }
        if (text.find('\0') != std::string_view::npos) // where the parser would take the body for complete
            return Error{ErrorKind::decode}.with_message("cannot decode JSON: the body has a NUL byte");
        if (detail::nests_deeper(text, detail::max_json_depth))
            return Error{ErrorKind::decode}.with_message("cannot decode JSON: the body nests too deep");
        try {
            return Result<T>(boost::system::in_place_value, nlohmann::json::parse(text).template get<T>());
        } catch (const nlohmann::json::exception& error) {
            return detail::json_error(error, "cannot decode JSON");
        } catch (const std::bad_alloc&) {
            throw;
        } catch (const std::exception&) { // whose text may quote the body
            return Error{ErrorKind::decode}.with_message("cannot decode JSON: from_json threw an exception");
        }
    }
};

} // namespace khive::inline KHIVE_ABI

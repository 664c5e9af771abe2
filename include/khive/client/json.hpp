// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/request.hpp>
#include <khive/core/result.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <exception>
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

/// Values within values of a body that means well. nlohmann's library, and types that hold themselves, copy and read by recursion.
inline constexpr std::size_t max_json_depth = 512;

/// Are so many arrays and objects open at once? A look at the brackets outside of strings, before anything is parsed.
[[nodiscard]] inline bool nests_deeper(std::string_view text, std::size_t limit) noexcept
{
    std::size_t depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        switch (text[i]) {
        case '"': quoted = !quoted; break;
        case '\\': i += quoted ? 1u : 0u; break;
        case '[':
        case '{':
            if (!quoted && ++depth > limit) return true;
            break;
        case ']':
        case '}': depth -= !quoted && depth != 0 ? 1u : 0u; break;
        default: break;
        }
    }
    return false;
}

/// What nlohmann's library would die of, or take though it is no JSON; empty if there is nothing.
[[nodiscard]] inline std::string_view unfit_json(std::string_view text) noexcept
{
    if (text.find('\0') != std::string_view::npos) return "a NUL byte, which would end it unseen";
    if (nests_deeper(text, max_json_depth)) return "more than 512 arrays and objects within each other";
    return {};
}

} // namespace detail

/// JSON through nlohmann's library: any type with `to_json` and `from_json`, such as by `NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE`.
///
/// - Errors: `decode` with the position or the name of the field that does not fit, and for more than 512 arrays and objects
///   within each other; for a value that cannot be written (text that is not UTF-8) `invalid_argument`.
template <class T>
struct JsonCodec {
    [[nodiscard]] static Result<std::string> encode(const T& value)
    {
        try {
            return nlohmann::json(value).dump();
        } catch (const nlohmann::json::exception& error) {
            return Error{ErrorKind::invalid_argument}.with_message(detail::json_error(error, "cannot write JSON").message());
        }
    }

    /// An empty body is an error, except for `nlohmann::json`, where it is null.
    [[nodiscard]] static Result<T> decode(std::string_view text)
    {
        if (text.empty()) {
            if constexpr (std::is_same_v<T, nlohmann::json>)
                return Result<T>(boost::system::in_place_value);
            else
                return Error{ErrorKind::decode}.with_message("cannot decode JSON: the body is empty");
        }
        if (const auto unfit = detail::unfit_json(text); !unfit.empty())
            return Error{ErrorKind::decode}.with_message("cannot decode JSON: " + std::string(unfit));
        try {
            return Result<T>(boost::system::in_place_value, nlohmann::json::parse(text).template get<T>());
        } catch (const nlohmann::json::exception& error) {
            return detail::json_error(error, "cannot decode JSON");
        } catch (const std::exception&) { // whose text may quote the body
            return Error{ErrorKind::decode}.with_message("cannot decode JSON: from_json threw an exception");
        }
    }
};

} // namespace khive::inline KHIVE_ABI

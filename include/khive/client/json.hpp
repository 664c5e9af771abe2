// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/request.hpp>
#include <khive/core/result.hpp>

#include <nlohmann/json.hpp>

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

} // namespace detail

/// JSON through nlohmann's library: any type with `to_json` and `from_json`, such as by `NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE`.
///
/// - Errors: `decode` with the position or the name of the field that does not fit; for a value that cannot be written
///   (text that is not UTF-8, a `to_json` that throws) `invalid_argument`.
template <class T>
struct JsonCodec {
    [[nodiscard]] static Result<std::string> encode(const T& value)
    {
        try {
            return nlohmann::json(value).dump();
        } catch (const nlohmann::json::exception& error) {
            return Error{ErrorKind::invalid_argument}.with_message(detail::json_error(error, "cannot write JSON").message());
        } catch (const std::exception&) { // whose text may quote the value
            return Error{ErrorKind::invalid_argument}.with_message("cannot write JSON: to_json threw an exception");
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

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/client/detail/json_reader.hpp>
#include <khive/client/request.hpp>
#include <khive/core/result.hpp>

#include <nlohmann/json.hpp>

#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace khive::inline KHIVE_ABI {

/// JSON through nlohmann's library: any type with `to_json` and `from_json`, such as by `NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE`.
///
/// - Errors: `decode` with the position or the name of the field that does not fit; for a value that cannot be written
///   (text that is not UTF-8, a `to_json` that throws) `invalid_argument`.
/// - Numbers: as nlohmann's library converts them, which does not check whether one fits the integer that is asked for. Where a
///   server is not trusted that far, read a `double` or `nlohmann::json` and look.
/// - Memory: what an answer of up to 64 KiB said stays with the thread that has read it, and is written over by the next one of
///   the same type, which so costs no allocation for its tree of values.
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
        try {
            const detail::LentJsonReader<T> reader(text.size());
            if (auto error = reader->read(text); error.kind() != ErrorKind{}) return error;
            if constexpr (std::is_same_v<T, nlohmann::json>)
                return Result<T>(boost::system::in_place_value, std::move(reader->value()));
            else
                return Result<T>(boost::system::in_place_value, reader->value().template get<T>());
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

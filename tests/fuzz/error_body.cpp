// SPDX-License-Identifier: BSL-1.0
// Whatever a server says in a body, decoding it gives a value or a `decode` error, and an error made of it is typed, bounded and
// safe to log.
//
// Input: two bytes for the status, flags, then the body.
#include "fuzz/fuzz.hpp"

#include <khive/client/json.hpp>
#include <khive/core/exceptions.hpp>
#include <khive/http/classify.hpp>

#include <chrono>
#include <map>
#include <optional>

using namespace khive_fuzz;

namespace http = khive::http;

namespace {

struct Item {
    std::string name;
    int count = 0;
    std::vector<std::string> tags;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Item, name, count, tags)

struct Strict {
    std::string name;
    unsigned char count = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Strict, name, count)

void require_decode_error(const khive::Error& error, std::string_view body)
{
    require(error.kind() == khive::ErrorKind::decode, "another error", error.message());
    require_loggable(error.message());
    require(body.size() < 64 || error.message().find(body) == std::string::npos, "the error quotes the body", body);
}

template <class T>
void decode(std::string_view body)
{
    const auto value = khive::JsonCodec<T>::decode(body);
    require(!value || body.find('\0') == std::string_view::npos, "a NUL byte is taken for the end", body);
    if (!value) return require_decode_error(value.error(), body);
    const auto text = khive::JsonCodec<T>::encode(*value);
    require(text.has_value(), "what was decoded cannot be encoded", body);
    const auto again = khive::JsonCodec<T>::decode(*text);
    require(again.has_value(), "what was encoded cannot be decoded", *text);
    require_equal(khive::JsonCodec<T>::encode(*again).value(), *text, "there and back is somewhere else");
}

/// The reader makes of a text what the parser makes of it, whatever it has read before, but for what nests too deep.
void check_reader(khive::detail::JsonReader& reader, std::string_view body, std::size_t limit)
{
    std::size_t depth = 0;
    const auto value = nlohmann::json::parse(
        body,
        [&depth](int outside, nlohmann::json::parse_event_t event, const nlohmann::json&) {
            using Event = nlohmann::json::parse_event_t;
            if (event == Event::array_start || event == Event::object_start)
                depth = std::max(depth, static_cast<std::size_t>(outside) + 1);
            return true;
        },
        false);
    const bool good = reader.read(body).kind() == khive::ErrorKind{};
    require(good == (!value.is_discarded() && depth <= limit), "the reader and the parser do not agree", body);
    if (good) require_equal(reader.value().dump(), value.dump(), "the reader reads another value");
}

void check_readers(std::string_view body, std::size_t limit)
{
    khive::detail::JsonReader reader(limit);
    check_reader(reader, body, limit);
    check_reader(reader, body, limit);
    const std::size_t middle = body.find('\n');
    if (middle == std::string_view::npos) return;
    check_reader(reader, body.substr(0, middle), limit);
    check_reader(reader, body.substr(middle), limit);
}

void check_outcome(const khive::Outcome& seen, const khive::Outcome& expected)
{
    require(seen.verdict == expected.verdict && seen.retryable == expected.retryable && seen.replay == expected.replay &&
                seen.retry_after == expected.retry_after,
            "the error's outcome is not that of its status");
}

void check_status_error(int status, unsigned flags, std::string_view body)
{
    const bool replay_safe = (flags & 1) != 0;
    const std::chrono::system_clock::time_point now{};
    khive::Headers headers;
    if ((flags & 2) != 0 && khive::is_field_value(body)) headers.add("Retry-After", body).add("x-should-retry", body);
    if ((flags & 4) != 0) headers.add("x-should-retry", (flags & 8) != 0 ? "true" : "False");

    const auto error = http::make_status_error(status, headers, std::string{body}, replay_safe, now);

    check_outcome(error.outcome(), http::classify_status(status, headers, replay_safe, now));
    require_loggable(error.message());
    require_equal(error.body(), body, "another body");
    require(error.status() == status && !error.reason().empty(), "another status", error.message());
    try {
        error.raise();
    } catch (const khive::APIStatusError& thrown) {
        require_equal(thrown.what(), error.message(), "the exception says something else");
    }
}

} // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size)
{
    Input in(data, size);
    const int status = static_cast<int>(in.byte() << 8 | in.byte());
    const auto flags = in.byte();
    const auto body = in.rest();

    check_readers(body, flags >> 4);
    check_status_error(400 + status % 600, flags, body);
    decode<nlohmann::json>(body);
    decode<Item>(body);
    decode<Strict>(body);
    decode<std::vector<int>>(body);
    decode<std::map<std::string, std::string>>(body);
    decode<double>(body);
    return 0;
}

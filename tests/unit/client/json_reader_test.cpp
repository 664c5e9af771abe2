// SPDX-License-Identifier: BSL-1.0
#include <khive/client/detail/json_reader.hpp>

#include <khive/client/json.hpp>

#include "support/catch.hpp"
#include "support/dice.hpp"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace khive_tests::json_reader_test {

using namespace khive;
using detail::JsonReader;
using nlohmann::json;

namespace {

/// JSON by chance, of few names, so that one text often resembles another; a name may come twice.
class RandomText {
public:
    explicit RandomText(unsigned seed) : dice_(seed) {}

    std::string value(int depth = 0)
    {
        const std::array<std::string, 9> leaves{"null",
                                                "true",
                                                "-7",
                                                "18446744073709551615",
                                                "1.25",
                                                R"("")",
                                                R"("\u00e9\n")",
                                                '"' + std::string(static_cast<std::size_t>(dice_.whole(0, 80)), 'x') + '"',
                                                "{}"};
        const int kind = dice_.whole(0, depth < 4 ? 14 : 8);
        if (kind < 9) return leaves[static_cast<std::size_t>(kind)];
        std::string inside;
        for (int left = depth == 3 && dice_.chance(0.1) ? 60 : dice_.whole(0, 5); left > 0; --left) {
            if (kind < 12) inside += std::string{'"', "abcdefg"[dice_.whole(0, 6)]} + R"(":)";
            inside += value(depth + 1) + (left > 1 ? "," : "");
        }
        return kind < 12 ? "{" + inside + "}" : "[" + inside + "]";
    }

private:
    Dice dice_;
};

std::string read(JsonReader& reader, const std::string& text)
{
    const Error error = reader.read(text);
    return error.kind() == ErrorKind{} ? reader.value().dump() : error.message();
}

/// How many bytes strings and elements have room for.
std::size_t capacity_of(const json& value)
{
    if (const auto* text = value.get_ptr<const std::string*>()) return text->capacity();
    const auto* elements = value.get_ptr<const json::array_t*>();
    std::size_t all = elements ? elements->capacity() * sizeof(json) : 0;
    for (const json& element : value)
        if (value.is_structured()) all += capacity_of(element);
    return all;
}

/// Its text holds the text of another.
struct Nested {
    std::string text;
    std::optional<int> depth;
};
void from_json(const json& value, Nested& nested)
{
    value.at("text").get_to(nested.text);
    nested.depth = nested.text.empty() ? 0 : *JsonCodec<Nested>::decode(nested.text).value().depth + 1;
    CHECK(value.at("text") == nested.text);
}

} // namespace

TEST_CASE("JsonReader: reads what the parser reads, whatever it has read before", "[client][json]")
{
    RandomText random(GENERATE(1U, 2U, 3U));
    JsonReader reader;

    for (int i = 0; i < 500; ++i) {
        const std::string text = random.value();
        CAPTURE(text);
        REQUIRE(read(reader, text) == json::parse(text).dump());
        REQUIRE(reader.value() == json::parse(text));
    }
}

TEST_CASE("JsonReader: keeps nothing of the text before", "[client][json]")
{
    const auto [before, text] = GENERATE(table<std::string, std::string>({
        {R"({"a":1,"b":2,"c":3})", R"({"b":2})"},
        {R"({"a":1,"b":2,"c":3})", R"({"c":3,"a":1})"},
        {R"({"a":1,"b":2})", R"({"a":1,"a":3})"},
        {R"({"a":{"x":1,"y":2},"b":2})", R"({"a":{"x":1},"a":{"y":2}})"},
        {R"({"a":1,"c":2})", R"({"b":1})"},
        {R"([1,[2,3],"x"])", R"([1,[]])"},
        {R"([1,2])", R"({"a":[1,2]})"},
        {R"({"a":{"b":"long enough for memory of its own"}})", R"({"a":"x"})"},
        {R"({"a":1,"b":)", R"({"b":[]})"},
        {R"({"b":[1,{"a":1},)", R"({"b":[{"c":2}]})"},
        {"[", "3"},
    }));
    JsonReader reader;

    (void)reader.read(before);

    CHECK(read(reader, text) == json::parse(text).dump());
}

TEST_CASE("JsonReader: says what the parser says", "[client][json]")
{
    const std::string text =
        GENERATE("", "[1,]", "{\"a\"}", "1 2", "nul", "1e999", "\"\xff\"", "{\"a\":1,}", "[1", "\"\n\"");
    JsonReader reader;
    (void)reader.read(R"({"a":[1,2]})");
    std::string expected;
    try {
        const json parsed = json::parse(text);
        FAIL("the parser takes it: " << parsed.dump());
    } catch (const json::exception& error) {
        expected = detail::json_error(error, "cannot decode JSON").message();
    }

    const Error error = reader.read(text);

    CHECK(error.kind() == ErrorKind::decode);
    CHECK(error.message() == expected);
}

TEST_CASE("JsonReader: holds on to little more memory than the last text needs", "[client][json][hostile]")
{
    JsonReader reader;
    constexpr std::size_t count = 50;
    std::string numbers = "0";
    for (int i = 0; i < 2'000; ++i) numbers += ",0";

    for (std::size_t large = 0; large < count; ++large) {
        std::string text = "[";
        for (std::size_t i = 0; i < count; ++i) {
            text += i == 0 ? "" : ",";
            text += i != large ? R"(["",[]])" : "[\"" + std::string(10'000, 'x') + "\",[" + numbers + "]]";
        }
        REQUIRE(read(reader, text + "]") == text + "]");
        CHECK(capacity_of(reader.value()) < 150'000);
    }
}

TEST_CASE("JsonReader: a from_json may decode as well", "[client][json]")
{
    std::string text = R"({"text":""})";
    for (int i = 0; i < 3; ++i) text = json{{"text", text}}.dump();

    for (int i = 0; i < 2; ++i) CHECK(JsonCodec<Nested>::decode(text).value().depth == 3);
}

} // namespace khive_tests::json_reader_test

// SPDX-License-Identifier: BSL-1.0
#include <khive/client/json.hpp>

#include <khive/core/exceptions.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace khive_tests::json_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::VirtualTime;

namespace {

struct Item {
    std::string name;
    int count = 0;
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Item, name, count)

enum class Colour { red, green };
void from_json(const nlohmann::json& json, Colour& colour)
{
    const auto text = json.get<std::string>();
    if (text != "red" && text != "green") throw std::invalid_argument("no colour: " + text);
    colour = text == "red" ? Colour::red : Colour::green;
}
void to_json(nlohmann::json& json, Colour colour)
{
    if (colour == Colour::red) throw std::invalid_argument("hunter2 is red");
    json = "green";
}

} // namespace

TEST_CASE("JsonCodec: goes there and back", "[client][json]")
{
    const std::vector<Item> items{{"a", 1}, {"b", 2}};

    const auto text = JsonCodec<std::vector<Item>>::encode(items);
    const auto back = JsonCodec<std::vector<Item>>::decode(*text);

    CHECK(*text == R"([{"count":1,"name":"a"},{"count":2,"name":"b"}])");
    REQUIRE(back.has_value());
    CHECK(back->at(1).name == "b");
}

TEST_CASE("JsonCodec: an empty body is null for a value of any kind, and an error for a type", "[client][json]")
{
    CHECK(JsonCodec<nlohmann::json>::decode("")->is_null());
    CHECK(JsonCodec<Item>::decode("").error().kind() == ErrorKind::decode);
}

TEST_CASE("JsonCodec: text that is not UTF-8 is a mistake of the caller", "[client][json]")
{
    const auto text = JsonCodec<std::string>::encode("secret\xff");

    REQUIRE(text.has_error());
    CHECK(text.error().kind() == ErrorKind::invalid_argument);
    CHECK(text.error().message().find("secret") == std::string::npos);
}

TEST_CASE("JsonCodec: what a to_json of the user's throws is a mistake of the caller, and not quoted", "[client][json]")
{
    const auto text = JsonCodec<Colour>::encode(Colour::red);

    REQUIRE(text.has_error());
    CHECK(text.error().kind() == ErrorKind::invalid_argument);
    CHECK(text.error().message().find("hunter2") == std::string::npos);
    CHECK(JsonCodec<Colour>::encode(Colour::green).value() == R"("green")");
}

TEST_CASE("JsonCodec: an error says what does not fit, and no byte of the body", "[client][json]")
{
    const std::string body = GENERATE(R"({"name":"hunter2")", R"({"name":"hunter2","count":"hunter2"})", R"({"name":"hunter2"})",
                                      "hunter2", R"({"name":"hunter2","count":1} hunter2)", R"(["hunter2"])",
                                      "{\"name\":\"hunter2\xff\"}", "{\"name\":\"hunter2\n\"}", R"({"hunter2":tru})",
                                      R"({"name":"hunter2\q"})");

    const auto item = JsonCodec<Item>::decode(body);

    REQUIRE(item.has_error());
    CHECK(item.error().kind() == ErrorKind::decode);
    CHECK_THAT(item.error().message(), contains("cannot decode JSON"));
    CHECK(item.error().message().find("hunter2") == std::string::npos);
    CHECK_FALSE(item.error().retryable());
}

TEST_CASE("JsonCodec: a NUL byte does not end the body", "[client][json][hostile]")
{
    using namespace std::string_literals;
    const auto body = GENERATE(as<std::string>{}, "1\0"s, "1\0 2"s, "\0"s, "[1]\0]"s, "\"a\0b\""s);

    const auto value = JsonCodec<nlohmann::json>::decode(body);

    REQUIRE(value.has_error());
    CHECK(value.error().kind() == ErrorKind::decode);
}

TEST_CASE("JsonCodec: a body that nests deep is an error, and no overflow of the stack", "[client][json][hostile]")
{
    const auto arrays = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    const auto depth = GENERATE(as<std::size_t>{}, 513, 1'000'000);

    const auto value = JsonCodec<nlohmann::json>::decode(arrays(depth));

    REQUIRE(value.has_error());
    CHECK(value.error().kind() == ErrorKind::decode);
    CHECK_THAT(value.error().message(), contains("too deep"));
    CHECK(JsonCodec<nlohmann::json>::decode(arrays(512)).has_value());
}

TEST_CASE("JsonCodec: only brackets outside of text nest", "[client][json]")
{
    const std::string text = R"(\")" + std::string(1'000, '[') + R"(\\)";
    std::string siblings = "[[]";
    for (int i = 0; i < 1'000; ++i) siblings += ",{}";

    const auto value = JsonCodec<nlohmann::json>::decode("[\"" + text + "\", {\"" + text + "\": []}, []]");

    REQUIRE(value.has_value());
    CHECK(value->size() == 3);
    CHECK(JsonCodec<nlohmann::json>::decode(siblings + "]").has_value());
}

TEST_CASE("JsonCodec: a number that is too large is not quoted", "[client][json]")
{
    const auto item = JsonCodec<Item>::decode(R"({"name":"a","count":4111111111111111e999})");

    REQUIRE(item.has_error());
    CHECK(item.error().message().find("4111") == std::string::npos);
}

TEST_CASE("JsonCodec: what a from_json of the user's throws is a decoding error, and not quoted", "[client][json]")
{
    const auto colour = JsonCodec<Colour>::decode(R"("hunter2")");

    REQUIRE(colour.has_error());
    CHECK(colour.error().kind() == ErrorKind::decode);
    CHECK(colour.error().message().find("hunter2") == std::string::npos);
    CHECK(JsonCodec<Colour>::decode(R"("green")").value() == Colour::green);
}

TEST_CASE("as<T>: an answer that does not fit is a DecodeError with all that is known of it", "[client][json]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok_json(R"({"name":"hunter2"})").header("X-Id", "7")});

    const auto result = time.run(api.post("/items").query("key", "hunter2").json(Item{}).try_as<Item>());

    REQUIRE(result.has_error());
    const Error error = result.error();
    CHECK(error.kind() == ErrorKind::decode);
    CHECK(error.method() == "POST");
    CHECK(error.url() == "http://api.test/items?key=***");
    CHECK(error.status() == 200);
    CHECK(error.headers().get("X-Id") == "7");
    CHECK(error.body() == R"({"name":"hunter2"})");
    CHECK(error.ledger().size() == 1);
    CHECK(error.maybe_processed());
    CHECK(error.message().find("hunter2") == std::string::npos);
    CHECK_THAT(error.message(), contains("count"));
}

TEST_CASE("as<T>: throws what try_as<T> gives", "[client][json]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok("[1"), ok("[1,2]"), status(404)});

    CHECK_THROWS_AS(time.run(api.get("/").as<std::vector<int>>()), DecodeError);
    CHECK(time.run(api.get("/").as<std::vector<int>>()) == std::vector<int>{1, 2});
    CHECK_THROWS_AS(time.run(api.get("/").as<std::vector<int>>()), ResourceNotFoundError);
}

TEST_CASE("as<nlohmann::json>: takes any JSON, and null from an empty body", "[client][json]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok(R"([1,{"a":null}])"), status(204), ok("3"), ok("{")});

    CHECK(time.run(api.get("/").as<nlohmann::json>()).at(1).contains("a"));
    CHECK(time.run(api.delete_("/").as<nlohmann::json>()).is_null());
    CHECK(time.run(api.get("/").try_as<nlohmann::json>()).value() == 3);
    CHECK(time.run(api.get("/").try_as<nlohmann::json>()).error().kind() == ErrorKind::decode);
}

TEST_CASE("as<std::string>: is the body as it is", "[client][json]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok("not { json"), status(204)});

    CHECK(time.run(api.get("/").as<std::string>()) == "not { json");
    CHECK(time.run(api.get("/").as<std::string>()).empty());
}

TEST_CASE("Response: its body can be decoded beside its status and headers", "[client][json]")
{
    VirtualTime time;
    auto api = scripted_client(time, {ok_json("[1,2]").header("ETag", "x"), ok("[1")});
    const Response good = time.run(api.get("/").send());
    const Response bad = time.run(api.get("/").send());

    CHECK(good.as<std::vector<int>>() == std::vector<int>{1, 2});
    CHECK(good.as<std::string>() == "[1,2]");
    CHECK(good.header("ETag") == "x");
    CHECK_THROWS_AS(bad.as<std::vector<int>>(), DecodeError);
    const auto error = bad.try_as<std::vector<int>>().error();
    CHECK(error.kind() == ErrorKind::decode);
    CHECK(error.status() == 200);
    CHECK(error.body() == "[1");
    CHECK(error.ledger().size() == 1);
    CHECK(error.maybe_processed());
}

} // namespace khive_tests::json_test

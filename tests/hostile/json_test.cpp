// SPDX-License-Identifier: BSL-1.0
// Bodies that a decoder may choke on.
#include "hostile/hostile.hpp"

#include <khive/client/json.hpp>

#include <cstddef>

namespace khive_tests::json_test {

using namespace std::string_literals;

namespace {

struct Named {
    std::string name;
    nlohmann::json extra;
};

void from_json(const nlohmann::json& json, Named& named)
{
    json.at("name").get_to(named.name);
    json.at("extra").get_to(named.extra);
}

constexpr std::size_t allowed = 512;

std::string arrays(std::size_t depth)
{
    return std::string(depth, '[') + std::string(depth, ']');
}

std::string objects(std::size_t depth)
{
    return repeated("{\"a\":", depth) + "1" + std::string(depth, '}');
}

/// What becomes of a body that is to be decoded as a `T`.
template <class T>
ErrorKind decoded_as(const std::string& body)
{
    FaultServer server;
    server.reply(ok_json(body)).reply(ok(own_body));
    asio::io_context io;
    const AsyncAPIClient api{io, options_for(server)};
    const auto result = run(io, api.get("/").try_as<T>());
    check_still_sound(io, api);
    CHECK(server.connections() == 1);
    return result ? ErrorKind{} : result.error().kind();
}

template <class T>
void check_not_decoded(const std::string& body)
{
    INFO("row: " << escape_untrusted(body));
    CHECK(decoded_as<T>(body) == ErrorKind::decode);
}

} // namespace

TEST_CASE("Hostile: JSON that is nested without end is refused and costs no stack", "[hostile][json]")
{
    const auto [name, body] = GENERATE(table<std::string, std::string>({
        {"arrays", arrays(200'000)},
        {"objects", objects(200'000)},
        {"arrays one deeper than allowed", arrays(allowed + 1)},
        {"objects one deeper than allowed", objects(allowed + 1)},
        {"both in turn", repeated("[{\"a\":", 50'000) + "1" + repeated("}]", 50'000)},
        {"arrays that are never closed", std::string(200'000, '[')},
        {"objects that are never closed", repeated("{\"a\":", 200'000)},
        {"behind strings with quotes in them", R"(["\"[]]\\", )" + arrays(200'000) + "]"},
    }));
    INFO("row: " << name);

    CHECK(decoded_as<nlohmann::json>(body) == ErrorKind::decode);
    CHECK(decoded_as<std::vector<nlohmann::json>>("[" + body + "]") == ErrorKind::decode);
    CHECK(decoded_as<Named>(R"({"name":"x","extra":)" + body + "}") == ErrorKind::decode);
    CHECK(decoded_as<std::string>(body) == ErrorKind{}); // as it is
}

TEST_CASE("Hostile: JSON that is large or deep within bounds is decoded", "[hostile][json]")
{
    CHECK(decoded_as<nlohmann::json>(arrays(allowed)) == ErrorKind{});
    CHECK(decoded_as<nlohmann::json>(objects(allowed)) == ErrorKind{});
    CHECK(decoded_as<nlohmann::json>("[" + repeated("[[]],", 20'000) + "[]]") == ErrorKind{});
    CHECK(decoded_as<nlohmann::json>("[\"" + std::string(100'000, '[') + "\\\"" + std::string(100'000, '{') + "\"]") ==
          ErrorKind{});
    CHECK(decoded_as<nlohmann::json>(std::string(100'000, ' ') + "1") == ErrorKind{});
    CHECK(decoded_as<Named>(R"({"name":"x","extra":)" + arrays(allowed - 1) + "}") == ErrorKind{});
}

TEST_CASE("Hostile: JSON that is none, or not what was asked for, is an error of decoding", "[hostile][json]")
{
    for (const auto& body :
         {"<html>"s, "{"s, "[1,]"s, "{\"name\":}"s, "nul"s, "\"\xff\""s, "\"\\ud800\""s, "\"\0\""s, "1 2"s, "\xef\xbb\xbf"s,
          "NaN"s, "-"s, "1e999999999"s, "'x'"s, "1\0"s, "1\0 2"s, "{}\0{\"a\":1}"s, "/* */ 1"s, std::string(1000, '\0')})
        check_not_decoded<nlohmann::json>(body);
    for (const auto& body : {"[]"s, "null"s, "{}"s, "{\"name\":1,\"extra\":1}"s, "\"x\""s, ""s})
        check_not_decoded<Named>(body);
}

} // namespace khive_tests::json_test

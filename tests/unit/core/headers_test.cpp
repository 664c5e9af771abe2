// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/core/error.hpp>
#include <khive/core/exceptions.hpp>
#include <khive/core/headers.hpp>

#include <vector>

namespace khive_tests::headers_test {

using namespace khive;

namespace {

Headers three()
{
    Headers headers;
    headers.add("Accept", "a").add("X-Id", "1").add("accept", "b");
    return headers;
}

} // namespace

TEST_CASE("Headers: names have no case", "[core][headers][CL-1]")
{
    const auto name = GENERATE(as<std::string>{}, "Retry-After", "retry-after", "RETRY-AFTER", "rEtRy-AfTeR");
    Headers headers;
    headers.set("Retry-after", "7");

    CHECK(headers.get(name) == "7");
    CHECK(headers.contains(name));
    CHECK(headers.count(name) == 1);
}

TEST_CASE("Headers: keep order and repeated names", "[core][headers]")
{
    const auto headers = three();

    CHECK(headers.lines() == "Accept: a\r\nX-Id: 1\r\naccept: b\r\n");
    CHECK(headers.size() == 3);
    CHECK(headers.count("ACCEPT") == 2);
    CHECK(headers.get("accept") == "a");
}

TEST_CASE("Headers: set replaces all of a name by one at the end", "[core][headers]")
{
    auto headers = three();

    headers.set("ACCEPT", "c");

    CHECK(headers.lines() == "X-Id: 1\r\nACCEPT: c\r\n");
}

TEST_CASE("Headers: erase says how many there were", "[core][headers]")
{
    auto headers = three();

    CHECK(headers.erase("accept") == 2);
    CHECK(headers.erase("accept") == 0);
    CHECK(headers.lines() == "X-Id: 1\r\n");
}

TEST_CASE("Headers: missing names have no value", "[core][headers]")
{
    const auto headers = three();

    CHECK_FALSE(headers.get("Accep"));
    CHECK_FALSE(headers.get("Accept-"));
    CHECK(headers.get_or("Host", "none") == "none");
    CHECK(Headers{}.empty());
    CHECK(Headers{}.begin() == Headers{}.end());
}

TEST_CASE("Headers: blanks around values do not count, inside they do", "[core][headers]")
{
    Headers headers;
    headers.add("A", " \t a  b\t ").add("B", "");

    CHECK(headers.get("A") == "a  b");
    CHECK(headers.get("B") == "");
    CHECK(headers.lines() == "A: a  b\r\nB: \r\n");
}

TEST_CASE("Headers: refuse what would break the request apart", "[core][headers][hostile]")
{
    using namespace std::string_literals;
    const auto [name, value] = GENERATE(table<std::string, std::string>({
        {"X", "a\r\nInjected: b"},
        {"X", "a\nb"},
        {"X", "a\rb"},
        {"X", "a\0b"s},
        {"X", "a\x01"},
        {"X", "a\x7f"},
        {"", "a"},
        {"X Y", "a"},
        {"X:", "a"},
        {"X\r\n", "a"},
        {"X\0"s, "a"},
        {" X", "a"},
        {"X\xc3\xa9", "a"},
        {"(X)", "a"},
        {"X\t", "a"},
    }));
    auto headers = three();
    const auto before = headers.lines();

    CHECK_THROWS_AS(headers.add(name, value), InvalidArgumentError);
    CHECK_THROWS_AS(headers.set(name, value), InvalidArgumentError);
    CHECK(headers.lines() == before);
}

TEST_CASE("Headers: tabs and bytes beyond ASCII are values", "[core][headers]")
{
    Headers headers;
    headers.add("X", "a\tb caf\xc3\xa9");

    CHECK(headers.get("X") == "a\tb caf\xc3\xa9");
}

TEST_CASE("Headers: an error names the header and hides the value", "[core][headers][hostile]")
{
    Headers headers;
    try {
        headers.set("Authorization", "Bearer s3cret\n");
        FAIL("no error");
    } catch (const InvalidArgumentError& e) {
        CHECK_THAT(e.what(), khive_tests::contains("Authorization"));
        CHECK(std::string{e.what()}.find("s3cret") == std::string::npos);
    }
}

TEST_CASE("Headers: read the lines of a parser", "[core][headers]")
{
    const auto headers = Headers::from_lines("A:1\r\nB:  two words \r\nC:\r\nD: x:y\r\n");
    std::vector<std::string> seen;
    for (const auto field : headers) seen.push_back(std::string{field.name} + "=" + std::string{field.value});

    CHECK(seen == std::vector<std::string>{"A=1", "B=two words", "C=", "D=x:y"});
}

TEST_CASE("is_token: knows methods and header names", "[core][headers]")
{
    CHECK(is_token("GET"));
    CHECK(is_token("!#$%&'*+-.^_`|~09azAZ"));
    for (const char* text : {"", "a b", "a\r", "a:", "(", "\"", "/", "[", "{", "@", "\x7f", "\xff"})
        CHECK_FALSE(is_token(text));
}

TEST_CASE("iequals: folds ASCII letters and nothing else", "[core][headers]")
{
    CHECK(iequals("AbC-1", "aBc-1"));
    CHECK(iequals("", ""));
    CHECK_FALSE(iequals("a", "ab"));
    CHECK_FALSE(iequals("[", "{"));
    CHECK_FALSE(iequals("@", "`"));
    CHECK_FALSE(iequals("\xc4", "\xe4"));
}

TEST_CASE("trim: takes spaces and tabs from both ends", "[core][headers]")
{
    CHECK(trim(" \t a b \t") == "a b");
    CHECK(trim(" \t ").empty());
    CHECK(trim("").empty());
    CHECK(trim("\n") == "\n");
}

} // namespace khive_tests::headers_test

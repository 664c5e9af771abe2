// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/http/method.hpp>

namespace khive_tests::method_test {

using namespace khive;

TEST_CASE("is_idempotent: as RFC 9110 and QUERY say, case counts", "[http][method]")
{
    const auto [method, idempotent] = GENERATE(table<std::string, bool>({
        {"GET", true},
        {"HEAD", true},
        {"PUT", true},
        {"DELETE", true},
        {"OPTIONS", true},
        {"TRACE", true},
        {"QUERY", true},
        {"POST", false},
        {"PATCH", false},
        {"CONNECT", false},
        {"get", false},
        {"", false},
        {"PURGE", false},
        {"GETX", false},
    }));

    CHECK(http::is_idempotent(method) == idempotent);
}

TEST_CASE("is_valid_method: any token", "[http][method][hostile]")
{
    CHECK(http::is_valid_method("GET"));
    CHECK(http::is_valid_method("M-SEARCH"));
    for (const char* method : {"", "GET ", "GET / HTTP/1.1\r\nX:", "G\xc3\x89T", "GE\tT", "GET\n"})
        CHECK_FALSE(http::is_valid_method(method));
}

TEST_CASE("expects_body: for methods that carry one by meaning", "[http][method]")
{
    for (const char* method : {"POST", "PUT", "PATCH"}) CHECK(http::expects_body(method));
    for (const char* method : {"GET", "HEAD", "DELETE", "post", ""}) CHECK_FALSE(http::expects_body(method));
}

} // namespace khive_tests::method_test

// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/http/idempotency.hpp>

namespace khive_tests::idempotency_test {

using namespace khive;

TEST_CASE("is_replay_safe: an idempotent method or a key", "[http][idempotency]")
{
    const auto [method, key, safe] = GENERATE(table<std::string, std::string, bool>({
        {"GET", "", true},
        {"DELETE", "", true},
        {"POST", "", false},
        {"PATCH", "", false},
        {"POST", "k-1", true},
        {"PATCH", "k-1", true},
        {"GET", "k", true},
    }));
    Headers fields;
    if (!key.empty()) fields.set("idempotency-key", key);

    CHECK(http::is_replay_safe(method, fields) == safe);
}

TEST_CASE("is_replay_safe: an empty key is no key", "[http][idempotency]")
{
    Headers fields;
    fields.set("Idempotency-Key", "  ");

    CHECK_FALSE(http::is_replay_safe("POST", fields));
}

} // namespace khive_tests::idempotency_test

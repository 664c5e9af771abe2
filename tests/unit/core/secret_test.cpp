// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/core/secret.hpp>

#include <sstream>
#include <type_traits>

namespace khive_tests::secret_test {

using khive::Secret;

TEST_CASE("Secret: never prints itself", "[core][secret][CL-12]")
{
    std::ostringstream out;
    out << Secret{"hunter2"} << Secret{};

    CHECK(out.str() == "[secret][secret]");
}

TEST_CASE("Secret: is read by reveal and by nothing else", "[core][secret]")
{
    STATIC_REQUIRE_FALSE(std::is_convertible_v<Secret, std::string>);
    STATIC_REQUIRE_FALSE(std::is_convertible_v<std::string, Secret>);
    const Secret secret{"hunter2"};

    CHECK(secret.reveal() == "hunter2");
    CHECK_FALSE(secret.empty());
    CHECK(Secret{}.empty());
}

} // namespace khive_tests::secret_test

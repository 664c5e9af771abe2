// SPDX-License-Identifier: BSL-1.0
#include <khive/testing/script.hpp>

#include "support/catch.hpp"

#include <stdexcept>

namespace khive_tests::script_test {

using namespace khive::testing;

TEST_CASE("Script: answers 200 to everything while nobody has written it", "[testing]")
{
    Script script;

    CHECK(script.reply_to({}).status() == 200);
    CHECK(script.reply_to({}).status() == 200);
}

TEST_CASE("Script: gives its replies once each, then asks the handler", "[testing]")
{
    Script script;
    script.add(status(201));
    script.add(status(202));
    CHECK(script.left() == 2);

    CHECK(script.reply_to({}).status() == 201);
    CHECK(script.reply_to({}).status() == 202);
    CHECK_THROWS_AS(script.reply_to({}), std::logic_error);

    script.otherwise([](const ReceivedRequest&) { return status(203); });
    CHECK(script.reply_to({}).status() == 203);
}

} // namespace khive_tests::script_test

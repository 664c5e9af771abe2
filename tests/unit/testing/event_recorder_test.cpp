// SPDX-License-Identifier: BSL-1.0
#include <khive/testing/event_recorder.hpp>

#include "support/catch.hpp"

#include <thread>

namespace khive_tests::event_recorder_test {

using khive::testing::EventRecorder;

TEST_CASE("EventRecorder: keeps events in order and counts them", "[testing]")
{
    EventRecorder events;
    events.record("open");
    events.record("close");
    events.record("open");

    CHECK(events.text() == "open, close, open");
    CHECK(events.names() == std::vector<std::string>{"open", "close", "open"});
    CHECK(events.size() == 3);
    CHECK(events.count("open") == 2);
    CHECK(events.count("other") == 0);
    CHECK(events.in_order("open", "close"));
    CHECK_FALSE(events.in_order("close", "open"));
    CHECK_FALSE(events.in_order("open", "other"));

    events.clear();
    CHECK(events.text().empty());
}

TEST_CASE("EventRecorder: waits for what another thread records", "[testing]")
{
    EventRecorder events;
    std::thread other([&] {
        for (int i = 0; i < 100; ++i) events.record("tick");
    });

    events.wait_for("tick", 100);
    other.join();

    CHECK(events.count("tick") == 100);
}

} // namespace khive_tests::event_recorder_test

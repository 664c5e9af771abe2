// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/core/ledger.hpp>

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace khive_tests::ledger_test {

using namespace khive;
using namespace std::chrono_literals;

TEST_CASE("Ledger: keeps every attempt in order", "[core][ledger]")
{
    Ledger ledger;
    CHECK(ledger.empty());
    for (int i = 0; i < 5; ++i)
        ledger.begin_attempt(TimePoint{std::chrono::seconds{i}}).status = static_cast<std::uint16_t>(500 + i);

    REQUIRE(ledger.size() == 5);
    for (std::size_t i = 0; i < 5; ++i) CHECK(ledger[i].status == 500 + i);
    CHECK(ledger.back().status == 504);
    CHECK(&ledger.current() == &ledger.back());
    CHECK(ledger[4].started == TimePoint{4s});
}

TEST_CASE("Ledger: a cleared one begins anew", "[core][ledger]")
{
    Ledger ledger;
    ledger.begin_attempt(TimePoint{}).status = 500;
    ledger.begin_attempt(TimePoint{}).status = 501;
    ledger.stop(StopReason::attempts);
    ledger.clear();

    CHECK(ledger.empty());
    CHECK(ledger.stop_reason() == StopReason::done);
    CHECK(ledger.begin_attempt(TimePoint{}).status == 0);
}

TEST_CASE("Ledger: copies and moves have all of it, and what was moved from is empty", "[core][ledger]")
{
    const int attempts = GENERATE(0, 1, 3);
    Ledger ledger;
    for (int i = 0; i < attempts; ++i) ledger.begin_attempt(TimePoint{}).status = static_cast<std::uint16_t>(500 + i);
    ledger.stop(StopReason::attempts);
    const std::string summary = ledger.summary();

    const Ledger copy = ledger;
    Ledger moved = std::move(ledger);
    Ledger assigned;
    assigned.begin_attempt(TimePoint{});
    assigned = copy;
    Ledger taken;
    taken.begin_attempt(TimePoint{});
    taken = std::move(moved);

    for (const Ledger* one : {&copy, &std::as_const(assigned), &std::as_const(taken)}) CHECK(one->summary() == summary);
    CHECK(ledger.empty()); // NOLINT(bugprone-use-after-move)
    CHECK(moved.empty());  // NOLINT(bugprone-use-after-move)
}

TEST_CASE("Ledger: the summary is one line with statuses, errors and waits", "[core][ledger]")
{
    Ledger ledger;
    auto& first = ledger.begin_attempt(TimePoint{});
    first.status = 503;
    first.elapsed = 12ms;
    auto& second = ledger.begin_attempt(TimePoint{});
    second.error = ErrorKind::connection_lost;
    second.backoff = 250ms;
    second.reused = true;
    second.replayed = true;
    ledger.stop(StopReason::attempts);

    CHECK(ledger.summary() == "2 attempts: 503 12.0ms, +250.0ms connection_lost 0.0ms reused replayed; stopped: attempts");
}

TEST_CASE("Ledger: the summary says what an attempt waited for, and how an answer broke off", "[core][ledger]")
{
    Ledger ledger;
    auto& queued = ledger.begin_attempt(TimePoint{});
    queued.error = ErrorKind::timeout;
    queued.rate_wait = 1200ms;
    queued.slot_wait = 1ms;
    queued.pool_wait = 2ms;
    queued.elapsed = 1300ms;
    auto& cut = ledger.begin_attempt(TimePoint{});
    cut.status = 200;
    cut.error = ErrorKind::truncated_body;

    CHECK(ledger.summary() ==
          "2 attempts: timeout 1300.0ms (rate 1200.0ms, slot 1.0ms, pool 2.0ms), 200 truncated_body 0.0ms");
}

TEST_CASE("Ledger: is a range of its attempts", "[core][ledger]")
{
    Ledger ledger;
    CHECK(ledger.begin() == ledger.end());
    for (const std::uint16_t status : std::initializer_list<std::uint16_t>{500, 502, 200})
        ledger.begin_attempt(TimePoint{}).status = status;

    std::vector<int> statuses;
    for (const Attempt& attempt : ledger) statuses.push_back(attempt.status);

    CHECK(statuses == std::vector{500, 502, 200});
    static_assert(std::forward_iterator<Ledger::Iterator>);
    CHECK(std::ranges::count_if(ledger, [](const Attempt& attempt) { return attempt.status >= 500; }) == 2);
}

TEST_CASE("Ledger: one attempt is one attempt", "[core][ledger]")
{
    Ledger ledger;
    ledger.begin_attempt(TimePoint{}).status = 200;

    CHECK(ledger.summary() == "1 attempt: 200 0.0ms");
}

TEST_CASE("StopReason: every reason has a name of its own", "[core][ledger]")
{
    std::set<std::string_view> names;
    for (int i = 0; i <= static_cast<int>(StopReason::cancelled); ++i) names.insert(to_string(static_cast<StopReason>(i)));

    CHECK(names.size() == 8);
    CHECK(names.count("unknown") == 0);
}

TEST_CASE("PeerAddress: prints with its port", "[core][ledger]")
{
    CHECK(PeerAddress{}.to_string() == "-");
    CHECK(PeerAddress{{127, 0, 0, 1}, 80, 4}.to_string() == "127.0.0.1:80");
}

TEST_CASE("PeerAddress: an IPv6 address is as short as RFC 5952 has it", "[core][ledger]")
{
    const auto [groups, text] = GENERATE(table<std::array<unsigned, 8>, std::string>({
        {{0, 0, 0, 0, 0, 0, 0, 0}, "[::]:443"},
        {{0, 0, 0, 0, 0, 0, 0, 1}, "[::1]:443"},
        {{1, 0, 0, 0, 0, 0, 0, 0}, "[1::]:443"},
        {{0x2001, 0xdb8, 0, 0, 0, 0, 0, 1}, "[2001:db8::1]:443"},
        {{0x2001, 0xdb8, 0, 1, 1, 1, 1, 1}, "[2001:db8:0:1:1:1:1:1]:443"},
        {{0x2001, 0, 0, 1, 0, 0, 0, 1}, "[2001:0:0:1::1]:443"},
        {{0x2001, 0xdb8, 0, 0, 1, 0, 0, 1}, "[2001:db8::1:0:0:1]:443"},
        {{0, 0, 1, 2, 3, 4, 5, 6}, "[::1:2:3:4:5:6]:443"},
        {{1, 2, 3, 4, 5, 6, 0, 0}, "[1:2:3:4:5:6::]:443"},
        {{0, 1, 2, 3, 4, 5, 6, 0}, "[0:1:2:3:4:5:6:0]:443"},
        {{0xfe80, 0, 0xff, 0xabc, 0xffff, 0x10, 1, 0xf00f}, "[fe80:0:ff:abc:ffff:10:1:f00f]:443"},
    }));
    PeerAddress peer{{}, 443, 6};
    for (std::size_t i = 0; i < 8; ++i) {
        peer.bytes[2 * i] = static_cast<std::uint8_t>(groups[i] >> 8);
        peer.bytes[2 * i + 1] = static_cast<std::uint8_t>(groups[i]);
    }

    CHECK(peer.to_string() == text);
}

} // namespace khive_tests::ledger_test

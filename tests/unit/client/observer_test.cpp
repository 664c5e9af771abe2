// SPDX-License-Identifier: BSL-1.0
#include <khive/client/json.hpp>
#include <khive/client/observer.hpp>

#include <khive/policy/circuit_breaker.hpp>

#include "support/catch.hpp"
#include "support/scripted_client.hpp"

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace khive_tests::observer_test {

using namespace khive;
using namespace khive::testing;
using khive::testing::VirtualTime;
using namespace std::chrono_literals;

namespace {

/// Keeps one line for everything it is told.
class Notes final : public CallObserver {
public:
    void on_call(const CallRecord& call) override { note("call", call); }
    void on_retry(const CallRecord& call, Duration delay) override
    {
        note("retry", call);
        lines.back() += " in " + std::to_string(to_seconds(delay)).substr(0, 3);
    }
    void on_refusal(const CallRecord& call) override { note("refusal", call); }

    std::vector<std::string> lines;
    bool throws = false;

private:
    void note(const std::string& what, const CallRecord& call)
    {
        lines.push_back(what + " " + std::string(call.method) + " " + std::string(call.url) + " " + std::to_string(call.status) +
                        " " + (call.error != nullptr ? std::string(to_string(call.error->kind())) : "-") + " " +
                        std::to_string(call.ledger->size()));
        if (throws) throw std::runtime_error("an observer's own trouble");
    }
};

using Lines = std::vector<std::string>;

ClientOptions watched(const std::shared_ptr<Notes>& notes)
{
    return patient().observer(notes);
}

} // namespace

TEST_CASE("CallObserver: is told once of each call, and of each attempt that is followed by another", "[client][observer]")
{
    VirtualTime time;
    const auto notes = std::make_shared<Notes>();
    auto api = scripted_client(time, {ok(), status(404), status(503).then_close(), reset(), ok()}, watched(notes), exact_retry());

    (void)time.run(api.get("/a").query("key", "hunter2").send());
    (void)time.run(api.get("/b").try_send());
    (void)time.run(api.get("/c").send());

    CHECK(notes->lines == Lines{"call GET http://api.test/a?key=*** 200 - 1", "call GET http://api.test/b 404 status 1",
                                "retry GET http://api.test/c 503 - 1 in 0.5",
                                "retry GET http://api.test/c 0 connection_lost 2 in 1.0", "call GET http://api.test/c 200 - 3"});
}

TEST_CASE("CallObserver: is told of calls that were refused before they began, and of answers that could not be decoded", "[client][observer]")
{
    VirtualTime time;
    const auto notes = std::make_shared<Notes>();
    auto api = scripted_client(time, {ok("no number"), ok_json("7")}, watched(notes), exact_retry());

    const auto refused = time.run(api.get("/a").query("key", "hunter2").header("bad name", "x").try_send()).error();
    const auto undecoded = time.run(api.get("/b").try_as<int>()).error();
    (void)time.run(api.get("/c").as<int>());
    CHECK_FALSE(time.run(api.request("G\r\nX", "/d").try_send()).has_value());

    CHECK(refused.url() == "http://api.test/a");
    CHECK(undecoded.kind() == ErrorKind::decode);
    CHECK(notes->lines == Lines{"call GET http://api.test/a 0 invalid_argument 0", "call GET http://api.test/b 200 decode 1",
                                "call GET http://api.test/c 200 - 1", R"(call G\x0d\x0aX http://api.test/d 0 invalid_argument 0)"});
}

TEST_CASE("CallObserver: is told of refusals, beside the call", "[client][observer]")
{
    VirtualTime time;
    const auto notes = std::make_shared<Notes>();
    const CircuitBreaker breaker;
    auto api = scripted_client(time, {}, watched(notes), breaker);
    breaker.isolate(time.now());

    (void)time.run(api.get("/").try_send());

    CHECK(notes->lines == Lines{"refusal GET http://api.test/ 0 circuit_open 1", "call GET http://api.test/ 0 circuit_open 1"});
}

TEST_CASE("CallObserver: what it throws stays with it", "[client][observer]")
{
    VirtualTime time;
    const auto notes = std::make_shared<Notes>();
    notes->throws = true;
    auto api = scripted_client(time, {status(503), ok(), status(404)}, watched(notes), exact_retry());

    CHECK(time.run(api.get("/").try_send()).has_value());
    CHECK(time.run(api.get("/").try_send()).has_error());
    CHECK(notes->lines.size() == 3);
}

TEST_CASE("CallObserver: is told of a call that was cancelled and of one that was closed", "[client][observer]")
{
    VirtualTime time;
    const auto notes = std::make_shared<Notes>();
    auto api = scripted_client(time, {no_answer(), no_answer()}, watched(notes));
    auto one = time.start(api.get("/one").try_send());
    auto two = time.start(api.get("/two").try_send());
    time.run_for(1s);

    one.cancel();
    time.settle();
    (void)time.run(api.close(0s));
    time.settle();

    CHECK(notes->lines == Lines{"call GET http://api.test/one 0 cancelled 1", "call GET http://api.test/two 0 closed 1"});
}

} // namespace khive_tests::observer_test

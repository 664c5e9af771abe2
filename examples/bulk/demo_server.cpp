// SPDX-License-Identifier: BSL-1.0
#include "demo_server.hpp"

#include <khive/testing/fault_server.hpp>
#include <khive/testing/faulty_api.hpp>

#include <chrono>
#include <optional>

namespace bulk {
namespace {

namespace testing = khive::testing;
using namespace std::chrono_literals;

testing::Reply answer_user(const testing::ReceivedRequest& request)
{
    const std::string id = request.path().substr(7);
    if (id.size() > 4) return testing::status(404, {}, "no such user\n");
    return testing::ok_json("{\"id\": " + id + ", \"name\": \"user " + id + "\", \"tags\": [\"a\", \"b\"]}\n");
}

testing::Reply answer_order(const testing::ReceivedRequest& request)
{
    if (request.body.find("\"quantity\":0") == std::string::npos)
        return testing::Reply(201, "{\"accepted\": " + std::to_string(request.body.size()) + "}")
            .header("Content-Type", "application/json");
    return testing::Reply(422, R"({"error": "quantity must be positive"})").header("Content-Type", "application/json");
}

testing::Reply answer(const testing::ReceivedRequest& request)
{
    const std::string path = request.path();
    if (path.starts_with("/users/")) return answer_user(request);
    if (path == "/orders") return answer_order(request);
    if (path == "/report") return testing::ok("day,orders\nmonday,12\n").header("Content-Type", "text/csv");
    if (path == "/pixel") return testing::ok(std::string("\x89PNG\0\xff", 6)).header("Content-Type", "image/png");
    if (path == "/search") return testing::ok_json("{\"target\": \"" + request.target + "\"}").chunked(16);
    return testing::status(404, {}, "no such thing\n");
}

/// Everything fails for a second, from the 120th request on.
class Outage {
public:
    explicit Outage(testing::FaultyAPI api) : api_(std::move(api)) {}

    testing::Reply operator()(const testing::ReceivedRequest& request)
    {
        if (!begin_ && request.number >= 120) begin_ = request.time;
        const bool down = begin_ && request.time - *begin_ < 1s;
        return down ? testing::status(503, {}, "down for maintenance\n") : api_(request);
    }

private:
    testing::FaultyAPI api_;
    std::optional<khive::TimePoint> begin_;
};

testing::FaultyAPI bad_day()
{
    return testing::FaultyAPI({.quota = 50,
                               .quota_burst = 15,
                               .error_ratio = 0.02,
                               .error_burst = 2,
                               .reset_ratio = 0.02,
                               .min_latency = 5ms,
                               .max_latency = 60ms,
                               .seed = 7},
                              &answer);
}

} // namespace

struct DemoServer::State {
    testing::FaultServer server{Outage(bad_day())};
};

DemoServer::DemoServer() : state_(std::make_unique<State>())
{
    state_->server.forget_requests();
}

DemoServer::~DemoServer() = default;

std::string DemoServer::url() const
{
    return state_->server.url();
}

} // namespace bulk

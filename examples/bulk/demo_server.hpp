// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <memory>
#include <string>

namespace bulk {

/// A public API on a bad day, in this process: a quota of 50 requests a second that answers 429 with Retry-After, bursts of
/// 503, broken connections, latency, and in the middle of it an outage of a second.
///
/// - Thread safety: none for the object; it serves from a thread of its own.
class DemoServer {
public:
    DemoServer();
    ~DemoServer();
    DemoServer(const DemoServer&) = delete;
    DemoServer& operator=(const DemoServer&) = delete;

    [[nodiscard]] std::string url() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

} // namespace bulk

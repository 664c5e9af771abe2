// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/random.hpp>
#include <khive/core/time.hpp>
#include <khive/testing/config.hpp>
#include <khive/testing/received_request.hpp>
#include <khive/testing/reply.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>

namespace khive::inline KHIVE_ABI::testing {

struct FaultyAPIOptions {
    double quota = 0;              ///< requests per second it allows in the long run; above is 429. 0 for no quota.
    double quota_burst = 1;        ///< requests it allows at once. At least 1.
    double error_ratio = 0;        ///< how often a burst of 503 begins. 0 to 1.
    std::uint64_t error_burst = 1; ///< requests that one burst of 503 lasts. At least 1.
    double reset_ratio = 0;        ///< how often a connection is broken instead of an answer. 0 to 1.
    Duration min_latency{};        ///< every answer takes at least so long,
    Duration max_latency{};        ///< and at most so long; uniform in between. Not below `min_latency`.
    std::uint64_t seed = 1;        ///< the same seed makes the same decisions for the same sequence of requests.
};

/// What a `FaultyAPI` has done so far.
struct FaultyAPICounts {
    std::uint64_t answered = 0;  ///< got the real answer
    std::uint64_t throttled = 0; ///< got 429
    std::uint64_t failed = 0;    ///< got 503
    std::uint64_t reset = 0;     ///< got the connection broken
};

/// A handler for `ScriptedServer` and `FaultServer` that behaves as a public API on a bad day: a quota that answers 429 with
/// Retry-After, bursts of 503, latency, broken connections.
///
/// ```cpp
/// FaultyAPI api{{.quota = 50, .quota_burst = 20, .error_ratio = 0.02, .error_burst = 3}};
/// FaultServer server{api};
/// ```
/// Its quota is an arithmetic of its own, not khive's limiter, so that the two check each other. A request that is refused
/// costs nothing.
///
/// - Time: the quota goes by `ReceivedRequest::time`, virtual in a simulation.
/// - Lifetime: a handle; copies share quota, dice and counts.
/// - Thread safety: calls one at a time, as the servers make them; `counts` from any thread.
class FaultyAPI {
public:
    using Answer = std::function<Reply(const ReceivedRequest&)>;

    /// Answers 200 with `{"method":...,"target":...,"body_size":...}`.
    KHIVE_TESTING_DECL explicit FaultyAPI(FaultyAPIOptions options);
    /// Answers whatever `answer` says.
    KHIVE_TESTING_DECL FaultyAPI(FaultyAPIOptions options, Answer answer);

    [[nodiscard]] KHIVE_TESTING_DECL Reply operator()(const ReceivedRequest& request) const;
    [[nodiscard]] KHIVE_TESTING_DECL FaultyAPICounts counts() const;

private:
    struct State;
    std::shared_ptr<State> state_;
};

static_assert(std::is_trivially_destructible_v<FaultyAPIOptions>);

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/faulty_api.ipp>
#endif

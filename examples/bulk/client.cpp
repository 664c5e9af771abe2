// SPDX-License-Identifier: BSL-1.0
#include "client.hpp"

#include <khive/client/observer.hpp>
#include <khive/core/headers.hpp>
#include <khive/core/secret.hpp>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace bulk {
namespace {

/// Counts retries while their calls are still under way, for the progress line.
class RetryCounter final : public khive::CallObserver {
public:
    explicit RetryCounter(std::shared_ptr<std::uint64_t> retries) : retries_(std::move(retries)) {}
    void on_call(const khive::CallRecord&) override {}
    void on_retry(const khive::CallRecord&, khive::Duration) override { ++*retries_; }
    void on_refusal(const khive::CallRecord&) override {}

private:
    std::shared_ptr<std::uint64_t> retries_;
};

khive::Secret token_of(const std::string& variable)
{
    const char* token = std::getenv(variable.c_str()); // NOLINT: there is one thread
    if (token == nullptr || *token == '\0') throw std::runtime_error("the environment variable " + variable + " is not set");
    return khive::Secret(token);
}

void add_header(khive::ClientOptions& client, std::string_view header)
{
    const auto colon = header.find(':');
    if (colon == std::string_view::npos) throw std::runtime_error("a header is \"Name: value\"");
    client.header(header.substr(0, colon), khive::trim(header.substr(colon + 1)));
}

khive::ClientOptions client_options(const Options& options, const std::string& base_url)
{
    khive::ClientOptions client(base_url);
    for (const auto& header : options.headers) add_header(client, header);
    if (!options.auth_env.empty()) client.bearer(token_of(options.auth_env));
    if (!options.ca_file.empty()) client.tls(khive::TlsContext().add_ca_file(options.ca_file));
    client.timeouts({.attempt = std::min(options.attempt_timeout, options.timeout), .total = options.timeout});
    client.pool({.max_connections = options.executor.max_concurrency});
    client.limits({.max_body_bytes = options.max_body});
    client.only_base_origin(true);
    return client;
}

} // namespace

Client make_client(asio::io_context& io, const Options& options, const std::string& base_url)
{
    auto retries = std::make_shared<std::uint64_t>(0);
    auto client = client_options(options, base_url);
    client.observer(std::make_shared<RetryCounter>(retries));
    const khive::AsyncExecutor executor(options.executor);
    auto outages = std::make_shared<std::uint64_t>(0);
    const khive::CircuitBreaker breaker(options.breaker);
    breaker.on_state_change([outages](const khive::BreakerTransition& change) {
        if (change.to == khive::BreakerState::open) ++*outages;
    });
    const khive::AsyncAPIClient api(io, client, khive::TokenBucketRateLimiter(options.limiter), executor, breaker,
                                    khive::RetryWithBackoff(options.retry));
    return {api, executor, breaker, retries, outages};
}

} // namespace bulk

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/faulty_api.hpp>

#include <algorithm>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI::testing {
namespace detail {

inline void check(const FaultyAPIOptions& options)
{
    const auto is_ratio = [](double ratio) { return ratio >= 0 && ratio <= 1; };
    const bool good = options.quota >= 0 && options.quota_burst >= 1 && is_ratio(options.error_ratio) &&
                      options.error_burst >= 1 && is_ratio(options.reset_ratio) && options.min_latency >= Duration::zero();
    if (!good) throw std::invalid_argument("FaultyAPI: an option is out of its range");
}

inline std::string json_text(std::string_view text)
{
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted += '"';
}

inline Reply describe(const ReceivedRequest& request)
{
    return ok_json("{\"method\":" + json_text(request.method) + ",\"target\":" + json_text(request.target) +
                   ",\"body_size\":" + std::to_string(request.body.size()) + "}\n");
}

} // namespace detail

struct FaultyAPI::State {
    State(FaultyAPIOptions chosen, Answer given) : options(chosen), answer(std::move(given)), random(chosen.seed) {}

    /// How long until the quota allows a request; takes it if it is now.
    [[nodiscard]] Duration charge(TimePoint now);
    [[nodiscard]] Duration latency();
    [[nodiscard]] bool in_error_burst();
    [[nodiscard]] std::optional<Reply> refuse(TimePoint now);

    const FaultyAPIOptions options;
    const Answer answer;
    Random random;
    std::mutex mutex;
    FaultyAPICounts counts;
    std::uint64_t errors_left = 0;
    TimePoint empty_at = TimePoint::min(); ///< when the bucket was or would have been empty
};

inline Duration FaultyAPI::State::charge(TimePoint now)
{
    if (options.quota == 0) return Duration::zero();
    const Duration each = from_seconds(1 / options.quota);
    const TimePoint full = now - from_seconds(options.quota_burst / options.quota);
    const TimePoint next = std::max(empty_at, full) + each;
    if (next > now) return next - now;
    empty_at = next;
    return Duration::zero();
}

inline Duration FaultyAPI::State::latency()
{
    const Duration spread = std::max(options.max_latency - options.min_latency, Duration::zero());
    return options.min_latency + std::chrono::duration_cast<Duration>(spread * random.uniform());
}

inline bool FaultyAPI::State::in_error_burst()
{
    if (errors_left == 0 && random.uniform() < options.error_ratio) errors_left = options.error_burst;
    if (errors_left == 0) return false;
    --errors_left;
    return true;
}

inline std::optional<Reply> FaultyAPI::State::refuse(TimePoint now)
{
    if (random.uniform() < options.reset_ratio) return ++counts.reset, testing::reset();
    if (in_error_burst()) return ++counts.failed, testing::status(503, {}, "overloaded\n");
    if (const Duration wait = charge(now); wait > Duration::zero()) return ++counts.throttled, too_many_requests(wait);
    ++counts.answered;
    return std::nullopt;
}

KHIVE_TESTING_DECL FaultyAPI::FaultyAPI(FaultyAPIOptions options) : FaultyAPI(options, &detail::describe) {}

KHIVE_TESTING_DECL FaultyAPI::FaultyAPI(FaultyAPIOptions options, Answer answer)
    : state_(std::make_shared<State>(options, std::move(answer)))
{
    detail::check(options);
}

KHIVE_TESTING_DECL Reply FaultyAPI::operator()(const ReceivedRequest& request) const
{
    std::optional<Reply> refusal;
    Duration latency{};
    {
        const std::lock_guard lock(state_->mutex);
        latency = state_->latency();
        refusal = state_->refuse(request.time);
    }
    Reply reply = refusal ? *std::move(refusal) : state_->answer(request);
    return reply.after(latency);
}

KHIVE_TESTING_DECL FaultyAPICounts FaultyAPI::counts() const
{
    const std::lock_guard lock(state_->mutex);
    return state_->counts;
}

} // namespace khive::inline KHIVE_ABI::testing

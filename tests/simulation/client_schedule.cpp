// SPDX-License-Identifier: BSL-1.0
#include "simulation/client_schedule.hpp"

#include <khive/core/exceptions.hpp>

#include <boost/system/system_error.hpp>

#include <algorithm>
#include <exception>
#include <functional>
#include <limits>
#include <string_view>

using namespace khive;
using namespace khive::testing;
using namespace std::chrono_literals;

namespace khive_tests {
namespace {

constexpr Duration longest_call = 20s;
constexpr int patience = 20'000; ///< so many steps without time passing are a livelock

std::string host_of(std::size_t index)
{
    return "host" + std::to_string(index) + ".test";
}

RetryOptions retry_options(unsigned max_attempts)
{
    return {.max_attempts = max_attempts, .base_delay = 100ms, .max_delay = 2s};
}

bool is_legal(BreakerState from, BreakerState to)
{
    using enum BreakerState;
    switch (to) {
    case closed: return from != closed;
    case open: return from == closed || from == half_open;
    case half_open: return from == open;
    case isolated: return true;
    }
    return false;
}

bool is_cancellation(const std::exception_ptr& error)
{
    try {
        std::rethrow_exception(error);
    } catch (const boost::system::system_error& thrown) {
        return thrown.code() == asio::error::operation_aborted;
    } catch (const CancelledError&) {
        return true;
    } catch (...) {
        return false;
    }
}

/// The most that any interval admitted beyond `rate * t`.
double largest_burst(std::vector<SpendLog::Spent> spent, double rate)
{
    std::ranges::sort(spent, {}, &SpendLog::Spent::at);
    double level = 0;
    double largest = 0;
    TimePoint last{};
    for (const auto& each : spent) {
        level = std::max(0.0, level - to_seconds(each.at - last) * rate) + each.cost;
        largest = std::max(largest, level);
        last = each.at;
    }
    return largest;
}

} // namespace

ScheduleLimits::ScheduleLimits(unsigned seed)
{
    Dice dice(seed);
    combined = dice.chance(0.4);
    closes = dice.chance(0.3);
    changes_rate = dice.chance(0.2);
    abrupt = dice.chance(0.1);
    faults = dice.chance(0.3) ? 0.0 : dice.real(0.0, 0.6);
    rate = dice.real(2, 50);
    burst = dice.whole(2, 6);
    slots = static_cast<std::size_t>(dice.whole(1, 6));
    connections = static_cast<std::size_t>(dice.whole(1, 4));
    max_queue = static_cast<std::size_t>(dice.chance(0.2) ? dice.whole(0, 4) : 1000);
    max_attempts = static_cast<unsigned>(dice.whole(1, 4));
    shuffles = dice.chance(0.5);
}

std::vector<Action> ClientSchedule::actions_of(unsigned seed, std::size_t count)
{
    using enum Action::Kind;
    constexpr std::array kinds{call,   call,    call,        call,        call,
                               cancel, settle,  wait,        wait,        break_connections,
                               outage, isolate, change_rate, close_client};
    Dice dice(seed + 1'000'003U);
    std::vector<Action> actions;
    for (std::size_t i = 0; i < count; ++i)
        actions.push_back({kinds[static_cast<std::size_t>(dice.whole(0, static_cast<int>(kinds.size()) - 1))],
                           static_cast<unsigned>(dice.whole(0, 1'000'000'000))});
    return actions;
}

ClientSchedule::ClientSchedule(unsigned seed)
    : seed_(seed),
      limits_(seed),
      time_(limits_.shuffles ? VirtualTime(seed) : VirtualTime()),
      network_(SimulatedNetwork::install(time_)),
      log_(std::make_shared<SpendLog>(&time_)),
      executor_({.max_concurrency = limits_.slots, .max_queue = limits_.max_queue}),
      limiter_({.rate = limits_.rate, .burst = limits_.burst, .max_waiters = limits_.max_queue}),
      both_({.rate = limits_.rate, .burst = limits_.burst, .max_concurrency = limits_.slots, .max_queue = limits_.max_queue})
{
    log_->time = &time_;
    network_->shuffle(seed);
    for (std::size_t index = 0; index < sides_.size(); ++index) add_side(index);
}

ClientSchedule::~ClientSchedule() = default;

ClientOptions ClientSchedule::options(std::size_t index) const
{
    ClientOptions options("http://" + host_of(index));
    Timeouts timeouts;
    timeouts.pool_wait = 4s;
    timeouts.resolve = 2s;
    timeouts.connect = 2s;
    timeouts.write_stall = 3s;
    timeouts.first_byte = 3s;
    timeouts.read_stall = 3s;
    timeouts.total = longest_call;
    options.timeouts(timeouts);
    options.pool({.max_connections = limits_.connections, .idle_timeout = 4s, .max_lifetime = 30s});
    return options;
}

void ClientSchedule::add_side(std::size_t index)
{
    Side& side = sides_[index];
    side.server = std::make_shared<ScriptedServer>();
    side.server->otherwise([this](const ReceivedRequest& request) { return reply_to(request); });
    side.address = &network_->serve(host_of(index), 80, side.server).latency(1ms).jitter(5ms).connect_delay(3ms);
    side.breaker.emplace(CircuitBreakerOptions{.consecutive_failures = 4, .open_for = 2s}, Random(seed_));
    (void)side.breaker->on_state_change([this, &side](const BreakerTransition& change) { on_state(side, change); });
    const RetryWithBackoff retry(retry_options(limits_.max_attempts), Random(seed_ + 1));
    if (limits_.combined)
        side.api.emplace(
            AsyncAPIClient(time_.executor(), options(index), LoggedDispatch(both_, log_), *side.breaker, retry));
    else
        side.api.emplace(AsyncAPIClient(time_.executor(), options(index), LoggedLimiter(limiter_, log_), executor_,
                                        *side.breaker, retry));
}

void ClientSchedule::on_state(Side& side, const BreakerTransition& change)
{
    if (change.from != side.state || !is_legal(change.from, change.to)) wrong_ = "an illegal change of the breaker's state";
    side.state = change.to;
}

Reply ClientSchedule::reply_to(const ReceivedRequest& request)
{
    const unsigned times = ++seen_[request.target];
    Dice dice(seed_ * 31U + static_cast<unsigned>(std::hash<std::string>{}(request.target)) + times * 977U);
    Reply reply = ok(request.target + std::string(static_cast<std::size_t>(dice.whole(0, 200)), '.'));
    if (faultless_) return reply;
    if (dice.chance(0.3)) reply.after(std::chrono::milliseconds{dice.whole(0, 300)});
    if (dice.chance(0.05)) reply.after(std::chrono::milliseconds{dice.whole(1000, 5000)});
    if (dice.chance(0.2)) reply.chunked(16);
    if (dice.chance(0.2)) reply.in_pieces(30, 1ms);
    if (dice.chance(0.1)) reply.header("Connection", "close");
    if (!dice.chance(limits_.faults)) return reply;
    const auto cut = static_cast<std::size_t>(dice.whole(0, 80));
    switch (dice.whole(0, 9)) {
    case 0: return no_answer();
    case 1: return reset();
    case 2: return close_without_answer();
    case 3: return reply.cut_after(cut).then_reset();
    case 4: return reply.cut_after(cut).then_close();
    case 5: return reply.cut_after(cut).then_end();
    case 6: return too_many_requests(std::chrono::seconds{dice.whole(0, 3)});
    case 7: return status(503);
    case 8: return reply.preceded_by("HTTP/1.1 103 Early Hints\r\n\r\n");
    default: return reply.followed_by("?"); // no answer begins like that
    }
}

void ClientSchedule::act(const Action& action)
{
    Dice dice(action.choice);
    const auto index = static_cast<std::size_t>(dice.whole(0, 1));
    Side& side = sides_[index];
    switch (action.kind) {
    case Action::Kind::call: return start_call(dice);
    case Action::Kind::cancel:
        if (!running_.empty())
            running_[static_cast<std::size_t>(dice.whole(0, static_cast<int>(running_.size()) - 1))].call.cancel();
        return;
    case Action::Kind::settle: return void(run_for(0s));
    case Action::Kind::wait:
        if (dice.chance(0.03)) return jump(std::chrono::seconds{dice.whole(1, 3600)});
        return void(run_for(dice.chance(0.5) ? std::chrono::milliseconds{dice.whole(0, 50)}
                                             : std::chrono::milliseconds{dice.whole(0, 4000)}));
    case Action::Kind::break_connections:
        return void(side.server->do_to_all(dice.chance(0.5) ? close_without_answer() : reset()));
    case Action::Kind::outage: return outage(dice);
    case Action::Kind::isolate:
        if (dice.chance(0.1)) side.breaker->isolate(time_.now());
        if (dice.chance(0.5)) side.breaker->reset(time_.now());
        return;
    case Action::Kind::change_rate:
        if (limits_.changes_rate) limiter_.set_rate(dice.real(2, 50), std::nullopt, time_.now());
        return;
    case Action::Kind::close_client:
        if (!limits_.closes || !dice.chance(0.2)) return;
        side.closed = true;
        closings_.push_back(time_.start(side.api->close(std::chrono::milliseconds{dice.whole(0, 3000)})));
        return;
    }
}

/// As after a machine has slept: all that was due meanwhile is due at once.
void ClientSchedule::jump(Duration duration)
{
    time_.service().advance_to(time_.now() + duration);
    for (Running& call : running_) call.due += duration; // it may not have begun yet
    (void)run_for(0s);
}

void ClientSchedule::start_call(Dice dice)
{
    const auto index = static_cast<std::size_t>(dice.whole(0, 1));
    const std::string path = "/" + std::to_string(index) + "/" + std::to_string(++calls_);
    const char* const method = dice.chance(0.6) ? "GET" : dice.chance(0.8) ? "POST" : "HEAD";
    auto request = sides_[index].api->request(method, path);
    Duration limit = longest_call;
    if (dice.chance(0.3)) limit = std::chrono::milliseconds{dice.whole(1, 8000)};
    if (limit != longest_call) request.timeout(limit);
    if (dice.chance(0.2)) request.cost(2);
    if (std::string_view(method) == "POST") request.body(std::string(static_cast<std::size_t>(dice.whole(0, 5000)), 'x'));
    running_.push_back(
        {time_.start(std::move(request).try_send()), path, time_.now() + limit, std::string_view(method) == "HEAD"});
}

void ClientSchedule::outage(Dice dice)
{
    const auto index = static_cast<std::size_t>(dice.whole(0, 1));
    Side& side = sides_[index];
    SimulatedHost& host = network_->host(host_of(index));
    switch (dice.whole(0, 8)) {
    case 0: side.address->reset_connections(); break;
    case 1: side.address->refuse(); break;
    case 2: side.address->black_hole(); break;
    case 3: side.address->send_window(dice.chance(0.5) ? 100 : std::numeric_limits<std::size_t>::max()); break;
    case 4: side.address->read_at_most(dice.chance(0.5) ? 1 : 4096); break;
    case 5: host.delay(dice.chance(0.5) ? 3s : 0s); break;
    case 6: host.fail(); break;
    default:
        for (auto& each : sides_) each.address->accept();
        host.delay(0s).fail({});
        break;
    }
}

/// Lets time run, handler by handler. False if something did not hold, or nothing but handlers would run for ever.
bool ClientSchedule::run_for(Duration duration)
{
    const TimePoint until = time_.now() + duration;
    int steps = 0;
    while (wrong_.empty()) {
        time_.context().restart();
        if (time_.context().poll_one() != 0) {
            if (++steps > patience) wrong_ = "a livelock";
            if (wrong_.empty()) wrong_ = check();
            continue;
        }
        const auto due = time_.service().next_due();
        if (!due || *due > until) break;
        if (*due > time_.now()) steps = 0;
        if (++steps > patience) wrong_ = "a livelock of timers";
        time_.service().advance_to(std::max(*due, time_.now()));
    }
    time_.service().advance_to(std::max(until, time_.now()));
    return wrong_.empty();
}

std::string ClientSchedule::check()
{
    const ExecutorStats stats = limits_.combined ? both_.stats() : executor_.stats();
    if (stats.running > limits_.slots) return "more run than there are slots";
    if (stats.queued > limits_.max_queue) return "more wait than may";
    if (!limits_.changes_rate && limiter_.tokens(time_.now()) > limits_.burst + 1e-9) return "more tokens than the burst";
    for (const Side& side : sides_) {
        const net::PoolCounts counts = side.api->connections();
        if (counts.open() > limits_.connections) return "over the cap of the pool";
    }
    return take_results();
}

std::string ClientSchedule::take_results()
{
    for (std::size_t i = 0; i < running_.size();) {
        if (!running_[i].call.done()) {
            if (time_.now() > running_[i].due + 100ms) return "call " + running_[i].path + " outlives its deadline";
            ++i;
            continue;
        }
        Running call = std::move(running_[i]);
        running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
        ++ended_;
        if (call.call.error()) {
            if (!is_cancellation(call.call.error())) return "call " + call.path + " throws";
            continue;
        }
        if (auto wrong = check_result(call, call.call.get()); !wrong.empty()) return wrong;
    }
    return {};
}

std::string ClientSchedule::check_result(const Running& call, const Result<Response>& result)
{
    if (!result) return check_ledger(call, result.error().ledger());
    ++answered_;
    const std::string_view body = result->body();
    if (call.is_head ? !body.empty()
                     : !body.starts_with(call.path) || body.find_first_not_of('.', call.path.size()) != body.npos)
        return "call " + call.path + " got " + std::string(body);
    return check_ledger(call, result->ledger());
}

std::string describe(const Attempt& attempt)
{
    std::string text = attempt.error == ErrorKind{} ? "no error" : std::string(to_string(attempt.error));
    const auto add = [&text](const char* name, Duration time) {
        text += std::string(", ") + name + ' ' + std::to_string(to_seconds(time));
    };
    add("elapsed", attempt.elapsed);
    add("rate", attempt.rate_wait);
    add("slot", attempt.slot_wait);
    add("pool", attempt.pool_wait);
    add("resolve", attempt.resolve);
    add("connect", attempt.connect);
    return text;
}

std::string ClientSchedule::check_ledger(const Running& call, const Ledger& ledger) const
{
    if (ledger.size() > limits_.max_attempts) return "call " + call.path + " made too many attempts";
    for (std::size_t i = 0; i < ledger.size(); ++i) {
        const Attempt& attempt = ledger[i];
        for (const Duration each : {attempt.rate_wait, attempt.slot_wait, attempt.pool_wait, attempt.resolve,
                                    attempt.connect, attempt.elapsed, attempt.backoff})
            if (each < 0s) return "call " + call.path + " has a negative time in its ledger";
        if (attempt.rate_wait + attempt.slot_wait + attempt.pool_wait + attempt.resolve + attempt.connect > attempt.elapsed)
            return "call " + call.path + " waited longer than its attempt took: " + describe(attempt);
    }
    return {};
}

std::string ClientSchedule::check_balance()
{
    const ExecutorStats stats = limits_.combined ? both_.stats() : executor_.stats();
    if (stats.running != 0 || stats.queued != 0) return "a slot is lost";
    if (limiter_.waiting() != 0) return "a waiter of the limiter is lost";
    if (!limits_.changes_rate && limiter_.tokens(time_.now()) < limits_.burst - 1e-6) return "a token is lost";
    if (!limits_.changes_rate && largest_burst(log_->spent, limits_.rate) > limits_.burst * (1 + 1e-6))
        return "the limiter let more through than it may";
    for (const Side& side : sides_) {
        const net::PoolCounts counts = side.api->connections();
        if (counts.leased + counts.connecting + counts.waiting != 0) return "the pool is not balanced";
        if (side.api->in_flight() != 0) return "a call is counted that has ended";
    }
    return {};
}

std::string ClientSchedule::check_recovery()
{
    faultless_ = true;
    for (std::size_t index = 0; index < sides_.size(); ++index) {
        Side& side = sides_[index];
        side.address->accept().send_window(std::numeric_limits<std::size_t>::max()).read_at_most(4096);
        network_->host(host_of(index)).delay(0s).fail({});
        side.breaker->reset(time_.now());
        const std::string path = "/" + std::to_string(index) + "/again";
        auto again = time_.start(side.api->get(path).try_send());
        if (!run_for(longest_call)) return wrong_;
        if (!again.done()) return "a call after it all hangs";
        const auto result = again.get();
        if (side.closed ? result.has_value() || result.error().kind() != ErrorKind::closed
                        : !result || !result->body().starts_with(path))
            return "a call after it all ends otherwise than it should";
    }
    return {};
}

std::string ClientSchedule::finish()
{
    if (!run_for(5 * longest_call)) return wrong_ + " at the end";
    if (!running_.empty()) return "call " + running_.front().path + " hangs";
    for (const auto& closing : closings_)
        if (!closing.done()) return "closing hangs";
    if (auto wrong = check_balance(); !wrong.empty()) return wrong;
    if (auto wrong = check_recovery(); !wrong.empty()) return wrong;
    for (auto& side : sides_) closings_.push_back(time_.start(side.api->close(1s)));
    if (!run_for(10s)) return wrong_ + " while closing";
    if (network_->open_connections() != 0) return "a connection is left open";
    return {};
}

std::string ClientSchedule::run(const std::vector<Action>& actions)
{
    for (const Action& action : actions) {
        act(action);
        if (!wrong_.empty()) return wrong_;
    }
    return limits_.abrupt ? std::string{} : finish();
}

std::string try_seed(unsigned seed, std::size_t& answered)
{
    std::vector<Action> actions = ClientSchedule::actions_of(seed, 40);
    std::string wrong;
    {
        ClientSchedule schedule(seed);
        wrong = schedule.run(actions);
        answered += schedule.answered();
    }
    if (wrong.empty()) return {};
    // Ever smaller pieces are taken out as long as something does not hold.
    for (std::size_t piece = actions.size() / 2; piece > 0; piece /= 2) {
        for (std::size_t at = 0; at + piece <= actions.size();) {
            std::vector<Action> fewer = actions;
            fewer.erase(fewer.begin() + static_cast<std::ptrdiff_t>(at),
                        fewer.begin() + static_cast<std::ptrdiff_t>(at + piece));
            const std::string still = ClientSchedule(seed).run(fewer);
            if (still.empty()) {
                at += piece;
            } else {
                actions = std::move(fewer);
                wrong = still;
            }
        }
    }
    std::string text =
        "seed " + std::to_string(seed) + ": " + wrong + "; shrunk to " + std::to_string(actions.size()) + " actions:";
    for (const Action& action : actions)
        text += " {" + std::to_string(static_cast<int>(action.kind)) + ", " + std::to_string(action.choice) + "}";
    return text;
}

} // namespace khive_tests

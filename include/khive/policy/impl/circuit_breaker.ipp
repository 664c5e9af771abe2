// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/policy/circuit_breaker.hpp>
#include <khive/policy/impl/breaker_core.ipp>

namespace khive::inline KHIVE_ABI {

KHIVE_DECL CircuitBreaker::CircuitBreaker(const CircuitBreakerOptions& options) : CircuitBreaker(options, Random{}) {}

KHIVE_DECL CircuitBreaker::CircuitBreaker(const CircuitBreakerOptions& options, const Random& random)
    : share_(detail::BreakerShare::make(std::make_shared<detail::BreakerCore>(options, random)))
{}

KHIVE_DECL CircuitBreaker CircuitBreaker::own_share() const
{
    CircuitBreaker other = *this;
    other.share_ = detail::BreakerShare::make(share_->core());
    return other;
}

KHIVE_DECL CircuitBreaker CircuitBreaker::named(std::string name) const
{
    share_->core()->rename(std::move(name));
    return *this;
}

KHIVE_DECL CircuitBreaker CircuitBreaker::classify(std::function<Verdict(const Failure&)> classifier) const
{
    share_->core()->set_classifier(std::move(classifier));
    return *this;
}

KHIVE_DECL CircuitBreaker CircuitBreaker::on_state_change(std::function<void(const BreakerTransition&)> callback) const
{
    share_->core()->add_callback(std::move(callback));
    return *this;
}

KHIVE_DECL void CircuitBreaker::isolate(TimePoint now) const
{
    share_->core()->locked([&](auto& machine) {
        machine.isolate(now);
        return true;
    });
}

KHIVE_DECL void CircuitBreaker::reset(TimePoint now) const
{
    share_->core()->locked([&](auto& machine) {
        machine.reset(now);
        return true;
    });
}

KHIVE_DECL BreakerState CircuitBreaker::state(TimePoint now) const
{
    return share_->core()->locked([&](auto& machine) { return machine.state(now); });
}

KHIVE_DECL BreakerStats CircuitBreaker::stats(TimePoint now) const
{
    return share_->core()->locked([&](auto& machine) {
        (void)machine.state(now);
        return machine.stats();
    });
}

KHIVE_DECL std::string CircuitBreaker::describe(TimePoint now) const
{
    return share_->core()->locked([&](auto& machine) { return machine.describe(now); });
}

KHIVE_DECL std::uint64_t CircuitBreaker::callback_errors() const noexcept
{
    return share_->core()->callback_errors();
}

KHIVE_DECL std::optional<Error> CircuitBreaker::refusal(TimePoint now) const
{
    detail::BreakerCore& core = *share_->core();
    if (share_->passing() || core.passing()) return std::nullopt;
    KHIVE_YIELD_POINT();
    return core.locked([&](auto& machine) -> std::optional<Error> {
        const auto wait = machine.refusal(now);
        if (!wait) return std::nullopt;
        return core.refused(*wait);
    });
}

KHIVE_DECL auto CircuitBreaker::try_admit(TimePoint now) const -> Result<Ticket>
{
    if (const auto ticket = share_->pass(now)) return Ticket(*share_, *ticket, now);
    KHIVE_YIELD_POINT();
    detail::BreakerCore& core = *share_->core();
    return core.locked([&](auto& machine) -> Result<Ticket> {
        const auto admission = machine.try_admit(now);
        if (!admission.ticket) return core.refused(admission.wait);
        share_->count_ticket();
        return Ticket(*share_, *admission.ticket, now);
    });
}

KHIVE_DECL auto CircuitBreaker::Ticket::operator=(Ticket&& other) noexcept -> Ticket&
{
    Ticket mine(std::move(other));
    std::swap(share_, mine.share_);
    std::swap(ticket_, mine.ticket_);
    std::swap(admitted_, mine.admitted_);
    return *this;
}

KHIVE_DECL void CircuitBreaker::Ticket::drop() noexcept
{
    std::exchange(share_, nullptr)->record(ticket_, Verdict::neutral, admitted_);
}

KHIVE_DECL void CircuitBreaker::Ticket::record(const Outcome& outcome, TimePoint now) noexcept
{
    if (auto* const share = std::exchange(share_, nullptr)) share->record(ticket_, outcome.verdict, now);
}

KHIVE_DECL void CircuitBreaker::Ticket::record(const Failure& failure, TimePoint now) noexcept
{
    if (share_ != nullptr) record(Outcome{.verdict = share_->core()->judge(failure)}, now);
}

} // namespace khive::inline KHIVE_ABI

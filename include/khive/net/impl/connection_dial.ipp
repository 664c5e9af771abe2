// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/post.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/net/connection.hpp>
#include <khive/net/impl/connection_step.ipp>

#include <boost/asio/error.hpp>

#include <memory>
#include <utility>

namespace khive::inline KHIVE_ABI::net {

KHIVE_DECL bool Connection::dial(const DialTimeouts& timeouts)
{
    KHIVE_YIELD_POINT();
    Step step(*this);
    dialling_ = true;
    now_in_ = Stage::resolving;
    dial_->timeouts = timeouts;
    dial_->began = setup_->time.now();
    stage_deadline(Timer::resolve, dial_->began);
    const Origin& origin = setup_->origin;
    step.act([&] {
        if (closed_by_owner_) return end(Error{ErrorKind::closed}); // between its making and now, by another thread
        if (setup_->is_literal) {
            resolved(dial_->began);
        } else {
            setup_->network->resolve(setup_->executor, origin.host, origin.port, self());
        }
    });
    if (ended_ && reusable_) {
        ended_ = dialling_ = false;
        just_up_ = true;
        return true;
    }
    if (ended_) {
        dial_ends_ = true;
        intrusive_ptr_add_ref(this);
        async::post(setup_->executor, *this);
    } else {
        step.finish(false);
    }
    return false;
}

KHIVE_DECL void Connection::run()
{
    KHIVE_YIELD_POINT();
    if (dial_ends_) {
        const ConnectionPtr self(this, false);
        Step step(*this);
        dial_ends_ = false;
        step.finish(true);
    } else {
        async::Continuation rest = std::move(rest_);
        if (elsewhere_) *elsewhere_ = nullptr;
        std::move(rest).run();
    }
}

KHIVE_DECL void Connection::abandon() noexcept
{
    const ConnectionPtr self(dial_ends_ ? this : nullptr, false);
    if (elsewhere_) *elsewhere_ = nullptr;
    const async::Continuation rest = std::move(rest_); // what it destroys may hold the last of this connection
}

KHIVE_DECL void Connection::on_resolved(boost::system::error_code error, Endpoints endpoints)
{
    Step step(*this);
    step.act([&] {
        if (now_in_ != Stage::resolving || ended_) return;
        const TimePoint now = setup_->time.now();
        dial_->times.resolve = now - dial_->began;
        if (error || endpoints.empty()) {
            end(Error{ErrorKind::resolve}
                    .with_message("cannot resolve '" + setup_->origin.host + "'")
                    .with_cause(error)
                    .with_retryable(true));
        } else {
            dial_->looked_up = std::move(endpoints);
            resolved(now);
        }
    });
    step.finish(true);
}

KHIVE_DECL void Connection::resolved(TimePoint now)
{
    const Duration limit = dial_->timeouts.connect;
    now_in_ = Stage::connecting;
    dial_->left = dial_->looked_up.empty() ? 1 : dial_->looked_up.size();
    dial_->began = now;
    dial_->total = {saturating_add(now, limit), Timer::connect, limit};
    connect_next();
}

KHIVE_DECL void Connection::connect_next()
{
    if (dial_->left == 0)
        return end(Error{ErrorKind::connect}
                       .with_message("cannot connect to " + setup_->origin.to_string() + ": " + dial_->failures)
                       .with_cause(dial_->last_failure)
                       .with_retryable(true));
    // Every address gets its share of what is left, so that one black hole does not use up all of it.
    const TimePoint now = setup_->time.now();
    const Duration share = time_left(dial_->total.at, now) / static_cast<Duration::rep>(dial_->left);
    stage_timer_ = Timer::connect;
    stage_ends_ = saturating_add(now, share);
    const Endpoints& all = dial_->looked_up;
    const Endpoint next = all.empty() ? setup_->literal : all[all.size() - dial_->left];
    --dial_->left;
    peer_ = next.peer();
    if (wire_->connect(next, self()))
        connected(setup_->time.now());
    else
        ++pending_;
}

KHIVE_DECL void Connection::on_connected(boost::system::error_code error)
{
    Step step(*this);
    --pending_;
    // It may have succeeded just as its time ran out; the socket is closed then.
    if (std::exchange(share_over_, false) && !error) error = asio::error::timed_out;
    step.act([&] {
        if (now_in_ != Stage::connecting || ended_) return;
        if (error) {
            dial_->last_failure = error == asio::error::operation_aborted ? asio::error::timed_out : error;
            dial_->failures +=
                (dial_->failures.empty() ? "" : "; ") + peer_.to_string() + ": " + dial_->last_failure.message();
            connect_next();
        } else {
            connected(setup_->time.now());
        }
    });
    step.finish(true);
}

KHIVE_DECL void Connection::connected(TimePoint now)
{
    dial_->times.connect = now - dial_->began;
    const Origin& origin = setup_->origin;
    if (!origin.tls) return dialled();
    tls_.reset(new TlsSession(setup_->tls, origin.host, origin.to_string()));
    now_in_ = Stage::handshaking;
    dial_->began = now;
    dial_->total = {};
    stage_deadline(Timer::tls_handshake, now);
    handshake();
}

KHIVE_DECL void Connection::handshake()
{
    const TlsStep step = tls_->handshake();
    if (step != TlsStep::done) flush_tls(); // what ends it goes out together with the first request
    switch (step) {
    case TlsStep::done:
        if (!writing_) dialled(); // else when all of it is out
        return;
    case TlsStep::read: return start_read(Look::now);
    case TlsStep::closed: return end(lost(asio::error::eof));
    case TlsStep::failed: return end(tls_->error());
    }
}

KHIVE_DECL void Connection::dialled()
{
    if (tls_) dial_->times.tls = setup_->time.now() - dial_->began;
    now_in_ = Stage::idle;
    reusable_ = true;
    ended_ = true;
    end_ = {};
}

} // namespace khive::inline KHIVE_ABI::net

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/net/connection.hpp>
#include <khive/net/impl/connection_step.ipp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <memory>
#include <utility>

namespace khive::inline KHIVE_ABI::net {
namespace detail {

inline PeerAddress to_peer(const Endpoint& endpoint)
{
    PeerAddress peer;
    peer.port = endpoint.port();
    peer.family = endpoint.address().is_v4() ? 4 : 6;
    if (peer.family == 4)
        std::ranges::copy(endpoint.address().to_v4().to_bytes(), peer.bytes.begin());
    else
        std::ranges::copy(endpoint.address().to_v6().to_bytes(), peer.bytes.begin());
    return peer;
}

} // namespace detail

KHIVE_DECL void Connection::dial(const DialTimeouts& timeouts)
{
    KHIVE_YIELD_POINT();
    Step step(*this);
    dialling_ = true;
    dial_timeouts_ = timeouts;
    now_in_ = Stage::resolving;
    stage_began_ = time_.now();
    total_ = {};
    stage_deadline(Timer::resolve, timeouts.resolve, stage_began_);
    step.act([&] {
        if (closed_by_owner_) return end(Error{ErrorKind::closed}); // between its making and now, by another thread
        if (const auto endpoint = network_->literal(origin_.host, origin_.port))
            resolved({*endpoint}, stage_began_);
        else
            network_->resolve(executor_, origin_.host, origin_.port, self());
    });
    if (ended_)
        dial_end_.post(*this);
    else
        step.finish(false);
}

KHIVE_DECL void Connection::DialEnd::post(Connection& connection)
{
    const asio::any_io_executor executor = connection.executor_;
    connection_ = &connection;
    async::post(executor, *this);
}

KHIVE_DECL void Connection::DialEnd::run()
{
    const ConnectionPtr connection = std::move(connection_);
    Step step(*connection);
    step.finish(true);
}

KHIVE_DECL void Connection::on_resolved(boost::system::error_code error, Endpoints endpoints)
{
    Step step(*this);
    step.act([&] {
        if (now_in_ != Stage::resolving || ended_) return;
        const TimePoint now = time_.now();
        dial_times_.resolve = now - stage_began_;
        if (error || endpoints.empty()) {
            end(Error{ErrorKind::resolve}
                    .with_message("cannot resolve '" + origin_.host + "'")
                    .with_cause(error)
                    .with_retryable(true));
        } else {
            resolved(std::move(endpoints), now);
        }
    });
    step.finish(true);
}

KHIVE_DECL void Connection::resolved(Endpoints endpoints, TimePoint now)
{
    endpoints_ = std::move(endpoints);
    now_in_ = Stage::connecting;
    stage_began_ = now;
    total_ = {saturating_add(now, dial_timeouts_.connect), Timer::connect, dial_timeouts_.connect};
    connect_next();
}

KHIVE_DECL void Connection::connect_next()
{
    if (next_endpoint_ == endpoints_.size())
        return end(Error{ErrorKind::connect}
                       .with_message("cannot connect to " + origin_.to_string() + ": " + connect_failures_)
                       .with_cause(last_failure_)
                       .with_retryable(true));
    // Every address gets its share of what is left, so that one black hole does not use up all of it.
    const TimePoint now = time_.now();
    const auto left = static_cast<Duration::rep>(endpoints_.size() - next_endpoint_);
    const Duration share = time_left(total_.at, now) / left;
    stage_ = {saturating_add(now, share), Timer::connect, dial_timeouts_.connect};
    peer_ = detail::to_peer(endpoints_[next_endpoint_]);
    wire_->connect(endpoints_[next_endpoint_++], self());
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
        const TimePoint now = time_.now();
        dial_times_.connect = now - stage_began_;
        if (error) {
            last_failure_ = error == asio::error::operation_aborted ? asio::error::timed_out : error;
            connect_failures_ += (connect_failures_.empty() ? "" : "; ") + peer_.to_string() + ": " + last_failure_.message();
            connect_next();
        } else if (origin_.tls) {
            tls_ = std::make_unique<TlsSession>(tls_context_, origin_.host, origin_.to_string());
            now_in_ = Stage::handshaking;
            stage_began_ = now;
            total_ = {};
            stage_deadline(Timer::tls_handshake, dial_timeouts_.tls_handshake, now);
            handshake();
        } else {
            dialled();
        }
    });
    step.finish(true);
}

KHIVE_DECL void Connection::handshake()
{
    const TlsStep step = tls_->handshake();
    flush_tls();
    switch (step) {
    case TlsStep::done:
        if (tls_->output_size() == 0) dialled(); // else when all of it is out
        return;
    case TlsStep::read: return start_read(Look::now);
    case TlsStep::closed: return end(lost(asio::error::eof));
    case TlsStep::failed: return end(tls_->error());
    }
}

KHIVE_DECL void Connection::dialled()
{
    if (tls_) dial_times_.tls = time_.now() - stage_began_;
    now_in_ = Stage::idle;
    reusable_ = true;
    ended_ = true;
    end_ = {};
}

} // namespace khive::inline KHIVE_ABI::net

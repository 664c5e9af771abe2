// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/net/connection.hpp>
#include <khive/net/impl/connection_dial.ipp>
#include <khive/net/impl/connection_exchange.ipp>
#include <khive/net/impl/connection_step.ipp>

#include <new>
#include <utility>

namespace khive::inline KHIVE_ABI::net {
namespace detail {

KHIVE_DECL Error no_memory(ErrorKind kind) noexcept
{
    Error error = Error{kind}.with_retryable(true);
    try {
        return Error{error}.with_cause(make_error_code(boost::system::errc::not_enough_memory));
    } catch (...) {
        return error;
    }
}

} // namespace detail

KHIVE_DECL Connection::Connection(ConnectionSetupPtr setup)
    : setup_(std::move(setup)), wire_(setup_->network->open(setup_->executor)), reader_(setup_->limits)
{
}

KHIVE_DECL Connection::~Connection()
{
    setup_->time.disarm(*this);
}

// --- Turns of the wire -----------------------------------------------------------------------------------------------

KHIVE_DECL void Connection::on_written(boost::system::error_code error, std::size_t bytes)
{
    Step step(*this);
    --pending_;
    writing_ = false;
    if (tls_ && !error) tls_->consume_output(bytes);
    step.act([&] { written(error, bytes); });
    step.finish(true);
}

KHIVE_DECL void Connection::written(boost::system::error_code error, std::size_t bytes)
{
    if (now_in_ == Stage::handshaking && !ended_) {
        if (error) return end(lost(error));
        flush_tls();
        if (tls_->has_shaken_hands() && tls_->output_size() == 0) dialled();
    } else if (now_in_ == Stage::exchanging && !ended_) {
        request_written(error, bytes, setup_->time.now());
    } else if (ended_ && rest_ && !error) {
        end_.wrote = true; // it was on its way when the exchange was ended
        std::move(end_.error).with_maybe_processed(true);
    } else if (now_in_ == Stage::idle && !error) {
        flush_tls();
    }
}

KHIVE_DECL void Connection::on_read(boost::system::error_code error, std::size_t bytes)
{
    Step step(*this);
    --pending_;
    reading_ = false;
    if (tls_) tls_->commit_input(bytes);
    const bool was_idle = now_in_ == Stage::idle;
    step.act([&] { has_read(error, bytes); });
    if (was_idle && now_in_ == Stage::closed) step.tell_keeper();
    step.finish(true);
}

KHIVE_DECL void Connection::has_read(boost::system::error_code error, std::size_t bytes)
{
    if (now_in_ == Stage::handshaking && !ended_) {
        if (error)
            end(lost(error));
        else
            handshake();
    } else if (now_in_ == Stage::idle) {
        watch_tls(error);
    } else if (now_in_ == Stage::exchanging && !ended_) {
        answer_read(error, bytes);
    }
}

/// Of plain text none is held while the answer takes its time: nothing else touches the reader as long as something is read.
KHIVE_DECL std::span<char> Connection::read_buffer()
{
    return tls_ ? tls_->prepared_input() : reader_.prepare();
}

KHIVE_DECL void Connection::start_read(Look look)
{
    if (tls_) (void)tls_->prepare_input();
    wire_->read_some(self(), look);
    reading_ = true;
    ++pending_;
}

KHIVE_DECL void Connection::flush_tls()
{
    if (!tls_ || writing_ || tls_->output_size() == 0) return;
    boost::system::error_code told_again; // by what waits
    tls_->consume_output(wire_->try_write({tls_->output(), {}}, told_again));
    if (tls_->output_size() == 0) return;
    wire_->write_some({tls_->output(), {}}, self());
    writing_ = true;
    ++pending_;
}

// --- Ends ------------------------------------------------------------------------------------------------------------

KHIVE_DECL void Connection::end(Error error) noexcept
{
    if (ended_) return;
    ended_ = true;
    end_.error = std::move(error);
    const bool keep = reusable_ && end_.ok();
    now_in_ = keep ? Stage::idle : Stage::closed;
    if (keep) return;
    reusable_ = false;
    wire_->close();
}

KHIVE_DECL void Connection::out_of_memory() noexcept
{
    switch (now_in_) {
    case Stage::resolving: return end(detail::no_memory(ErrorKind::resolve));
    case Stage::connecting: return end(detail::no_memory(ErrorKind::connect));
    case Stage::handshaking: return end(detail::no_memory(ErrorKind::tls));
    case Stage::exchanging: return end(detail::no_memory(ErrorKind::connection_lost).with_maybe_processed(end_.wrote));
    case Stage::fresh:
    case Stage::idle:
    case Stage::closed:
        now_in_ = Stage::closed;
        reusable_ = false;
        wire_->close();
    }
}

KHIVE_DECL Duration Connection::limit_of(Timer timer) const noexcept
{
    switch (timer) {
    case Timer::resolve: return dial_->timeouts.resolve;
    case Timer::connect: return dial_->timeouts.connect;
    case Timer::tls_handshake: return dial_->timeouts.tls_handshake;
    case Timer::write_stall: return exchange_->timeouts().write_stall;
    case Timer::first_byte: return exchange_->timeouts().first_byte;
    case Timer::read_stall: return exchange_->timeouts().read_stall;
    default: return unlimited;
    }
}

KHIVE_DECL void Connection::stage_deadline(Timer timer, TimePoint now) noexcept
{
    stage_timer_ = timer;
    stage_ends_ = saturating_add(now, limit_of(timer));
}

KHIVE_DECL TimePoint Connection::on_time(TimePoint now) noexcept
{
    Step step(*this);
    TimePoint again = no_deadline;
    step.act([&] {
        if (now_in_ == Stage::idle || now_in_ == Stage::closed || ended_) return;
        const Deadline due = nearest();
        if (look_again_at_ <= now) {
            look_again_at_ = no_deadline;
            if (reading_) wire_->look_again();
        }
        if (due.at > now) {
            again = next_time();
        } else if (now_in_ == Stage::connecting && total().at > now) {
            stage_ends_ = no_deadline;
            again = total().at;
            share_over_ = true;
            wire_->close(); // `on_connected` goes on with the next address
        } else {
            end(Error{ErrorKind::timeout}
                    .with_timer(due.timer, due.value)
                    .with_retryable(due.timer != Timer::total)
                    .with_maybe_processed(end_.wrote));
        }
    });
    step.finish(false);
    return again;
}

// --- Between exchanges -----------------------------------------------------------------------------------------------

KHIVE_DECL void Connection::close(const Error& why)
{
    KHIVE_YIELD_POINT();
    Step step(*this);
    closed_by_owner_ = true;
    switch (now_in_) {
    case Stage::resolving:
    case Stage::connecting:
    case Stage::handshaking:
    case Stage::exchanging: end(Error{why}.with_maybe_processed(end_.wrote)); break;
    case Stage::idle:
        if (tls_ && !writing_) {
            tls_->shut_down();
            boost::system::error_code ignored;
            (void)wire_->try_write({tls_->output(), {}}, ignored);
        }
        [[fallthrough]];
    case Stage::fresh:
    case Stage::closed:
        now_in_ = Stage::closed;
        wire_->close();
        break;
    }
    step.finish(false);
}

KHIVE_DECL void Connection::watch()
{
    KHIVE_YIELD_POINT();
    Step step(*this);
    if (now_in_ == Stage::idle && !waiting_ && !reading_) {
        try {
            flush_tls(); // the end of a handshake that no request has followed
            wait_readable();
            reader_.release_memory();
            if (tls_) tls_->release_buffers();
        } catch (const std::bad_alloc&) { // NOLINT: unwatched, it is looked at when it is used
        }
    }
    step.finish(false);
}

KHIVE_DECL void Connection::wait_readable()
{
    wire_->wait_readable(self());
    watching_ = waiting_ = true;
    ++pending_;
}

KHIVE_DECL bool Connection::wake(bool probe)
{
    Step step(*this);
    // While something is being read, the watch has found bytes that nobody asked for.
    bool alive = now_in_ == Stage::idle && !reading_;
    if (alive && std::exchange(watching_, false)) {
        wire_->cancel();
        probe = true;
        if (tls_ && uses() != 0) alive = tls_->at_rest(); // part of what nobody asked for may have come
    }
    just_up_ = false;
    // An unused TLS connection has session tickets to read.
    probed_ = alive && probe && !(tls_ && uses() == 0);
    if (probed_) alive = !wire_->readable_now();
    if (!alive) reusable_ = false;
    step.finish(false);
    return alive;
}

KHIVE_DECL void Connection::on_readable(boost::system::error_code error)
{
    Step step(*this);
    --pending_;
    waiting_ = false;
    if (now_in_ == Stage::idle && std::exchange(watching_, false)) {
        step.act([&] {
            if (tls_ && !error) return start_read(Look::now);
            now_in_ = Stage::closed;
            wire_->close();
        });
        if (now_in_ == Stage::closed) step.tell_keeper();
    }
    step.finish(false); // whatever strand the executor is, this is outside of it
}

KHIVE_DECL void Connection::watch_tls(boost::system::error_code error)
{
    char unasked = 0;
    std::size_t bytes = 0;
    // A session ticket, or a part of one, leaves nothing to read or to say.
    if (!error && tls_->read({&unasked, 1}, bytes) == TlsStep::read && tls_->output_size() == 0) {
        wait_readable();
        tls_->release_buffers();
        return;
    }
    now_in_ = Stage::closed;
    wire_->close();
}

KHIVE_DECL void Connection::on_abandoned() noexcept
{
    async::Continuation rest;
    {
        const std::lock_guard lock(mutex_);
        --pending_;
        now_in_ = Stage::closed;
        rest = std::move(rest_);
    }
}

} // namespace khive::inline KHIVE_ABI::net

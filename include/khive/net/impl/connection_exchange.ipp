// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/min_max.hpp>
#include <khive/http/method.hpp>
#include <khive/net/async_exchange.hpp>
#include <khive/net/connection.hpp>
#include <khive/net/impl/connection_step.ipp>

#include <boost/asio/error.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace khive::inline KHIVE_ABI::net {
namespace detail {

/// The system lacked memory: worth another try.
inline bool may_go_later(boost::system::error_code error) noexcept
{
    return error == asio::error::no_buffer_space || error == asio::error::no_memory;
}

inline std::span<const char> bytes_of(std::string_view text)
{
    return {text.data(), text.size()};
}

/// TLS records that wait to be written: no more of the request is encrypted beyond it.
inline constexpr std::size_t enough_output = 64 * 1024;

/// Whoever has been told of nothing for so long looks: a server that ends its side together with an answer, and does not say so in
/// it, is told of once, with the answer.
inline constexpr Duration told_within = std::chrono::milliseconds{250};

/// What is read of one answer before it is another connection's turn.
inline constexpr std::size_t most_at_once = 256 * 1024;

} // namespace detail

KHIVE_DECL void Connection::exchange(const Exchange& what, async::Completion& rest, bool resumes_here)
{
    // With several threads the exchange may be over, and its caller gone, before this function has returned.
    const ConnectionPtr alive(this);
    const bool in_turn = setup_->writes.expects(what.began(), setup_->time.home());
    Step step(*this);
    if (!resumes_here && !elsewhere_) elsewhere_.reset(new asio::any_io_executor);
    dial_.reset();
    exchange_ = &what;
    rest_ = std::move(rest);
    resumes_here_ = resumes_here;
    if (!resumes_here) *elsewhere_ = rest.take_executor();
    taken_ = 0;
    closes_ = what.outgoing().closes;
    sent_ = false;
    stage_timer_ = Timer::none;
    stage_ends_ = no_deadline;
    write_failure_.reset();
    look_again_at_ = no_deadline;
    reusable_ = false;
    end_ = {};
    const std::uint64_t uses_before = uses();
    serial_.store(uses_before + 1, std::memory_order_relaxed);
    end_.reused = uses_before > 0;
    reader_.start(what.outgoing().head_method);
    if (std::exchange(watching_, false)) wire_->cancel();
    step.act([&] { begin_exchange(in_turn); });
    step.finish(false);
}

KHIVE_DECL void Connection::begin_exchange(bool in_turn)
{
    const bool probe = !std::exchange(probed_, false) && end_.reused && !exchange_->outgoing().idempotent;
    if (now_in_ == Stage::idle) {
        now_in_ = Stage::exchanging;
        if (probe && (reading_ || wire_->readable_now()))
            end(lost_before_request());
        else if (!end_.reused)
            begin_first();
        else if (in_turn)
            queue_write();
        else
            begin_write(exchange_->began()); // which is now, but for a few microseconds
    } else {
        // Between the grant and now: by its owner, or its watch, begun by another thread just before, has found its end.
        ended_ = true;
        // First what takes no memory: without any for more it stays.
        end_.error =
            Error{closed_by_owner_ ? ErrorKind::closed : ErrorKind::connection_lost}.with_retryable(!closed_by_owner_);
        if (!closed_by_owner_) end_.error = lost_before_request();
    }
}

/// An answer that is there before the first request will pass for its own, and the true one must not pass for the next.
KHIVE_DECL void Connection::begin_first()
{
    if (tls_) {
        const std::size_t of_handshake = tls_->output_size();
        const TlsStep there = tls_->peek();
        if (there == TlsStep::closed) return end(lost_before_request());
        if (there == TlsStep::failed) return end(tls_->error());
        // With something to say to the server first, as after a request for new keys, the connection is not worth the wait.
        const bool may_wait = there == TlsStep::read && tls_->output_size() == of_handshake;
        if (may_wait && (reading_ || !tls_->is_quiet() || wire_->readable_now())) {
            flush_tls();
            if (!writing_) {
                early_ = Early::on_wire;
                return pump_read(Look::now);
            }
            closes_ = true;
        }
        early_ = there == TlsStep::done ? Early::in_session : Early::none;
        if (!tls_->is_quiet() || tls_->output_size() != of_handshake) closes_ = true;
    } else if (!(std::exchange(just_up_, false) && exchange_->outgoing().idempotent) && wire_->readable_now()) {
        closes_ = true;
    }
    begin_write(exchange_->began());
}

KHIVE_DECL void Connection::queue_write() noexcept
{
    setup_->writes.join(self(), exchange_->began(), setup_->time);
    queued_ = true;
    ++pending_;
}

KHIVE_DECL void Connection::on_turn(TimePoint now)
{
    Step step(*this);
    queued_ = false;
    --pending_;
    if (now_in_ == Stage::exchanging && !ended_) step.act([&] { begin_write(now); });
    step.finish(false);
}

KHIVE_DECL void Connection::begin_write(TimePoint now)
{
    if (tls_) {
        if (auto failed = encrypt(); failed.kind() != ErrorKind{}) return end(std::move(failed));
        if (writing_) return stage_deadline(Timer::write_stall, now); // the end of the handshake still
    }
    // Nearly every request goes out at once; what an operation of the wire costs is spared then.
    boost::system::error_code error;
    const std::size_t bytes = wire_->try_write(unsent(), error);
    if (bytes == 0 && (!error || detail::may_go_later(error))) {
        stage_deadline(Timer::write_stall, now);
        return pump_write();
    }
    if (tls_ && !error) tls_->consume_output(bytes);
    request_written(error, bytes, now);
}

KHIVE_DECL void Connection::pump_write()
{
    if (writing_ || ended_) return;
    if (tls_) {
        if (auto failed = encrypt(); failed.kind() != ErrorKind{}) return end(std::move(failed));
    }
    wire_->write_some(unsent(), self());
    writing_ = true;
    ++pending_;
}

KHIVE_DECL bool Connection::request_sent() const noexcept
{
    return taken_ == exchange_->outgoing().size();
}

KHIVE_DECL WriteBuffers Connection::unsent() const noexcept
{
    return tls_ ? WriteBuffers{tls_->output(), {}} : plain_rest();
}

KHIVE_DECL WriteBuffers Connection::plain_rest() const noexcept
{
    const Outgoing all = exchange_->outgoing();
    const std::size_t of_head = std::min(taken_, all.head.size());
    return {detail::bytes_of(all.head.substr(of_head)), detail::bytes_of(all.body.substr(taken_ - of_head))};
}

KHIVE_DECL Error Connection::encrypt()
{
    while (!request_sent() && tls_->output_size() < detail::enough_output) {
        const WriteBuffers parts = plain_rest();
        std::size_t taken = 0;
        if (const auto step = tls_->write(parts[parts[0].empty() ? 1 : 0], taken); step != TlsStep::done)
            return step == TlsStep::failed ? tls_->error() : Error{ErrorKind::tls}.with_message("TLS failed: cannot write");
        taken_ += taken;
    }
    return Error{};
}

KHIVE_DECL void Connection::request_written(boost::system::error_code error, std::size_t bytes, TimePoint now)
{
    if (sent_) {
        if (!error) flush_tls(); // an answer of TLS's own went out
    } else if (error) {
        // The answer that explains it may be on its way: a 413, say. Read before giving up.
        write_failure_.reset(new boost::system::error_code(error));
        stage_deadline(Timer::read_stall, now);
        pump_read(Look::now);
    } else {
        end_.wrote = true;
        exchange_->attempt().bytes_sent += bytes;
        if (!tls_) taken_ += bytes;
        sent_some(now);
    }
}

KHIVE_DECL void Connection::sent_some(TimePoint now)
{
    if (!request_sent() || (tls_ && tls_->output_size() != 0)) {
        stage_deadline(Timer::write_stall, now);
        pump_write();
        return pump_read(Look::now); // an early answer must be seen while a large body is still going out
    }
    sent_ = true;
    exchange_->attempt().write = now - exchange_->began();
    if (end_.any_answer)
        stage_deadline(Timer::read_stall, now);
    else
        stage_deadline(Timer::first_byte, now);
    look_again_at_ = now + detail::told_within;
    pump_read(Look::when_told);
}

KHIVE_DECL void Connection::pump_read(Look look)
{
    if (reading_ || ended_) return;
    if (early_ == Early::in_session) {
        early_ = Early::none;
        decrypt();
    } else {
        start_read(look);
    }
}

KHIVE_DECL void Connection::read_more()
{
    if (end_.any_answer) stage_deadline(Timer::read_stall, last_byte_);
    pump_read(Look::now);
}

KHIVE_DECL void Connection::answer_read(boost::system::error_code error, std::size_t bytes)
{
    if (early_ == Early::on_wire) return error ? end(lost_before_request()) : begin_first();
    if (error) return read_failed(error);
    if (tls_) return decrypt();
    // What a read had no room for is read at once: the call goes on with its body still in the processor's cache.
    http::ReadStep step = http::ReadStep::more;
    for (std::size_t at_once = 0;;) {
        received(bytes);
        step = reader_.commit(bytes);
        at_once += bytes;
        if (step != http::ReadStep::more || at_once > detail::most_at_once) break;
        bytes = wire_->try_read(reader_.prepare(), self(), error);
        if (error) return read_failed(error);
        if (bytes == 0) break;
    }
    step_to(step);
}

KHIVE_DECL void Connection::read_failed(boost::system::error_code error)
{
    if (error == asio::error::operation_aborted)
        start_read(Look::now); // after `look_again`
    else if (error == boost::system::errc::not_enough_memory)
        out_of_memory();
    else if (error == asio::error::eof)
        step_to(reader_.end_of_stream(!tls_));
    else if (reader_.head_done())
        step_to(reader_.end_of_stream(false)); // a reset truncates as a FIN does
    else
        end(lost(error));
}

KHIVE_DECL void Connection::received(std::size_t bytes)
{
    last_byte_ = setup_->time.now();
    Attempt& attempt = exchange_->attempt();
    attempt.bytes_received += bytes;
    if (!std::exchange(end_.any_answer, true)) attempt.first_byte = last_byte_ - exchange_->began() - attempt.write;
}

KHIVE_DECL void Connection::decrypt()
{
    for (;;) {
        std::size_t bytes = 0;
        const TlsStep step = tls_->read(reader_.prepare(), bytes);
        if (step == TlsStep::read) break;
        if (step == TlsStep::closed) return step_to(reader_.end_of_stream(true));
        if (step == TlsStep::failed)
            return end(Error{tls_->error()}.with_retryable(false).with_maybe_processed(end_.wrote));
        received(bytes);
        const auto read = reader_.commit(bytes);
        if (read != http::ReadStep::more) return step_to(read);
    }
    if (tls_->output_size() > 2 * detail::enough_output)
        return end(Error{ErrorKind::protocol}
                       .with_message("the server asks for answers at the TLS level and does not read them")
                       .with_maybe_processed(end_.wrote));
    flush_tls();
    read_more();
}

KHIVE_DECL void Connection::step_to(http::ReadStep step)
{
    switch (step) {
    case http::ReadStep::more: return read_more();
    case http::ReadStep::done: return answered();
    case http::ReadStep::failed: break;
    }
    Error error = reader_.error();
    if (error.kind() == ErrorKind::connection_lost) return end(lost(write_failure_ ? *write_failure_ : asio::error::eof));
    const bool retryable = error.kind() == ErrorKind::truncated_body;
    end(std::move(error).with_retryable(retryable).with_maybe_processed(true));
}

KHIVE_DECL void Connection::answered()
{
    Attempt& attempt = exchange_->attempt();
    attempt.status = static_cast<std::uint16_t>(reader_.status());
    attempt.body = last_byte_ - exchange_->began() - attempt.write - attempt.first_byte;
    bool clean =
        reader_.reusable() && !reader_.serves_no_more() && request_sent() && !write_failure_ && !writing_ && !closes_;
    if (tls_ && clean && !tls_->at_rest()) {
        // Session tickets may follow the answer; anything else does not belong there.
        char unasked = 0;
        std::size_t bytes = 0;
        clean = tls_->read({&unasked, 1}, bytes) == TlsStep::read && tls_->at_rest();
    }
    reusable_ = clean;
    end(Error{});
}

KHIVE_DECL Error Connection::lost(boost::system::error_code error) const
{
    const bool exchanging = now_in_ == Stage::exchanging;
    std::string reason = exchanging ? "connection lost" : "connection lost during the TLS handshake";
    if (error == asio::error::eof) reason += exchanging ? ": closed by the server before an answer" : ": closed by the server";
    return Error{exchanging ? ErrorKind::connection_lost : ErrorKind::tls}
        .with_message(std::move(reason))
        .with_cause(error == asio::error::eof ? boost::system::error_code{} : error)
        .with_retryable(true)
        .with_maybe_processed(end_.wrote);
}

KHIVE_DECL Error Connection::lost_before_request()
{
    return Error{ErrorKind::connection_lost}
        .with_message("connection lost: closed by the server, or something unasked was sent, before the request")
        .with_retryable(true);
}

KHIVE_DECL void Connection::cancel_exchange(std::uint64_t serial)
{
    Step step(*this);
    if (now_in_ == Stage::exchanging && serial_.load(std::memory_order_relaxed) == serial)
        end(Error{ErrorKind::cancelled}.with_maybe_processed(end_.wrote));
    step.finish(false);
}

} // namespace khive::inline KHIVE_ABI::net

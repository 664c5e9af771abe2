// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/http/method.hpp>
#include <khive/net/connection.hpp>

#include <boost/asio/error.hpp>

#include <algorithm>
#include <new>
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

inline std::span<const char> bytes_of(std::string_view text)
{
    return {text.data(), text.size()};
}

/// TLS records that wait to be written: no more of the request is encrypted beyond it.
inline constexpr std::size_t enough_output = 64 * 1024;

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

/// A turn of the connection: the lock, and what has to happen once it is let go.
class Connection::Step {
public:
    explicit Step(Connection& connection) noexcept : c_(connection) { c_.mutex_.lock(); }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step()
    {
        if (locked_) unlock();
    }

    /// What the turn does. Without memory for it, it ends what is under way.
    template <class Act>
    void act(Act act) noexcept
    {
        try {
            act();
        } catch (...) {
            c_.out_of_memory();
        }
    }

    /// Lets go of the lock and sets the deadline, or calls whoever waits for an end that is due.
    void finish(bool on_own_executor)
    {
        if (c_.ended_ && c_.pending_ == 0) return finish_end(on_own_executor);
        const bool active = c_.now_in_ != Stage::idle && c_.now_in_ != Stage::closed && !c_.ended_;
        const TimePoint deadline = active ? c_.nearest().at : no_deadline;
        const auto keeper = tell_keeper_ ? c_.keeper_.lock() : nullptr;
        unlock();
        KHIVE_YIELD_POINT();
        if (deadline != no_deadline) c_.time_.arm(c_, deadline);
        KHIVE_YIELD_POINT();
        if (keeper) keeper->on_idle_ended(c_);
    }

    void tell_keeper() noexcept { tell_keeper_ = true; }

private:
    /// Of a dial or an exchange: the connection is idle or closed then.
    void finish_end(bool on_own_executor)
    {
        c_.ended_ = false;
        auto rest = std::move(c_.rest_);
        const bool resumes_here = on_own_executor && c_.resumes_here_;
        const bool dialled = std::exchange(c_.dialling_, false);
        const auto keeper = tell_keeper_ || dialled ? c_.keeper_.lock() : nullptr;
        unlock();
        KHIVE_YIELD_POINT();
        if (keeper && tell_keeper_) keeper->on_idle_ended(c_);
        if (keeper && dialled) keeper->on_dialled(c_, std::move(c_.end_.error));
        if (!rest) return;
        if (resumes_here)
            std::move(rest).run();
        else
            c_.resumption_.post(std::move(rest), nullptr);
    }

    void unlock() noexcept
    {
        locked_ = false;
        c_.mutex_.unlock();
    }

    Connection& c_;
    bool locked_ = true;
    bool tell_keeper_ = false;
};

KHIVE_DECL Connection::Connection(const ConnectionSetup& setup, std::weak_ptr<ConnectionKeeper> keeper)
    : time_(async::time_service(setup.executor)), executor_(setup.executor), network_(setup.network),
      wire_(setup.network->open(setup.executor)), tls_context_(setup.tls), keeper_(std::move(keeper)),
      origin_(setup.origin), reader_(setup.limits)
{
}

KHIVE_DECL Connection::~Connection()
{
    time_.disarm(*this);
}

// --- Dialling ---------------------------------------------------------------------------------------------------------

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
            endpoints_ = std::move(endpoints);
            now_in_ = Stage::connecting;
            stage_began_ = now;
            total_ = {saturating_add(now, dial_timeouts_.connect), Timer::connect, dial_timeouts_.connect};
            connect_next();
        }
    });
    step.finish(true);
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
    case TlsStep::done: return dialled();
    case TlsStep::read: return start_read();
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

// --- Exchange ---------------------------------------------------------------------------------------------------------

KHIVE_DECL void Connection::exchange(const Outgoing& outgoing, const ExchangeTimeouts& timeouts, const Deadline& deadline,
                                     Attempt& attempt, TimePoint now, async::Completion rest, bool resumes_here)
{
    // With several threads the exchange may be over, and its caller gone, before this function has returned.
    const ConnectionPtr alive(this);
    Step step(*this);
    rest_ = std::move(rest);
    resumes_here_ = resumes_here;
    attempt_ = &attempt;
    unsent_head_ = outgoing.head;
    unsent_body_ = outgoing.body;
    closes_ = outgoing.closes;
    sent_ = false;
    timeouts_ = timeouts;
    total_ = deadline;
    write_failure_ = {};
    reusable_ = false;
    end_ = {};
    end_.reused = serial_.fetch_add(1, std::memory_order_relaxed) > 0;
    began_ = now;
    reader_.start(outgoing.head_method);
    if (std::exchange(watching_, false)) wire_->cancel();
    step.act([&] { begin_exchange(outgoing); });
    step.finish(false);
}

KHIVE_DECL void Connection::begin_exchange(const Outgoing& outgoing)
{
    const bool probe = !std::exchange(probed_, false) && end_.reused && !outgoing.idempotent;
    if (now_in_ == Stage::idle) {
        now_in_ = Stage::exchanging;
        stage_deadline(Timer::write_stall, timeouts_.write_stall, began_);
        if (probe && (reading_ || wire_->readable_now()))
            end(lost_before_request());
        else
            end_.reused ? begin_write() : begin_first();
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
        const TlsStep there = tls_->peek();
        if (there == TlsStep::closed) return end(lost_before_request());
        if (there == TlsStep::failed) return end(tls_->error());
        if (there == TlsStep::read && (reading_ || wire_->readable_now())) {
            early_ = Early::on_wire;
            return pump_read();
        }
        early_ = there == TlsStep::done ? Early::in_session : Early::none;
        if (!tls_->at_rest()) closes_ = true;
    } else if (wire_->readable_now()) {
        closes_ = true;
    }
    begin_write();
}

/// Where nothing else goes on the answer is looked for at once; else after a turn of the scheduler, by when it is often there.
/// Each saves a system call where it is used, and costs one where it is not.
KHIVE_DECL void Connection::begin_write()
{
    if (!alone || tls_ || !unsent_body_.empty()) return pump_write();
    const std::size_t bytes = wire_->try_write(detail::bytes_of(unsent_head_));
    if (bytes == 0) return pump_write();
    end_.wrote = true;
    attempt_->bytes_sent += bytes;
    unsent_head_.remove_prefix(bytes);
    sent_all();
}

KHIVE_DECL void Connection::pump_write()
{
    if (writing_ || ended_) return;
    WriteBuffers out{detail::bytes_of(unsent_head_), detail::bytes_of(unsent_body_)};
    if (tls_) {
        if (auto failed = encrypt(); failed.kind() != ErrorKind{}) return end(std::move(failed));
        out = {tls_->output(), {}};
    }
    wire_->write_some(out, self());
    writing_ = true;
    ++pending_;
}

KHIVE_DECL Error Connection::encrypt()
{
    while (!request_sent() && tls_->output_size() < detail::enough_output) {
        std::string_view& part = unsent_head_.empty() ? unsent_body_ : unsent_head_;
        std::size_t taken = 0;
        if (const auto step = tls_->write(detail::bytes_of(part), taken); step != TlsStep::done)
            return step == TlsStep::failed ? tls_->error() : Error{ErrorKind::tls}.with_message("TLS failed: cannot write");
        part.remove_prefix(taken);
    }
    return Error{};
}

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
        if (error)
            end(lost(error));
        else
            flush_tls();
    } else if (now_in_ == Stage::exchanging && !ended_) {
        if (sent_) {
            if (!error) flush_tls(); // an answer of TLS's own went out
        } else if (error) {
            // The answer that explains it may be on its way: a 413, say. Read before giving up.
            write_failure_ = error;
            stage_deadline(Timer::read_stall, timeouts_.read_stall, time_.now());
            pump_read();
        } else {
            end_.wrote = true;
            attempt_->bytes_sent += bytes;
            if (!tls_) {
                const std::size_t of_head = std::min(bytes, unsent_head_.size());
                unsent_head_.remove_prefix(of_head);
                unsent_body_.remove_prefix(bytes - of_head);
            }
            sent_all();
        }
    } else if (ended_ && rest_ && !error) {
        end_.wrote = true; // it was on its way when the exchange was ended
        std::move(end_.error).with_maybe_processed(true);
    }
}

KHIVE_DECL void Connection::sent_all()
{
    const TimePoint now = time_.now();
    if (!request_sent() || (tls_ && tls_->output_size() != 0)) {
        stage_deadline(Timer::write_stall, timeouts_.write_stall, now);
        pump_write();
        return pump_read(); // an early answer must be seen while a large body is still going out
    }
    sent_ = true;
    attempt_->write = now - began_;
    if (end_.any_answer)
        stage_deadline(Timer::read_stall, timeouts_.read_stall, now);
    else
        stage_deadline(Timer::first_byte, timeouts_.first_byte, now);
    pump_read();
}

KHIVE_DECL void Connection::pump_read()
{
    if (reading_ || ended_) return;
    if (early_ == Early::in_session) {
        early_ = Early::none;
        decrypt();
    } else {
        start_read();
    }
}

KHIVE_DECL void Connection::start_read()
{
    wire_->read_some(tls_ ? tls_->prepare_input() : reader_.prepare(), self());
    reading_ = true;
    ++pending_;
}

KHIVE_DECL void Connection::flush_tls()
{
    if (!tls_ || writing_ || tls_->output_size() == 0) return;
    wire_->write_some({tls_->output(), {}}, self());
    writing_ = true;
    ++pending_;
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
        if (early_ == Early::on_wire)
            error ? end(lost_before_request()) : begin_first();
        else if (error == asio::error::eof)
            step_to(reader_.end_of_stream(!tls_));
        else if (error && reader_.head_done())
            step_to(reader_.end_of_stream(false)); // a reset truncates as a FIN does
        else if (error)
            end(lost(error));
        else if (tls_)
            decrypt();
        else {
            received(bytes);
            step_to(reader_.commit(bytes));
        }
    }
}

KHIVE_DECL void Connection::received(std::size_t bytes)
{
    const TimePoint now = last_byte_ = time_.now();
    attempt_->bytes_received += bytes;
    if (!std::exchange(end_.any_answer, true)) attempt_->first_byte = now - began_ - attempt_->write;
    stage_deadline(Timer::read_stall, timeouts_.read_stall, now);
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
    pump_read();
}

KHIVE_DECL void Connection::step_to(http::ReadStep step)
{
    switch (step) {
    case http::ReadStep::more: return pump_read();
    case http::ReadStep::done: return answered();
    case http::ReadStep::failed: break;
    }
    Error error = reader_.error();
    if (error.kind() == ErrorKind::connection_lost) return end(lost(write_failure_ ? write_failure_ : asio::error::eof));
    const bool retryable = error.kind() == ErrorKind::truncated_body;
    end(std::move(error).with_retryable(retryable).with_maybe_processed(true));
}

KHIVE_DECL void Connection::answered()
{
    attempt_->status = static_cast<std::uint16_t>(reader_.status());
    attempt_->body = last_byte_ - began_ - attempt_->write - attempt_->first_byte;
    bool clean = reader_.reusable() && reader_.keep_alive_max() != 0u && request_sent() && !write_failure_ && !writing_ &&
                 !closes_;
    if (tls_ && clean) {
        // Session tickets may follow the answer; anything else does not belong there.
        char unasked = 0;
        std::size_t bytes = 0;
        clean = tls_->read({&unasked, 1}, bytes) == TlsStep::read && tls_->at_rest();
    }
    reusable_ = clean;
    end(Error{});
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

// --- Life -------------------------------------------------------------------------------------------------------------

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
            (void)wire_->try_write(tls_->output());
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
    if (now_in_ == Stage::idle && !watching_ && !reading_) {
        try {
            wire_->wait_readable(self());
            watching_ = true;
            ++pending_;
            reader_.release_buffer();
            if (tls_) tls_->release_buffers();
        } catch (const std::bad_alloc&) { // NOLINT: unwatched, it is looked at when it is used
        }
    }
    step.finish(false);
}

KHIVE_DECL bool Connection::wake(bool probe)
{
    Step step(*this);
    // While something is being read, the watch has found bytes that nobody asked for.
    bool alive = now_in_ == Stage::idle && !reading_;
    if (alive && std::exchange(watching_, false)) {
        wire_->cancel();
        probe = true;
    }
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
    if (now_in_ == Stage::idle && std::exchange(watching_, false)) {
        step.act([&] {
            if (tls_ && !error) return start_read();
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
    if (!error && tls_->read({&unasked, 1}, bytes) == TlsStep::read && tls_->at_rest()) { // a session ticket
        wire_->wait_readable(self());
        tls_->release_buffers();
        watching_ = true;
        ++pending_;
        return;
    }
    now_in_ = Stage::closed;
    wire_->close();
}

KHIVE_DECL void Connection::on_abandoned() noexcept
{
    async::Completion rest;
    {
        const std::lock_guard lock(mutex_);
        --pending_;
        now_in_ = Stage::closed;
        rest = std::move(rest_);
    }
}

KHIVE_DECL void Connection::stage_deadline(Timer timer, Duration value, TimePoint now)
{
    stage_ = {saturating_add(now, value), timer, value};
}

KHIVE_DECL TimePoint Connection::on_time(TimePoint now) noexcept
{
    Step step(*this);
    TimePoint again = no_deadline;
    step.act([&] {
        if (now_in_ == Stage::idle || now_in_ == Stage::closed || ended_) return;
        const Deadline due = nearest();
        if (due.at > now) {
            again = due.at;
        } else if (now_in_ == Stage::connecting && total_.at > now) {
            stage_ = {};
            again = total_.at;
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

} // namespace khive::inline KHIVE_ABI::net

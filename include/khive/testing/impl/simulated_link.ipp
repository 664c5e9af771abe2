// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/detail/simulated_link.hpp>
#include <khive/testing/simulated_address.hpp>
#include <khive/testing/simulated_server.hpp>

#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>

#include <algorithm>
#include <new>

namespace khive::inline KHIVE_ABI::testing::detail {

inline constexpr auto aborted = asio::error::operation_aborted;

template <class Call>
void SimulatedLink::tell(net::ListenerPtr listener, Call call)
{
    if (listener) asio::post(executor_, ToldLater<Call>(std::move(listener), std::move(call)));
}

KHIVE_TESTING_DECL bool SimulatedLink::connect(net::ListenerPtr listener)
{
    boost::system::error_code error;
    const ConnectEnd how = address_->begin_connect(error);
    if (how == ConnectEnd::accepted && address_->connects_at_once_) {
        accept();
        return true;
    }
    connecting_ = std::move(listener);
    if (how == ConnectEnd::unanswered) return false;
    queue_->at(saturating_add(now(), address_->connect_delay_),
               [self = shared_from_this(), how, error] { self->end_connect(how, error); });
    return false;
}

inline void SimulatedLink::end_connect(ConnectEnd how, boost::system::error_code error)
{
    if (!connecting_) return;
    if (how == ConnectEnd::failed) {
        error_ = error;
        broken_ = true;
        return tell(std::exchange(connecting_, nullptr), [error](net::WireListener& l) { l.on_connected(error); });
    }
    tell(std::exchange(connecting_, nullptr), [](net::WireListener& l) { l.on_connected({}); });
    accept();
}

inline void SimulatedLink::accept()
{
    connected_ = true;
    server_ = address_->server_;
    ++address_->accepted_;
    std::erase_if(address_->links_, [](const auto& weak) { return weak.expired(); });
    address_->links_.push_back(weak_from_this());
    server_->on_connection(SimulatedPeer{shared_from_this()});
}

KHIVE_TESTING_DECL void SimulatedLink::read_some(net::ListenerPtr listener, net::Look look)
{
    read_ = std::move(listener);
    if (look == net::Look::now) told_ = true;
    serve_client();
}

KHIVE_TESTING_DECL std::size_t SimulatedLink::try_read(std::span<char> into, boost::system::error_code& error)
{
    return filled_ ? receive(into, error) : 0;
}

KHIVE_TESTING_DECL void SimulatedLink::look_again()
{
    if (read_ && readable()) tell(std::exchange(read_, nullptr), [](net::WireListener& l) { l.on_read(aborted, 0); });
}

KHIVE_TESTING_DECL void SimulatedLink::write_some(const net::WriteBuffers& from, net::ListenerPtr listener)
{
    write_ = PendingWrite{from, std::move(listener)};
    serve_client();
}

KHIVE_TESTING_DECL void SimulatedLink::wait_readable(net::ListenerPtr listener)
{
    waiting_.push_back(std::move(listener));
    serve_client();
}

KHIVE_TESTING_DECL std::size_t SimulatedLink::try_write(const net::WriteBuffers& from, boost::system::error_code& error)
{
    if (!write_) error = write_error();
    return write_ || error ? 0 : take(from);
}

KHIVE_TESTING_DECL bool SimulatedLink::readable_now() const noexcept
{
    return readable();
}

KHIVE_TESTING_DECL void SimulatedLink::cancel()
{
    tell(std::exchange(connecting_, nullptr), [](net::WireListener& l) { l.on_connected(aborted); });
    tell(std::exchange(read_, nullptr), [](net::WireListener& l) { l.on_read(aborted, 0); });
    if (auto write = std::exchange(write_, std::nullopt))
        tell(std::move(write->listener), [](net::WireListener& l) { l.on_written(aborted, 0); });
    for (auto& listener : std::exchange(waiting_, {}))
        tell(std::move(listener), [](net::WireListener& l) { l.on_readable(aborted); });
}

KHIVE_TESTING_DECL void SimulatedLink::close()
{
    cancel();
    if (std::exchange(client_closed_, true) || !connected_ || broken_ || queue_->ended()) return;
    send(to_server_, {Kind::close, {}, {}}, now(), &SimulatedLink::arrive_at_server);
}

KHIVE_TESTING_DECL void SimulatedLink::abandon() noexcept
{
    const auto connecting = std::exchange(connecting_, nullptr);
    const auto read = std::exchange(read_, nullptr);
    const auto write = std::exchange(write_, std::nullopt);
    const auto waiting = std::exchange(waiting_, {});
    if (connecting) connecting->on_abandoned();
    if (read) read->on_abandoned();
    if (write) write->listener->on_abandoned();
    for (const auto& listener : waiting) listener->on_abandoned();
}

inline bool SimulatedLink::readable() const noexcept
{
    return !inbound_.empty() || inbound_ended_ || broken_ || client_closed_;
}

inline boost::system::error_code SimulatedLink::read_end()
{
    if (client_closed_) return asio::error::bad_descriptor;
    if (error_) return std::exchange(error_, {});
    return asio::error::eof;
}

inline boost::system::error_code SimulatedLink::write_error()
{
    if (client_closed_) return asio::error::bad_descriptor;
    if (!connected_ && !broken_) return asio::error::not_connected;
    if (!broken_) return {};
    return error_ ? std::exchange(error_, {}) : boost::system::error_code(asio::error::broken_pipe);
}

inline void SimulatedLink::serve_client()
{
    if (write_) serve_write();
    if (read_ && readable() && told_) serve_read();
    if (readable())
        for (auto& listener : std::exchange(waiting_, {}))
            tell(std::move(listener), [](net::WireListener& l) { l.on_readable({}); });
}

inline void SimulatedLink::serve_read()
{
    auto read = std::exchange(read_, nullptr);
    boost::system::error_code error;
    std::size_t bytes = 0;
    try {
        bytes = receive(read->read_buffer(), error);
    } catch (const std::bad_alloc&) {
        error = make_error_code(boost::system::errc::not_enough_memory);
    }
    tell(std::move(read), [error, bytes](net::WireListener& l) { l.on_read(error, bytes); });
}

inline std::size_t SimulatedLink::receive(std::span<char> into, boost::system::error_code& error)
{
    const std::size_t bytes = std::min({into.size(), inbound_.size(), address_->read_at_most_});
    if (bytes == 0 && readable()) error = read_end();
    std::copy_n(inbound_.data(), bytes, into.data());
    inbound_.erase(0, bytes);
    filled_ = bytes == into.size();
    // As epoll does, edge-triggered: what ended together with these bytes is not told of again.
    told_ = !inbound_.empty() || filled_;
    return bytes;
}

inline void SimulatedLink::serve_write()
{
    const auto error = write_error();
    if (!error && room() == 0) return;
    auto write = *std::exchange(write_, std::nullopt);
    const std::size_t bytes = error ? 0 : take(write.from);
    tell(std::move(write.listener), [error, bytes](net::WireListener& l) { l.on_written(error, bytes); });
}

inline std::size_t SimulatedLink::room() const noexcept
{
    const std::size_t window = address_->send_window_;
    return unacknowledged_ < window ? std::min(window - unacknowledged_, address_->write_at_most_) : 0;
}

inline std::size_t SimulatedLink::take(const net::WriteBuffers& from)
{
    std::string bytes;
    for (const auto piece : from) bytes.append(piece.data(), std::min(piece.size(), room() - bytes.size()));
    const std::size_t taken = bytes.size();
    unacknowledged_ += taken;
    if (taken != 0) send(to_server_, {Kind::send, std::move(bytes), {}}, now(), &SimulatedLink::arrive_at_server);
    return taken;
}

inline void SimulatedLink::send(Way& way, PeerAction action, TimePoint leaves, void (SimulatedLink::*arrive)())
{
    const auto jitter = std::chrono::duration_cast<Duration>(address_->jitter_ * queue_->uniform());
    way.free_at = std::max(way.free_at, saturating_add(leaves, address_->latency_ + jitter));
    way.travelling.push_back({way.free_at, std::move(action)});
    queue_->at(way.free_at, [self = shared_from_this(), arrive] { (self.get()->*arrive)(); });
}

inline std::optional<PeerAction> SimulatedLink::arrived(Way& way)
{
    if (broken_ || way.travelling.empty() || way.travelling.front().due > now()) return std::nullopt;
    PeerAction action = std::move(way.travelling.front().action);
    way.travelling.pop_front();
    return action;
}

KHIVE_TESTING_DECL void SimulatedLink::act(PeerAction action)
{
    if (server_silent_) return;
    server_next_ = std::max(server_next_, now());
    if (action.kind == Kind::pause) {
        server_next_ = saturating_add(server_next_, action.pause);
        return;
    }
    server_silent_ = action.kind != Kind::send;
    if (action.kind == Kind::close || action.kind == Kind::reset)
        queue_->at(server_next_, [self = shared_from_this()] { self->server_closed_ = true; });
    send(to_client_, std::move(action), server_next_, &SimulatedLink::arrive_at_client);
}

inline void SimulatedLink::arrive_at_client()
{
    const auto action = arrived(to_client_);
    if (!action || client_closed_) return;
    switch (action->kind) {
    case Kind::send: inbound_ += action->bytes; break;
    case Kind::end:
    case Kind::close: inbound_ended_ = true; break;
    case Kind::reset: return lose(asio::error::connection_reset);
    case Kind::pause: break;
    }
    told_ = true;
    serve_client();
}

inline void SimulatedLink::lose(boost::system::error_code error)
{
    broken_ = true;
    error_ = error;
    told_ = true;
    serve_client();
}

KHIVE_TESTING_DECL void SimulatedLink::break_now()
{
    if (client_closed_ || broken_) return;
    server_silent_ = server_closed_ = true;
    to_client_ = {};
    send(to_client_, {Kind::reset, {}, {}}, now(), &SimulatedLink::arrive_at_client);
}

inline void SimulatedLink::arrive_at_server()
{
    const auto action = arrived(to_server_);
    if (!action) return;
    if (action->kind == Kind::close) return hear_end();
    if (server_closed_) return client_closed_ ? void() : break_now();
    unread_ += action->bytes;
    set_reading(reading_);
}

inline void SimulatedLink::hear_end()
{
    if (server_closed_ || std::exchange(heard_end_, true)) return;
    server_->on_end(SimulatedPeer{shared_from_this()});
}

KHIVE_TESTING_DECL void SimulatedLink::set_reading(bool reading)
{
    reading_ = reading;
    if (!reading_ || unread_.empty()) return;
    const std::string bytes = std::exchange(unread_, {});
    unacknowledged_ -= bytes.size();
    if (write_) serve_write();
    server_->on_bytes(SimulatedPeer{shared_from_this()}, bytes);
}

} // namespace khive::inline KHIVE_ABI::testing::detail

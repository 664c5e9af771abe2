// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/time.hpp>
#include <khive/net/wire.hpp>
#include <khive/testing/config.hpp>

#include <boost/asio/error.hpp>

#include <cstddef>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

namespace khive::inline KHIVE_ABI::testing {
class SimulatedServer;

namespace detail {
class SimulatedLink;

enum class ConnectEnd : unsigned char { accepted, failed, unanswered };
} // namespace detail

/// What is found at one address of a simulated network, and what the way there is like. A change holds from the next
/// operation on.
///
/// An address that nobody has set up refuses connections.
class SimulatedAddress {
public:
    /// Accepts connections and lets `server` have them.
    SimulatedAddress& serve(std::shared_ptr<SimulatedServer> server);
    SimulatedAddress& refuse() { return fail(asio::error::connection_refused); }
    /// Every connect ends with `error`.
    KHIVE_TESTING_DECL SimulatedAddress& fail(boost::system::error_code error);
    /// The next `times` connects end with `error`, later ones as before.
    KHIVE_TESTING_DECL SimulatedAddress& fail_next(std::size_t times,
                                                   boost::system::error_code error = asio::error::connection_refused);
    /// A connect gets no answer at all.
    KHIVE_TESTING_DECL SimulatedAddress& black_hole();
    /// Undoes `fail` and `black_hole`.
    KHIVE_TESTING_DECL SimulatedAddress& accept();
    /// Breaks every connection that is there, as the death of a server does. Combine with `refuse` and `accept`.
    KHIVE_TESTING_DECL SimulatedAddress& reset_connections();

    /// How long a connect takes to succeed or fail.
    SimulatedAddress& connect_delay(Duration delay) { return connect_delay_ = delay, *this; }
    /// A connect that succeeds has done so before the call that begins it ends, as to an address of the same machine.
    SimulatedAddress& connect_at_once() { return connects_at_once_ = true, *this; }
    /// How long bytes travel, each way.
    SimulatedAddress& latency(Duration latency) { return latency_ = latency, *this; }
    /// Adds up to this much to each piece's travel; needs `SimulatedNetwork::shuffle`.
    SimulatedAddress& jitter(Duration jitter) { return jitter_ = jitter, *this; }
    /// A read gives at most so many bytes.
    SimulatedAddress& read_at_most(std::size_t bytes) { return read_at_most_ = bytes, *this; }
    /// A write takes at most so many bytes.
    SimulatedAddress& write_at_most(std::size_t bytes) { return write_at_most_ = bytes, *this; }
    /// How many bytes may be on their way to the server, unread; a write that finds no room waits.
    SimulatedAddress& send_window(std::size_t bytes) { return send_window_ = bytes, *this; }

    /// How many connects have been tried here.
    [[nodiscard]] std::size_t connects() const noexcept { return connects_; }
    /// How many connections have been accepted here.
    [[nodiscard]] std::size_t accepted() const noexcept { return accepted_; }
    /// How many of them the client has not closed.
    [[nodiscard]] KHIVE_TESTING_DECL std::size_t open_connections() const;

private:
    friend class detail::SimulatedLink;

    /// What happens to a connect that begins now.
    detail::ConnectEnd begin_connect(boost::system::error_code& error);

    std::shared_ptr<SimulatedServer> server_;
    detail::ConnectEnd connects_end_ = detail::ConnectEnd::failed;
    boost::system::error_code error_ = asio::error::connection_refused;
    std::size_t fail_next_ = 0;
    boost::system::error_code fail_next_error_;
    Duration connect_delay_{};
    bool connects_at_once_ = false;
    Duration latency_{};
    Duration jitter_{};
    std::size_t read_at_most_ = std::numeric_limits<std::size_t>::max();
    std::size_t write_at_most_ = std::numeric_limits<std::size_t>::max();
    std::size_t send_window_ = std::numeric_limits<std::size_t>::max();
    std::size_t connects_ = 0;
    std::size_t accepted_ = 0;
    std::vector<std::weak_ptr<detail::SimulatedLink>> links_;
};

inline SimulatedAddress& SimulatedAddress::serve(std::shared_ptr<SimulatedServer> server)
{
    server_ = std::move(server);
    return accept();
}

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/simulated_address.ipp>
#endif

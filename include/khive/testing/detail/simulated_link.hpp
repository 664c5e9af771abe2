// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/net/wire.hpp>
#include <khive/testing/detail/event_queue.hpp>
#include <khive/testing/reply.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace khive::inline KHIVE_ABI::testing {
class SimulatedAddress;
class SimulatedServer;
} // namespace khive::inline KHIVE_ABI::testing

namespace khive::inline KHIVE_ABI::testing::detail {

enum class ConnectEnd : unsigned char;

/// Calls one method of a listener later, or tells it that this never will happen.
template <class Call>
class ToldLater {
public:
    ToldLater(net::ListenerPtr listener, Call call) : listener_(std::move(listener)), call_(std::move(call)) {}
    ToldLater(ToldLater&&) = default;
    ToldLater(const ToldLater&) = delete;
    ~ToldLater()
    {
        if (listener_) listener_->on_abandoned();
    }
    void operator()()
    {
        const net::ListenerPtr listener = std::move(listener_);
        call_(*listener);
    }

private:
    net::ListenerPtr listener_;
    Call call_;
};

/// One attempt to connect and, if it succeeds, one connection: both ends and what is under way between them.
///
/// Behaves as a TCP socket of Linux does: bytes that have arrived can be read before the error that came after them, and an
/// error is told once, then reads end and writes break.
class SimulatedLink final : public Abandonable, public std::enable_shared_from_this<SimulatedLink> {
public:
    SimulatedLink(std::shared_ptr<EventQueue> queue, std::shared_ptr<SimulatedAddress> address, net::Endpoint endpoint,
                  asio::any_io_executor executor, std::uint64_t id);

    /// \name The client's end, as `net::Wire` has it
    /// @{
    [[nodiscard]] KHIVE_TESTING_DECL bool connect(net::ListenerPtr listener);
    KHIVE_TESTING_DECL void read_some(net::ListenerPtr listener, net::Look look);
    [[nodiscard]] KHIVE_TESTING_DECL std::size_t try_read(std::span<char> into, boost::system::error_code& error);
    KHIVE_TESTING_DECL void look_again();
    KHIVE_TESTING_DECL void write_some(const net::WriteBuffers& from, net::ListenerPtr listener);
    KHIVE_TESTING_DECL void wait_readable(net::ListenerPtr listener);
    KHIVE_TESTING_DECL std::size_t try_write(const net::WriteBuffers& from, boost::system::error_code& error);
    [[nodiscard]] KHIVE_TESTING_DECL bool readable_now() const noexcept;
    KHIVE_TESTING_DECL void cancel();
    KHIVE_TESTING_DECL void close();
    KHIVE_TESTING_DECL void abandon() noexcept override;
    /// @}

    /// \name The server's end
    /// @{
    KHIVE_TESTING_DECL void act(PeerAction action);
    KHIVE_TESTING_DECL void set_reading(bool reading);
    KHIVE_TESTING_DECL void break_now();
    [[nodiscard]] bool is_open() const noexcept { return connected_ && !client_closed_ && !server_closed_ && !broken_; }
    [[nodiscard]] bool closed_by_client() const noexcept { return client_closed_; }
    /// @}

    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    [[nodiscard]] const net::Endpoint& endpoint() const noexcept { return endpoint_; }
    [[nodiscard]] TimePoint now() const noexcept { return queue_->now(); }
    [[nodiscard]] const std::shared_ptr<EventQueue>& queue() const noexcept { return queue_; }

private:
    struct PendingWrite {
        net::WriteBuffers from;
        net::ListenerPtr listener;
    };
    using Kind = PeerAction::Kind;

    struct Travelling {
        TimePoint due;
        PeerAction action;
    };
    /// One direction: what is under way, none overtaking another.
    struct Way {
        std::deque<Travelling> travelling;
        TimePoint free_at{}; ///< when the last of it arrives
    };

    template <class Call>
    void tell(net::ListenerPtr listener, Call call);
    void end_connect(ConnectEnd how, boost::system::error_code error);
    void accept();
    void send(Way& way, PeerAction action, TimePoint leaves, void (SimulatedLink::*arrive)());
    [[nodiscard]] std::optional<PeerAction> arrived(Way& way);
    void arrive_at_client();
    void arrive_at_server();
    void hear_end();
    void lose(boost::system::error_code error);
    void serve_client();
    void serve_read();
    [[nodiscard]] std::size_t receive(std::span<char> into, boost::system::error_code& error);
    void serve_write();
    [[nodiscard]] bool readable() const noexcept;
    [[nodiscard]] boost::system::error_code write_error();
    [[nodiscard]] boost::system::error_code read_end();
    [[nodiscard]] std::size_t room() const noexcept;
    [[nodiscard]] std::size_t take(const net::WriteBuffers& from);

    std::shared_ptr<EventQueue> queue_;
    std::shared_ptr<SimulatedAddress> address_;
    std::shared_ptr<SimulatedServer> server_;
    net::Endpoint endpoint_;
    asio::any_io_executor executor_;
    std::uint64_t id_;

    net::ListenerPtr connecting_;
    net::ListenerPtr read_;
    std::optional<PendingWrite> write_;
    std::vector<net::ListenerPtr> waiting_;

    Way to_client_;
    Way to_server_;
    TimePoint server_next_{}; ///< when the server does what it is told next
    std::string inbound_;     ///< arrived, not read by the client
    std::string unread_;      ///< arrived, not read by the server
    std::size_t unacknowledged_ = 0;
    boost::system::error_code error_;
    bool told_ = false; ///< something has come since all was read: the next read need not wait to be told
    bool filled_ = false; ///< the last read was: there may be more
    bool connected_ = false;
    bool inbound_ended_ = false;
    bool client_closed_ = false;
    bool server_silent_ = false; ///< it has been told to end, close or reset: nothing more will be said
    bool server_closed_ = false;
    bool broken_ = false;
    bool reading_ = true;
    bool heard_end_ = false;
};

inline SimulatedLink::SimulatedLink(std::shared_ptr<EventQueue> queue, std::shared_ptr<SimulatedAddress> address,
                                    net::Endpoint endpoint, asio::any_io_executor executor, std::uint64_t id)
    : queue_(std::move(queue)),
      address_(std::move(address)),
      endpoint_(std::move(endpoint)),
      executor_(std::move(executor)),
      id_(id)
{}

} // namespace khive::inline KHIVE_ABI::testing::detail

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/simulated_link.ipp>
#endif

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "exhaustive/allocation/failing_memory.hpp"

#include <khive/net/wire.hpp>
#include <khive/testing/simulated_network.hpp>
#include <khive/testing/virtual_time.hpp>

#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace khive_tests {

namespace asio = boost::asio;

/// Runs what stands for the other side, which has memory.
class AsideExecutor {
public:
    explicit AsideExecutor(asio::io_context& io) noexcept : io_(&io) {}

    template <class Function>
    void execute(Function function) const
    {
        const memory::Aside now;
        asio::post(*io_, [function = std::move(function)]() mutable {
            const memory::Aside then;
            function();
        });
    }
    [[nodiscard]] asio::execution_context& query(asio::execution::context_t) const noexcept { return *io_; }
    [[nodiscard]] static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept
    {
        return asio::execution::blocking.never;
    }
    friend bool operator==(const AsideExecutor& a, const AsideExecutor& b) noexcept { return a.io_ == b.io_; }

private:
    asio::io_context* io_;
};

/// A simulated network, which itself has memory; but to start something takes an allocation, as it does with sockets.
class StarvedNetwork final : public khive::net::Network {
public:
    explicit StarvedNetwork(khive::testing::VirtualTime& time)
        : executor_(AsideExecutor(time.context())), network_(std::make_shared<khive::testing::SimulatedNetwork>(executor_))
    {}

    [[nodiscard]] khive::testing::SimulatedNetwork& simulated() const noexcept { return *network_; }

    khive::net::WirePtr open(const asio::any_io_executor&) override
    {
        memory::charge();
        const memory::Aside aside;
        return khive::net::WirePtr(new StarvedWire(network_->open(executor_)));
    }
    void resolve(const asio::any_io_executor&, const std::string& host, std::uint16_t port,
                 khive::net::ListenerPtr listener) override
    {
        memory::charge();
        const memory::Aside aside;
        network_->resolve(executor_, host, port, new Listener(std::move(listener)));
    }

private:
    using ErrorCode = boost::system::error_code;

    /// Back to what is tested.
    class Listener final : public khive::net::WireListener {
    public:
        explicit Listener(khive::net::ListenerPtr told) noexcept : told_(std::move(told)) {}
        ~Listener() override
        {
            const memory::Inside inside;
            told_.reset();
        }
        void on_resolved(ErrorCode error, khive::net::Endpoints endpoints) override
        {
            const memory::Inside inside;
            told_->on_resolved(error, std::move(endpoints));
        }
        void on_connected(ErrorCode error) override
        {
            const memory::Inside inside;
            told_->on_connected(error);
        }
        void on_written(ErrorCode error, std::size_t bytes) override
        {
            const memory::Inside inside;
            told_->on_written(error, bytes);
        }
        std::span<char> read_buffer() override
        {
            const memory::Inside inside;
            return told_->read_buffer();
        }
        void on_read(ErrorCode error, std::size_t bytes) override
        {
            const memory::Inside inside;
            told_->on_read(error, bytes);
        }
        void on_readable(ErrorCode error) override
        {
            const memory::Inside inside;
            told_->on_readable(error);
        }
        void on_abandoned() noexcept override { told_->on_abandoned(); }

    private:
        khive::net::ListenerPtr told_;
    };

    class StarvedWire final : public khive::net::Wire {
    public:
        explicit StarvedWire(khive::net::WirePtr wire) noexcept : wire_(std::move(wire)) {}
        ~StarvedWire() override
        {
            const memory::Aside aside;
            wire_.reset();
        }
        bool connect(const khive::net::Endpoint& endpoint, khive::net::ListenerPtr listener) override
        {
            memory::charge();
            const memory::Aside aside;
            return wire_->connect(endpoint, new Listener(std::move(listener)));
        }
        void read_some(khive::net::ListenerPtr listener, khive::net::Look look) override
        {
            memory::charge();
            const memory::Aside aside;
            wire_->read_some(new Listener(std::move(listener)), look);
        }
        std::size_t try_read(std::span<char> into, const khive::net::ListenerPtr& keeper, ErrorCode& error) override
        {
            memory::charge();
            const memory::Aside aside;
            return wire_->try_read(into, keeper, error);
        }
        void look_again() noexcept override
        {
            const memory::Aside aside;
            wire_->look_again();
        }
        void write_some(const khive::net::WriteBuffers& from, khive::net::ListenerPtr listener) override
        {
            memory::charge();
            const memory::Aside aside;
            wire_->write_some(from, new Listener(std::move(listener)));
        }
        void wait_readable(khive::net::ListenerPtr listener) override
        {
            memory::charge();
            const memory::Aside aside;
            wire_->wait_readable(new Listener(std::move(listener)));
        }
        std::size_t try_write(const khive::net::WriteBuffers& from, ErrorCode& error) noexcept override
        {
            const memory::Aside aside;
            return wire_->try_write(from, error);
        }
        bool readable_now() noexcept override
        {
            const memory::Aside aside;
            return wire_->readable_now();
        }
        void cancel() noexcept override
        {
            const memory::Aside aside;
            wire_->cancel();
        }
        void close() noexcept override
        {
            const memory::Aside aside;
            wire_->close();
        }

    private:
        khive::net::WirePtr wire_;
    };

    asio::any_io_executor executor_;
    std::shared_ptr<khive::testing::SimulatedNetwork> network_;
};

} // namespace khive_tests

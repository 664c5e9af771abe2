// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/fault_server.hpp>
#include <khive/testing/impl/fault_server_state.ipp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace khive::inline KHIVE_ABI::testing {

KHIVE_TESTING_DECL FaultServer::FaultServer() : FaultServer(Script::Handler{}) {}

KHIVE_TESTING_DECL FaultServer::FaultServer(Script::Handler handler)
    : state_(std::make_unique<State>(nullptr, std::move(handler)))
{}

KHIVE_TESTING_DECL FaultServer::FaultServer(FaultServerTls tls, Script::Handler handler)
    : state_(std::make_unique<State>(&tls, std::move(handler)))
{}

KHIVE_TESTING_DECL FaultServer::~FaultServer() = default;

KHIVE_TESTING_DECL std::uint16_t FaultServer::port() const noexcept
{
    return state_->port;
}

KHIVE_TESTING_DECL std::string FaultServer::url(const std::string& host) const
{
    return (state_->tls ? "https://" : "http://") + host + ':' + std::to_string(port());
}

KHIVE_TESTING_DECL FaultServer& FaultServer::reply(Reply reply)
{
    const std::lock_guard lock(state_->script_mutex);
    state_->script.add(std::move(reply));
    return *this;
}

KHIVE_TESTING_DECL FaultServer& FaultServer::otherwise(Script::Handler handler)
{
    const std::lock_guard lock(state_->script_mutex);
    state_->script.otherwise(std::move(handler));
    return *this;
}

KHIVE_TESTING_DECL FaultServer& FaultServer::on_accept(Reply fault, std::size_t times)
{
    state_->add_fault(std::move(fault), times, detail::ConnectionFault::When::accepted);
    return *this;
}

KHIVE_TESTING_DECL FaultServer& FaultServer::on_first_bytes(Reply fault, std::size_t times)
{
    state_->add_fault(std::move(fault), times, detail::ConnectionFault::When::first_bytes);
    return *this;
}

KHIVE_TESTING_DECL FaultServer& FaultServer::on_request_bytes(Reply fault, std::size_t times)
{
    state_->add_fault(std::move(fault), times, detail::ConnectionFault::When::request_bytes);
    return *this;
}

KHIVE_TESTING_DECL FaultServer& FaultServer::greet_with(Reply greeting)
{
    const std::lock_guard lock(state_->mutex);
    state_->greeting = std::move(greeting);
    return *this;
}

KHIVE_TESTING_DECL void FaultServer::do_to_idle(const Reply& what)
{
    auto done = asio::co_spawn(state_->io, state_->do_to_idle(what.actions()), asio::use_future);
    done.get();
}

KHIVE_TESTING_DECL void FaultServer::reset_connections()
{
    state_->on_thread([state = state_.get()] {
        for (const auto& [id, session] : state->sessions) session->reset();
    });
}

KHIVE_TESTING_DECL void FaultServer::stop_listening()
{
    state_->on_thread([state = state_.get()] { state->acceptor.close(); });
}

KHIVE_TESTING_DECL void FaultServer::listen_again()
{
    state_->on_thread([state = state_.get()] { state->listen(state->port); });
}

KHIVE_TESTING_DECL std::vector<ReceivedRequest> FaultServer::requests() const
{
    const std::lock_guard lock(state_->mutex);
    return state_->requests;
}

KHIVE_TESTING_DECL std::size_t FaultServer::request_count() const
{
    const std::lock_guard lock(state_->mutex);
    return state_->request_count;
}

KHIVE_TESTING_DECL std::size_t FaultServer::connections() const
{
    const std::lock_guard lock(state_->mutex);
    return state_->connections;
}

KHIVE_TESTING_DECL std::size_t FaultServer::open_connections() const
{
    const std::lock_guard lock(state_->mutex);
    return state_->sessions.size();
}

KHIVE_TESTING_DECL std::size_t FaultServer::handshakes() const
{
    const std::lock_guard lock(state_->mutex);
    return state_->server_names.size();
}

KHIVE_TESTING_DECL std::size_t FaultServer::resumed_handshakes() const
{
    const std::lock_guard lock(state_->mutex);
    return state_->resumed;
}

KHIVE_TESTING_DECL std::vector<std::string> FaultServer::server_names() const
{
    const std::lock_guard lock(state_->mutex);
    return state_->server_names;
}

KHIVE_TESTING_DECL std::vector<std::string> FaultServer::errors() const
{
    const std::lock_guard lock(state_->mutex);
    return state_->errors;
}

KHIVE_TESTING_DECL FaultServer& FaultServer::forget_requests()
{
    const std::lock_guard lock(state_->mutex);
    state_->keeps_requests = false;
    return *this;
}

KHIVE_TESTING_DECL void FaultServer::wait_for_requests(std::size_t count) const
{
    state_->wait("requests", [&] { return state_->request_count >= count; });
}

KHIVE_TESTING_DECL void FaultServer::wait_for_connections(std::size_t count) const
{
    state_->wait("connections", [&] { return state_->connections >= count; });
}

KHIVE_TESTING_DECL void FaultServer::wait_for_open_connections(std::size_t exactly) const
{
    state_->wait("open connections", [&] { return state_->sessions.size() == exactly; });
}

} // namespace khive::inline KHIVE_ABI::testing

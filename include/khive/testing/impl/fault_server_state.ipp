// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/detail/fault_session.hpp>
#include <khive/testing/fault_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <array>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <future>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

namespace khive::inline KHIVE_ABI::testing {
namespace detail {

/// What is done to a connection instead of serving it, and when.
struct ConnectionFault {
    enum class When : std::uint8_t { accepted, first_bytes, request_bytes };
    Reply what;
    std::size_t times = 1;
    When when = When::accepted;
};

inline std::unique_ptr<asio::ssl::context> server_context(const FaultServerTls& tls)
{
    auto context = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_server);
    context->set_options(asio::ssl::context::no_sslv2 | asio::ssl::context::no_sslv3);
    if (tls.tls_1_2_only()) SSL_CTX_set_max_proto_version(context->native_handle(), TLS1_2_VERSION);
    if (tls.tls_1_1_only()) {
        SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_1_VERSION);
        SSL_CTX_set_max_proto_version(context->native_handle(), TLS1_1_VERSION);
    }
    // Bad certificates are what tests are about: OpenSSL's own standards stay out of it.
    SSL_CTX_set_security_level(context->native_handle(), 0);
    context->use_certificate_chain(asio::buffer(tls.certificate_chain()));
    context->use_private_key(asio::buffer(tls.key()), asio::ssl::context::pem);
    static constexpr unsigned char name[] = "khive";
    SSL_CTX_set_session_id_context(context->native_handle(), name, sizeof name);
    if (!tls.client_authority().empty()) {
        context->add_certificate_authority(asio::buffer(tls.client_authority()));
        context->set_verify_mode(asio::ssl::verify_peer | asio::ssl::verify_fail_if_no_peer_cert);
    }
    return context;
}

} // namespace detail

/// Everything that the server's thread and the test share. The context comes last: the connections that live in it refer to
/// the rest.
struct FaultServer::State {
    using Session = detail::FaultSession;
    using SessionPtr = std::shared_ptr<Session>;

    State(const FaultServerTls* identity, Script::Handler handler);
    ~State();

    void listen(std::uint16_t wanted_port);
    asio::awaitable<void> accept();
    asio::awaitable<void> serve(SessionPtr session);
    asio::awaitable<bool> open(SessionPtr session);
    asio::awaitable<void> serve_requests(SessionPtr session);
    asio::awaitable<void> spoil(SessionPtr session, detail::ConnectionFault fault);
    asio::awaitable<void> do_to_idle(std::vector<PeerAction> actions);
    [[nodiscard]] std::vector<PeerAction> answer(ReceivedRequest request, std::uint64_t connection);
    [[nodiscard]] Reply reply_to(const ReceivedRequest& request);
    [[nodiscard]] std::optional<detail::ConnectionFault> take_fault();
    [[nodiscard]] std::vector<PeerAction> greet();
    void add_fault(Reply what, std::size_t times, detail::ConnectionFault::When when);
    SessionPtr admit(asio::ip::tcp::socket socket);
    void forget(std::uint64_t session);
    void note_handshake(detail::HandshakeSeen seen);
    void note_error(const std::exception& error);
    template <class Act>
    void on_thread(Act act);
    template <class Predicate>
    void wait(const char* what, Predicate predicate) const;

    mutable std::mutex mutex;
    mutable std::condition_variable changed;
    std::mutex script_mutex;
    Script script;
    std::deque<detail::ConnectionFault> faults;
    std::optional<Reply> greeting;
    std::vector<ReceivedRequest> requests;
    std::size_t request_count = 0;
    std::size_t connections = 0;
    std::vector<std::string> server_names;
    std::size_t resumed = 0;
    std::vector<std::string> errors;
    std::map<std::uint64_t, SessionPtr> sessions;
    bool keeps_requests = true;
    bool close_notify = true;
    std::uint16_t port = 0;

    std::unique_ptr<asio::ssl::context> tls;
    asio::io_context io{1};
    asio::ip::tcp::acceptor acceptor{io};
    std::thread thread;
};

inline FaultServer::State::State(const FaultServerTls* identity, Script::Handler handler)
{
    if (identity != nullptr) {
        tls = detail::server_context(*identity);
        close_notify = identity->sends_close_notify();
    }
    if (handler) script.otherwise(std::move(handler));
    listen(0);
    port = acceptor.local_endpoint().port();
    thread = std::thread([this] {
        const auto work = asio::require(io.get_executor(), asio::execution::outstanding_work.tracked);
        io.run();
    });
}

inline FaultServer::State::~State()
{
    io.stop();
    thread.join();
    sessions.clear();
}

inline void FaultServer::State::listen(std::uint16_t wanted_port)
{
    const asio::ip::tcp::endpoint here{asio::ip::address_v4::loopback(), wanted_port};
    acceptor.open(here.protocol());
    acceptor.set_option(asio::socket_base::reuse_address(true));
    acceptor.bind(here);
    acceptor.listen();
    asio::co_spawn(io, accept(), asio::detached);
}

inline asio::awaitable<void> FaultServer::State::accept()
{
    for (;;) {
        boost::system::error_code error;
        auto socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
        if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) co_return;
        if (error) continue;
        auto session = admit(std::move(socket));
        asio::co_spawn(io, serve(std::move(session)), asio::detached);
    }
}

inline FaultServer::State::SessionPtr FaultServer::State::admit(asio::ip::tcp::socket socket)
{
    const std::lock_guard lock(mutex);
    auto session = std::make_shared<Session>(std::move(socket), tls.get(), close_notify, ++connections);
    sessions.emplace(session->id(), session);
    changed.notify_all();
    return session;
}

inline void FaultServer::State::forget(std::uint64_t session)
{
    const std::lock_guard lock(mutex);
    sessions.erase(session);
    changed.notify_all();
}

inline std::optional<detail::ConnectionFault> FaultServer::State::take_fault()
{
    const std::lock_guard lock(mutex);
    if (faults.empty()) return std::nullopt;
    const detail::ConnectionFault fault = faults.front();
    if (--faults.front().times == 0) faults.pop_front();
    return fault;
}

inline void FaultServer::State::add_fault(Reply what, std::size_t times, detail::ConnectionFault::When when)
{
    const std::lock_guard lock(mutex);
    if (times != 0) faults.push_back({std::move(what), times, when});
}

inline std::vector<PeerAction> FaultServer::State::greet()
{
    const std::lock_guard lock(mutex);
    return greeting ? greeting->actions() : std::vector<PeerAction>{};
}

inline asio::awaitable<void> FaultServer::State::serve(SessionPtr session)
{
    auto fault = take_fault();
    try {
        if (fault)
            co_await spoil(session, *fault);
        else
            co_await serve_requests(session);
    } catch (const std::exception& error) {
        note_error(error);
        session->reset();
    }
    forget(session->id());
}

/// What follows a fault that leaves the connection open is silence, until the client goes.
inline asio::awaitable<void> FaultServer::State::spoil(SessionPtr session, detail::ConnectionFault fault)
{
    using When = detail::ConnectionFault::When;
    std::array<char, 1> first;
    const bool within = fault.when == When::request_bytes;
    if (within && !co_await open(session)) co_return;
    if (within && co_await session->read_some(first) == 0) co_return;
    if (fault.when == When::first_bytes) co_await session->wait_for_bytes();
    auto actions = fault.what.actions();
    const bool stays = co_await session->perform(std::move(actions), !within);
    if (stays) co_await session->ignore_bytes();
}

/// Shakes hands where there is TLS; false if that failed.
inline asio::awaitable<bool> FaultServer::State::open(SessionPtr session)
{
    if (!session->has_tls()) co_return true;
    auto seen = co_await session->handshake();
    if (!seen) co_return false;
    note_handshake(std::move(*seen));
    co_return true;
}

inline asio::awaitable<void> FaultServer::State::serve_requests(SessionPtr session)
{
    if (!co_await open(session)) co_return;
    auto welcome = greet();
    if (!co_await session->perform(std::move(welcome), false)) co_return;
    RequestReader reader;
    std::array<char, 16 * 1024> buffer;
    for (;;) {
        session->idle = reader.rest().empty();
        const std::size_t bytes = co_await session->read_some(buffer);
        session->idle = false;
        if (bytes == 0) co_return;
        reader.feed({buffer.data(), bytes});
        for (ReceivedRequest request; reader.next(request);) {
            auto actions = answer(std::move(request), session->id());
            const bool open = co_await session->perform(std::move(actions), false);
            if (!open) co_return;
        }
    }
}

inline std::vector<PeerAction> FaultServer::State::answer(ReceivedRequest request, std::uint64_t connection)
{
    request.connection = connection;
    request.time = Clock::now();
    {
        const std::lock_guard lock(mutex);
        request.number = ++request_count;
        if (keeps_requests) requests.push_back(request);
        changed.notify_all();
    }
    return reply_to(request).actions(request.method, request.close_asked());
}

inline Reply FaultServer::State::reply_to(const ReceivedRequest& request)
{
    try {
        const std::lock_guard lock(script_mutex);
        return script.reply_to(request);
    } catch (const std::exception& error) {
        note_error(error);
        return status(500, {}, error.what());
    }
}

inline void FaultServer::State::note_error(const std::exception& error)
{
    const std::lock_guard lock(mutex);
    errors.emplace_back(error.what());
}

inline void FaultServer::State::note_handshake(detail::HandshakeSeen seen)
{
    const std::lock_guard lock(mutex);
    server_names.push_back(std::move(seen.server_name));
    resumed += seen.resumed ? 1 : 0;
    changed.notify_all();
}

inline asio::awaitable<void> FaultServer::State::do_to_idle(std::vector<PeerAction> actions)
{
    // A client may have its answer before the handler runs that ends it here: let such handlers run.
    for (int turn = 0; turn < 100; ++turn) co_await asio::post(io, asio::use_awaitable);
    std::vector<SessionPtr> idle;
    for (const auto& [id, session] : sessions)
        if (session->idle) idle.push_back(session);
    for (const auto& session : idle) co_await session->perform(actions, false);
}

template <class Act>
void FaultServer::State::on_thread(Act act)
{
    std::packaged_task<void()> task(std::move(act));
    asio::dispatch(io, [&task] { task(); });
    task.get_future().get();
}

template <class Predicate>
void FaultServer::State::wait(const char* what, Predicate predicate) const
{
    std::unique_lock lock(mutex);
    if (!changed.wait_for(lock, std::chrono::seconds{30}, predicate))
        throw std::runtime_error(std::string{"waited in vain for "} + what);
}

} // namespace khive::inline KHIVE_ABI::testing

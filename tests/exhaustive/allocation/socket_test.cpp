// SPDX-License-Identifier: BSL-1.0
// Calls over real sockets and real TLS, at each of whose allocations the memory of their thread fails.
#include "exhaustive/allocation/every_allocation.hpp"

#include <khive/client/async_api_client.hpp>
#include <khive/policy/async_executor.hpp>
#include <khive/policy/retry_with_backoff.hpp>
#include <khive/testing/fault_server.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "support/scripted_client.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace khive_tests::socket_test {

using namespace khive::testing;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

struct Identity {
    Certificate root = CertificateBuilder("khive test root").authority().self_signed();
    Certificate server = CertificateBuilder("localhost").dns("localhost").ip("127.0.0.1").signed_by(root);
};

/// A server that all worlds share, since it takes a thread and a port.
struct Servers {
    Identity identity;
    FaultServer plain{&answer};
    FaultServer tls{FaultServerTls(identity.server.pem(), identity.server.key_pem()), &answer};

    static Reply answer(const ReceivedRequest& request)
    {
        if (request.target == "/unavailable") return status(503);
        return ok("hello " + request.target);
    }
};

Servers& servers()
{
    static Servers all;
    all.plain.forget_requests();
    all.tls.forget_requests();
    return all;
}

class SocketCall;

struct SocketKind {
    const char* name;
    bool tls = false;
    bool warm = false; ///< there is a pooled connection
    asio::awaitable<std::string> (*call)(SocketCall&);
    const char* end = "value";
};

/// A client on sockets, and a call of one kind.
class SocketCall {
public:
    explicit SocketCall(const SocketKind& kind) : kind_(kind)
    {
        open_client();
        if (kind.warm) REQUIRE(finish(text_of(client->get("/first").send())) == "hello /first");
    }

    void run(memory::Plan plan)
    {
        asio::co_spawn(io, starving<SocketCall>(this, kind_.call, plan, &ending_), asio::detached);
        try {
            io.restart();
            io.run_for(10s);
        } catch (const std::exception& error) {
            memory::disarm();
            FAIL("out of run() comes " << error.what());
        }
        memory::disarm();
        REQUIRE(ending_.done);
        INFO("the call ended with: " << ending_.how << " " << ending_.value);
        if (memory::failed() == 0) CHECK(ending_.how == kind_.end);
        CHECK_FALSE(ending_.how.starts_with("exception"));
        check_connections();
        check_next_call(plan.openssl);
        check_connections();
    }

    void open_client()
    {
        khive::ClientOptions options(kind_.tls ? servers().tls.url() : servers().plain.url());
        if (kind_.tls) options.tls(khive::TlsContext{}.trust_nothing().add_ca_pem(servers().identity.root.pem()));
        client.emplace(khive::AsyncAPIClient(io, std::move(options), executor, retry));
    }

    asio::io_context io;
    khive::AsyncExecutor executor{{.max_concurrency = 2}};
    khive::RetryWithBackoff retry{{.max_attempts = 2, .base_delay = 1ms, .jitter = khive::Jitter::none}};
    std::optional<khive::AnyAPIClient> client;

private:
    std::string finish(asio::awaitable<std::string> call)
    {
        std::string text;
        auto end = [&text](std::exception_ptr error, std::string got) {
            if (error) std::rethrow_exception(error);
            text = std::move(got);
        };
        asio::co_spawn(io, std::move(call), std::move(end));
        io.restart();
        io.run_for(10s);
        return text;
    }
    void check_next_call(bool openssl_failed)
    {
        try {
            CHECK(finish(text_of(client->get("/next").send())) == "hello /next");
        } catch (const khive::TlsError& error) {
            // OpenSSL 3.0 marks a certificate authority in its store as invalid for ever when it lacks memory to look at it.
            INFO(error.what());
            REQUIRE(openssl_failed);
            open_client();
            CHECK(finish(text_of(client->get("/next").send())) == "hello /next");
        }
    }
    void check_connections()
    {
        const auto counts = client->connections();
        CHECK(client->in_flight() == 0);
        CHECK(counts.leased == 0);
        CHECK(counts.connecting == 0);
        CHECK(counts.waiting == 0);
        CHECK(executor.stats().running == 0);
    }

    const SocketKind& kind_;
    Ending ending_;
};

using Call = asio::awaitable<std::string>;

Call get(SocketCall& world)
{
    return text_of(world.client->get("/items").send());
}
Call get_unavailable(SocketCall& world)
{
    return text_of(world.client->get("/unavailable").send());
}
const std::string large(300'000, 'x');
Call post(SocketCall& world)
{
    return text_of(world.client->post("/items").body(large, "text/plain").send());
}
/// Makes a context and a client, which calls; that of the world is another.
Call make_client(SocketCall& world)
{
    khive::ClientOptions options(servers().tls.url());
    options.tls(khive::TlsContext{}.trust_nothing().add_ca_pem(servers().identity.root.pem()));
    const khive::AsyncAPIClient made(world.io, std::move(options), world.executor, world.retry);
    auto sending = made.get("/items").send();
    const khive::Response response = co_await std::move(sending);
    co_return response.text();
}

const SocketKind plain_kinds[] = {
    {"a first call", false, false, &get},
    {"a call on a pooled connection", false, true, &get},
    {"a call that is retried and fails", false, true, &get_unavailable, "status"},
    {"a large POST", false, true, &post},
};
const SocketKind tls_kinds[] = {
    {"a first call over TLS", true, false, &get},
    {"a call on a pooled TLS connection", true, true, &get},
    {"a large POST over TLS", true, true, &post},
    {"a client that is made, and calls", true, false, &make_client},
};

template <class Kinds>
void fail_all(const Kinds& kinds, bool later_too)
{
    (void)servers();
    for (const SocketKind& kind : kinds) {
        INFO(kind.name);
        CHECK(fail_every_allocation(later_too, [&](memory::Plan plan) { SocketCall(kind).run(plan); }) >= 1);
    }
}

/// OpenSSL takes memory two thousand times for a handshake: every so many times it fails.
void fail_some_of_openssl(const SocketKind& kind, std::uint64_t step)
{
    (void)servers();
    INFO(kind.name);
    for (std::uint64_t n = 1;; n += step) {
        INFO("allocation " << n << " of OpenSSL's fails");
        SocketCall(kind).run(memory::Plan{.first = n, .openssl = true});
        if (memory::failed() == 0) return;
        failures.add(memory::failed());
    }
}

} // namespace

TEST_CASE("Sockets: calls for which one allocation fails, or all later ones, end and leave nothing behind",
          "[exhaustive][allocation]")
{
    fail_all(plain_kinds, GENERATE(false, true));
}

TEST_CASE("TLS: calls for which one allocation fails, or all later ones, end and leave nothing behind",
          "[exhaustive][allocation]")
{
    fail_all(tls_kinds, GENERATE(false, true));
}

TEST_CASE("TLS: calls for which an allocation of OpenSSL's fails end and leave nothing behind", "[exhaustive][allocation]")
{
    REQUIRE(memory::serves_openssl());
    fail_some_of_openssl({"a call on a pooled TLS connection", true, true, &get}, 1);
    fail_some_of_openssl({"a first call over TLS", true, false, &get}, 23);
    fail_some_of_openssl({"a client that is made, and calls", true, false, &make_client}, 67);
}

} // namespace khive_tests::socket_test

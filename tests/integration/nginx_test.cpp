// SPDX-License-Identifier: BSL-1.0
#include "integration/real_world.hpp"

#include "support/catch.hpp"
#include "support/nginx.hpp"

#include <atomic>
#include <string>

namespace khive_tests::nginx_test {

namespace {

struct Tally {
    int ok = 0;
    int failed = 0;
    int replayed = 0;
    std::string errors;

    void add(const Result<Response>& result)
    {
        result ? ++ok : ++failed;
        const Ledger ledger = result ? result->ledger() : result.error().ledger();
        for (std::size_t i = 0; i < ledger.size(); ++i) replayed += ledger[i].replayed ? 1 : 0;
        if (!result) errors += result.error().message() + "\n";
    }
};

/// One call after another until `*stop`.
asio::awaitable<void> keep_calling(AnyAPIClient api, std::shared_ptr<Tally> tally, std::shared_ptr<bool> stop)
{
    while (!*stop) {
        const auto result = co_await api.get("/small.txt").try_send();
        tally->add(result);
    }
}

asio::awaitable<void> call_times(AnyAPIClient api, int times, std::shared_ptr<Tally> tally)
{
    for (int i = 0; i < times; ++i) {
        const auto result = co_await api.get("/small.txt").try_send();
        tally->add(result);
    }
}

} // namespace

TEST_CASE("nginx: plain, files of every size and framing", "[integration][nginx]")
{
    Nginx nginx;
    asio::io_context io;
    AsyncAPIClient api{io, nginx.url()};

    CHECK(run(io, api.get("/small.txt").send()).body().size() == 12);
    CHECK(run(io, api.get("/medium.bin").send()).body().size() == 64u << 10);
    CHECK(run(io, api.get("/large.bin").send()).body().size() == 4u << 20);
    CHECK(run(io, api.get("/chunked/medium.bin").send()).body().size() == 64u << 10);
    CHECK(run(io, api.get("/empty").send()).status() == 204);
    CHECK(run(io, api.head("/large.bin").send()).body().empty());
    CHECK(run(io, api.post("/echo").body(std::string(1u << 20, 'x'), "text/plain").send()).text() == "POST /echo\n");
    CHECK(kind_of(run(io, api.get("/status/503").try_send())) == ErrorKind::status);

    const auto last = run(io, api.get("/small.txt").send());
    CHECK(last.ledger().back().reused);
    CHECK(api.connections().idle == 1); // and run() has returned: idle connections do not hold it
}

TEST_CASE("nginx: over TLS with verification, both versions", "[integration][nginx][tls]")
{
    const auto version = GENERATE(as<std::string>{}, "TLSv1.2", "TLSv1.3");
    Nginx nginx(NginxOptions{}.extra("ssl_protocols " + version + "; location = /version { return 200 $ssl_protocol; }"));
    asio::io_context io;
    AsyncAPIClient api{io, ClientOptions(nginx.tls_url()).tls(trusting(nginx.identity().root))};

    CHECK(run(io, api.get("/version").send()).text() == version);
    CHECK(run(io, api.get("/large.bin").send()).body().size() == 4u << 20);
    CHECK(run(io, api.get("/chunked/medium.bin").send()).body().size() == 64u << 10);
    CHECK(run(io, api.post("/echo").body(std::string(3u << 20, 'x'), "text/plain").send()).text() == "POST /echo\n");
    CHECK(run(io, api.get("/small.txt").send()).status() == 200); // after an early answer on a connection of its own
    CHECK(run(io, api.get("/small.txt").send()).ledger().back().reused);
}

TEST_CASE("nginx: the second TLS connection resumes the session", "[integration][nginx][tls]")
{
    const auto version = GENERATE(as<std::string>{}, "TLSv1.2", "TLSv1.3");
    Nginx nginx(NginxOptions{}.extra("ssl_protocols " + version + "; location = /resumed { return 200 $ssl_session_reused; }"));
    asio::io_context io;
    AsyncAPIClient api{io, ClientOptions(nginx.tls_url()).tls(trusting(nginx.identity().root))};

    CHECK(run(io, api.get("/resumed").header("Connection", "close").send()).text() == ".");
    CHECK(run(io, api.get("/resumed").send()).text() == "r");
}

TEST_CASE("nginx: a server that cannot be verified is refused, and the error says why", "[integration][nginx][tls]")
{
    const TestIdentity identity;
    const auto local = CertificateBuilder("localhost").dns("localhost");
    const int which = GENERATE(0, 1, 2, 3, 4, 5);
    const Certificate certificates[] = {
        identity.server, CertificateBuilder("other").dns("other.test").signed_by(identity.root), local.self_signed(),
        CertificateBuilder(local).expired().signed_by(identity.root),
        CertificateBuilder(local).not_yet_valid().signed_by(identity.root),
        CertificateBuilder(local).only_for_clients().signed_by(identity.root)};
    const std::string reasons[] = {"unable to get local issuer", "hostname mismatch", "self-signed", "expired", "not yet valid",
                                   "purpose"};
    const Certificate stranger = CertificateBuilder("stranger").authority().self_signed();
    Nginx nginx(NginxOptions{}.certificate(certificates[which]));
    asio::io_context io;
    AsyncAPIClient api{io, ClientOptions(nginx.tls_url()).tls(trusting(which == 0 ? stranger : identity.root))};

    const auto result = run(io, api.get("/small.txt").try_send());

    REQUIRE(kind_of(result) == ErrorKind::tls);
    CHECK_THAT(result.error().message(), contains(reasons[which]));
    CHECK_FALSE(result.error().retryable());
    CHECK_FALSE(result.error().maybe_processed());
    CHECK(api.connections().open() == 0);
}

TEST_CASE("nginx: a client certificate is presented where it is asked for", "[integration][nginx][tls]")
{
    const TestIdentity identity;
    Nginx nginx(NginxOptions{}.certificate(identity.server).require_client_certificate(identity.root.pem()));
    asio::io_context io;
    TlsContext with = trusting(identity.root);
    with.client_certificate_pem(identity.client.chain_pem(), Secret(identity.client.key_pem()));
    AsyncAPIClient known{io, ClientOptions(nginx.tls_url()).tls(with)};
    AsyncAPIClient unknown{io, ClientOptions(nginx.tls_url()).tls(trusting(identity.root))};

    CHECK(run(io, known.get("/small.txt").send()).status() == 200);
    const auto refused = run(io, unknown.get("/small.txt").try_send());
    REQUIRE_FALSE(refused.has_value());
    CHECK(refused.error().status() == 400); // nginx shakes hands and then says so
}

TEST_CASE("nginx: no trust anchors is an error of its own", "[integration][nginx][tls]")
{
    asio::io_context io;
    TlsContext tls;
    tls.trust_nothing();
    AsyncAPIClient api{io, ClientOptions("https://localhost:1").tls(tls)};

    CHECK(kind_of(run(io, api.get("/").try_send())) == ErrorKind::no_trust_anchors);
}

TEST_CASE("nginx: few requests per connection and short keep-alive fail no request", "[integration][nginx]")
{
    Nginx nginx(NginxOptions{}.keepalive(1ms).keepalive_requests(7));
    asio::io_context io;
    AsyncAPIClient api{io, nginx.url()};
    auto tally = std::make_shared<Tally>();

    for (int i = 0; i < 8; ++i) asio::co_spawn(io, call_times(api, 50, tally), asio::detached);
    io.run();

    INFO(tally->errors);
    CHECK(tally->ok == 400);
    CHECK(tally->failed == 0);
}

TEST_CASE("nginx: reloaded under load, every GET succeeds", "[integration][nginx]")
{
    Nginx nginx;
    asio::io_context io;
    AsyncAPIClient api{io, nginx.url(), RetryWithBackoff{{.max_attempts = 5, .base_delay = 5ms}}};
    auto tally = std::make_shared<Tally>();
    auto stop = std::make_shared<bool>(false);
    for (int i = 0; i < 8; ++i) asio::co_spawn(io, keep_calling(api, tally, stop), asio::detached);

    for (int round = 1; round <= 4; ++round) {
        while (tally->ok < round * 200) REQUIRE(io.run_one() == 1);
        nginx.reload();
    }
    *stop = true;
    io.run();

    INFO(tally->errors);
    CHECK(tally->failed == 0);
    CHECK(api.connections().leased == 0);
}

TEST_CASE("nginx: restarted under load, every GET succeeds once it is there again", "[integration][nginx]")
{
    Nginx nginx;
    asio::io_context io;
    AsyncAPIClient api{io, nginx.url(), RetryWithBackoff{{.max_attempts = 20, .base_delay = 20ms, .max_delay = 100ms}}};
    auto tally = std::make_shared<Tally>();
    auto stop = std::make_shared<bool>(false);
    for (int i = 0; i < 8; ++i) asio::co_spawn(io, keep_calling(api, tally, stop), asio::detached);

    for (int round = 1; round <= 2; ++round) {
        while (tally->ok < round * 200) REQUIRE(io.run_one() == 1);
        nginx.restart();
    }
    *stop = true;
    io.run();

    INFO(tally->errors);
    CHECK(tally->failed == 0);
    CHECK(tally->ok >= 400);
    CHECK(api.connections().leased == 0);
}

} // namespace khive_tests::nginx_test

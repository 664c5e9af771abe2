// SPDX-License-Identifier: BSL-1.0
#include <khive/net/tls_context.hpp>

#include <khive/core/exceptions.hpp>

#include "support/catch.hpp"
#include "support/certificates.hpp"
#include "support/temp_directory.hpp"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <cstdlib>
#include <string>

namespace khive_tests::tls_context_test {

using namespace khive;
using net::TlsContext;

namespace {

/// Sets a variable of the environment for as long as it lives.
class Environment {
public:
    Environment(std::string name, const std::string& value) : name_(std::move(name))
    {
        if (const char* before = std::getenv(name_.c_str())) before_ = before;
        ::setenv(name_.c_str(), value.c_str(), 1);
    }
    ~Environment()
    {
        if (before_.empty())
            ::unsetenv(name_.c_str());
        else
            ::setenv(name_.c_str(), before_.c_str(), 1);
    }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;

private:
    std::string name_;
    std::string before_;
};

std::string encrypted_key(const Certificate& certificate)
{
    return khive_tests::detail::pem_text([&](BIO* bio) {
        return PEM_write_bio_PrivateKey(bio, certificate.key(), EVP_aes_128_cbc(), nullptr, 0, nullptr,
                                        const_cast<char*>("word"));
    });
}

} // namespace

TEST_CASE("TlsContext: verifies by default, and the host of the URL", "[net][tls]")
{
    const TlsContext context;

    CHECK(context.verifies());
    CHECK(context.name_for("api.test") == "api.test");
}

TEST_CASE("TlsContext: keys and signatures of less than 112 bits are refused, however OpenSSL is configured", "[net][tls]")
{
    CHECK(SSL_CTX_get_security_level(TlsContext{}.native()) >= 2);
}

TEST_CASE("TlsContext: the name of the server can be another than the URL's", "[net][tls]")
{
    TlsContext context;
    context.server_name("inner.test");

    CHECK(context.name_for("api.test") == "inner.test");
}

TEST_CASE("TlsContext: a server name that is no host name is refused", "[net][tls]")
{
    using namespace std::string_literals;
    const std::string bad =
        GENERATE(""s, "a b"s, "inner.test\0.evil.test"s, "inner.test:443"s, "user@inner.test"s, "inner.test/x"s);
    TlsContext context;
    context.server_name("good.test");

    CHECK_THROWS_AS(context.server_name(bad), ConfigurationError);

    CHECK(context.name_for("api.test") == "good.test");
    CHECK(context.server_name("INNER.test").name_for("api.test") == "inner.test");
    CHECK(context.server_name("::1").name_for("api.test") == "::1");
}

TEST_CASE("TlsContext: trusting nothing leaves no trust anchors, until one is added", "[net][tls]")
{
    const TestIdentity identity;
    TlsContext context;
    context.trust_nothing();
    CHECK_FALSE(context.has_trust_anchors());

    context.add_ca_pem(identity.root.pem());

    CHECK(context.has_trust_anchors());
}

TEST_CASE("TlsContext: no trust anchors are needed where nothing is verified", "[net][tls]")
{
    TlsContext context;
    context.trust_nothing().dangerously_skip_verification();

    CHECK(context.has_trust_anchors());
    CHECK_FALSE(context.verifies());
}

TEST_CASE("TlsContext: an environment that names a place without certificates gives no trust anchors", "[net][tls]")
{
    const TempDirectory directory;
    const Environment file("SSL_CERT_FILE", (directory.path() / "none.pem").string());
    const Environment folder("SSL_CERT_DIR", directory.path().string());

    CHECK_FALSE(TlsContext{}.has_trust_anchors());
}

TEST_CASE("TlsContext: the environment's file is trusted", "[net][tls]")
{
    const TestIdentity identity;
    const TempDirectory directory;
    const Environment file("SSL_CERT_FILE", directory.write("ca.pem", identity.root.pem()));

    CHECK(TlsContext{}.has_trust_anchors());
}

TEST_CASE("TlsContext: copies are handles of one context", "[net][tls]")
{
    TlsContext context;
    const TlsContext copy = context;
    context.dangerously_skip_verification();

    CHECK_FALSE(copy.verifies());
}

TEST_CASE("TlsContext: settings that cannot be used are errors at once, and say which", "[net][tls]")
{
    const TestIdentity identity;
    const TempDirectory directory;
    const std::string other_key = identity.root.key_pem();
    const std::string chain_file = directory.write("chain.pem", identity.client.chain_pem());
    const std::string wrong_key_file = directory.write("wrong.pem", other_key);
    TlsContext context;

    CHECK_THROWS_AS(context.add_ca_file("/nowhere/ca.pem"), ConfigurationError);
    CHECK_THROWS_WITH(context.add_ca_file("/nowhere/ca.pem"), contains("/nowhere/ca.pem"));
    CHECK_THROWS_AS(context.add_ca_pem("no certificate"), ConfigurationError);
    CHECK_THROWS_AS(context.add_ca_pem(""), ConfigurationError);
    CHECK_THROWS_AS(context.client_certificate_file("/nowhere/c.pem", "/nowhere/k.pem"), ConfigurationError);
    CHECK_THROWS_WITH(context.client_certificate_file(chain_file, "/nowhere/k.pem"), contains("/nowhere/k.pem"));
    CHECK_THROWS_AS(context.client_certificate_file(chain_file, wrong_key_file), ConfigurationError);
    CHECK_THROWS_AS(context.client_certificate_pem("nothing", Secret(other_key)), ConfigurationError);
    CHECK_THROWS_AS(context.client_certificate_pem(identity.client.chain_pem(), Secret(other_key)), ConfigurationError);
    CHECK_THROWS_AS(context.client_certificate_pem(identity.client.chain_pem(), Secret("nothing")), ConfigurationError);
}

TEST_CASE("TlsContext: a private key behind a password is an error, not a question on the terminal", "[net][tls]")
{
    const TestIdentity identity;
    const TempDirectory directory;
    const std::string key = encrypted_key(identity.client);
    TlsContext context;

    CHECK_THROWS_AS(context.client_certificate_pem(identity.client.chain_pem(), Secret(key)), ConfigurationError);
    CHECK_THROWS_AS(context.client_certificate_file(directory.write("chain.pem", identity.client.chain_pem()),
                                                    directory.write("key.pem", key)),
                    ConfigurationError);
}

TEST_CASE("TlsContext: takes a client certificate from files and from memory", "[net][tls]")
{
    const TestIdentity identity;
    const TempDirectory directory;
    TlsContext context;

    CHECK_NOTHROW(context.client_certificate_pem(identity.client.chain_pem(), Secret(identity.client.key_pem())));
    CHECK_NOTHROW(context.client_certificate_file(directory.write("chain.pem", identity.client.chain_pem()),
                                                  directory.write("key.pem", identity.client.key_pem())));
}

} // namespace khive_tests::tls_context_test

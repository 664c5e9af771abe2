// SPDX-License-Identifier: BSL-1.0
// Whose certificate is believed, for which name.
#include "hostile/hostile.hpp"

#include <array>
#include <optional>

namespace khive_tests::certificates_test {

using namespace std::string_literals;

namespace {

/// What all cases here trust.
const Certificate& root()
{
    return test_identity().root;
}

/// Trusted too; signs by RSA, for which alone there are signatures with MD5.
const Certificate& rsa_root()
{
    static const Certificate made = CertificateBuilder("khive test root with RSA").authority().rsa(2048).self_signed();
    return made;
}

CertificateBuilder named(const std::string& name)
{
    CertificateBuilder builder("server");
    builder.dns(name);
    return builder;
}

/// A server that has been made wrong in one respect, and the name that the client looks for.
struct CertificateRow {
    std::string name;
    Certificate certificate;
    std::string host;
    bool good;
    std::string says; ///< part of the error's text
};

const char* const host = "api.test";

CertificateRow good(std::string name, Certificate certificate, std::string wanted = host)
{
    return {std::move(name), std::move(certificate), std::move(wanted), true, {}};
}

CertificateRow bad(std::string name, Certificate certificate, std::string says = {}, std::string wanted = host)
{
    return {std::move(name), std::move(certificate), std::move(wanted), false, std::move(says)};
}

CertificateRow wrong_name(const std::string& in_certificate, const std::string& wanted)
{
    return bad(in_certificate + " for " + wanted, named(in_certificate).signed_by(root()), "hostname mismatch", wanted);
}

CertificateRow right_name(const std::string& in_certificate, const std::string& wanted)
{
    return good(in_certificate + " for " + wanted, named(in_certificate).signed_by(root()), wanted);
}

/// Connects to 127.0.0.1 and looks for the row's name there, as if that had been resolved to it.
void check_certificates(const std::vector<CertificateRow>& rows)
{
    for (const CertificateRow& row : rows) {
        INFO("row: " << row.name);
        FaultServer server(FaultServerTls(row.certificate.chain_pem(), row.certificate.key_pem()));
        asio::io_context io;
        TlsContext tls = trusting(root());
        tls.add_ca_pem(rsa_root().pem());
        const bool address = row.host == "127.0.0.1";
        if (!address) tls.server_name(row.host);
        const AsyncAPIClient api{io, ClientOptions(server.url()).tls(tls).timeouts({.total = 20s})};

        const auto result = run(io, api.post("/").body("secret").try_send());

        CHECK(fate_of(result, api) == (row.good ? accepted() : refused(ErrorKind::tls)));
        CHECK(server.request_count() == (row.good ? 1u : 0u));
        if (!result) {
            CHECK_THAT(result.error().message(), contains(row.says.empty() ? "certificate verification failed" : row.says));
            CHECK_FALSE(result.error().maybe_processed());
            CHECK_FALSE(result.error().retryable());
        } else {
            CHECK(server.server_names() == std::vector<std::string>{address ? "" : row.host});
        }
    }
}

/// A subject alternative name of one DNS name, byte by byte: what OpenSSL's own words cannot say.
Certificate with_dns_bytes(const std::string& name)
{
    const auto hex = [](std::size_t byte) {
        constexpr std::string_view digits = "0123456789abcdef";
        return std::string{digits[byte >> 4 & 15], digits[byte & 15]};
    };
    std::string der = "DER:30" + hex(name.size() + 2) + "82" + hex(name.size());
    for (const char c : name) der += hex(static_cast<unsigned char>(c));
    return CertificateBuilder("server").extension(NID_subject_alt_name, der).signed_by(root());
}

} // namespace

TEST_CASE("Hostile: a certificate that is good is believed", "[hostile][tls][certificates]")
{
    const auto middle = CertificateBuilder("middle").authority(0).signed_by(root());
    const auto constrained =
        CertificateBuilder("constrained").authority().name_constraints("permitted;DNS:test").signed_by(root());
    check_certificates({
        good("one name", named(host).signed_by(root())),
        good("several names", named("other.test").dns(host).ip("10.0.0.1").signed_by(root())),
        good("an address", CertificateBuilder("server").ip("127.0.0.1").signed_by(root()), "127.0.0.1"),
        good("below another authority", named(host).signed_by(middle)),
        good("below an authority for such names", named(host).signed_by(constrained)),
        good("for servers alone", named(host).only_for_servers().signed_by(root())),
        good("RSA of 2048 bits", named(host).rsa(2048).signed_by(root())),
        good("signed by RSA", named(host).signed_by(rsa_root())),
        good("SHA-384", named(host).digest("SHA384").signed_by(root())),
    });
}

TEST_CASE("Hostile: a certificate that is not valid now is refused", "[hostile][tls][certificates]")
{
    const auto old_root = CertificateBuilder("old root").authority().expired().self_signed();
    const auto old_middle = CertificateBuilder("old middle").authority().expired().signed_by(root());
    const auto early_middle = CertificateBuilder("early middle").authority().not_yet_valid().signed_by(root());
    check_certificates({
        bad("expired", named(host).expired().signed_by(root()), "certificate has expired"),
        bad("expired a minute ago", named(host).valid(-1h, -1min).signed_by(root()), "certificate has expired"),
        bad("not yet valid", named(host).not_yet_valid().signed_by(root()), "certificate is not yet valid"),
        bad("valid in a minute", named(host).valid(1min, 1h).signed_by(root()), "certificate is not yet valid"),
        bad("below an expired authority", named(host).signed_by(old_middle), "certificate has expired"),
        bad("below an authority that is not yet one", named(host).signed_by(early_middle), "certificate is not yet valid"),
        bad("below an expired root that nobody trusts", named(host).signed_by(old_root)),
    });
}

TEST_CASE("Hostile: a certificate that nobody who is trusted has signed is refused", "[hostile][tls][certificates]")
{
    const auto another = CertificateBuilder("another root").authority().self_signed();
    const auto namesake = CertificateBuilder("khive test root").authority().self_signed();
    const auto middle = CertificateBuilder("middle").authority().signed_by(root());
    const auto leaf = named(host).signed_by(middle);
    const Certificate without_middle(std::shared_ptr<X509>(X509_dup(leaf.x509()), &X509_free),
                                     std::shared_ptr<EVP_PKEY>(EVP_PKEY_dup(leaf.key()), &EVP_PKEY_free), {});
    const auto no_authority = CertificateBuilder("no authority").signed_by(root());
    const auto narrow = CertificateBuilder("narrow").authority(0).signed_by(root());
    const auto too_deep = CertificateBuilder("too deep").authority().signed_by(narrow);
    const auto elsewhere =
        CertificateBuilder("elsewhere").authority().name_constraints("permitted;DNS:example.com").signed_by(root());
    const auto not_here = CertificateBuilder("not here").authority().name_constraints("excluded;DNS:test").signed_by(root());
    check_certificates({
        bad("self-signed", named(host).self_signed(), "self-signed certificate"),
        bad("an authority for its own", named(host).authority().self_signed(), "self-signed certificate"),
        bad("another root", named(host).signed_by(another), "unable to get local issuer certificate"),
        bad("a root of the same name", named(host).signed_by(namesake)),
        bad("without the authority between", without_middle, "unable to get local issuer certificate"),
        bad("below a certificate that is no authority", named(host).signed_by(no_authority), "invalid CA certificate"),
        bad("below more authorities than allowed", named(host).signed_by(too_deep), "path length constraint exceeded"),
        bad("below an authority for other names", named(host).signed_by(elsewhere), "permitted subtree violation"),
        bad("below an authority for all but such names", named(host).signed_by(not_here), "excluded subtree violation"),
    });
}

TEST_CASE("Hostile: a chain without end is refused", "[hostile][tls][certificates]")
{
    const auto leaf = named(host).signed_by(root());
    const auto middle = CertificateBuilder("middle").authority().signed_by(root());
    FaultServer server(FaultServerTls(leaf.pem() + repeated(middle.pem(), 400), leaf.key_pem()));
    asio::io_context io;
    TlsContext tls = trusting(root());
    tls.server_name(host);
    const AsyncAPIClient api{io, ClientOptions(server.url()).tls(tls).timeouts({.total = 20s})};

    CHECK(fate_of(run(io, api.get("/").try_send()), api) == refused(ErrorKind::tls));
}

TEST_CASE("Hostile: a certificate for another purpose, or a weak one, is refused", "[hostile][tls][certificates]")
{
    check_certificates({
        bad("for clients alone", named(host).only_for_clients().signed_by(root()), "unsuitable certificate purpose"),
        bad("with a critical extension that nobody knows", named(host).unknown_critical_extension().signed_by(root()),
            "unhandled critical extension"),
        bad("RSA of 1024 bits", named(host).rsa(1024).signed_by(root()), "too weak"),
        bad("SHA-1", named(host).digest("SHA1").signed_by(root()), "too weak"),
        bad("MD5", named(host).digest("MD5").signed_by(rsa_root()), "too weak"),
    });
}

TEST_CASE("Hostile: a certificate for another name is refused", "[hostile][tls][certificates]")
{
    check_certificates({
        wrong_name("other.test", host),
        wrong_name("api.test.evil.test", host),
        wrong_name("test", host),
        wrong_name("xapi.test", host),
        wrong_name("api.tes", host),
        wrong_name("apiXtest", host),
        wrong_name("www.api.test", host),
        wrong_name("api-test", host),
        bad("no name but the common one", CertificateBuilder(host).signed_by(root()), "hostname mismatch"),
        bad("the common name, and another name", CertificateBuilder(host).dns("other.test").signed_by(root()),
            "hostname mismatch"),
        bad("the common name, and an address", CertificateBuilder(host).ip("127.0.0.1").signed_by(root()),
            "hostname mismatch"),
        bad("the name as that of a mailbox", CertificateBuilder("s").san("email:x@api.test").signed_by(root()),
            "hostname mismatch"),
        bad("the name as a URL", CertificateBuilder("s").san("URI:https://api.test").signed_by(root()), "hostname mismatch"),
        bad("the name with NUL behind", with_dns_bytes("api.test\0.evil.test"s), {}),
        bad("the name with NUL at its end", with_dns_bytes("api.test\0"s), {}),
        bad("the name with NUL in front", with_dns_bytes("\0api.test"s), {}),
        bad("the name with a line end behind", with_dns_bytes("api.test\n"), {}),
        bad("the name with a space behind", with_dns_bytes("api.test "), {}),
        bad("the empty name", with_dns_bytes(""), {}),
    });
}

TEST_CASE("Hostile: a wildcard stands for one whole label, the first", "[hostile][tls][certificates]")
{
    check_certificates({
        right_name("*.api.test", "a.api.test"),
        right_name("*.API.test", "a.api.test"),
        wrong_name("*.api.test", "api.test"),
        wrong_name("*.api.test", "a.b.api.test"),
        wrong_name("*", host),
        wrong_name("*.", host),
        wrong_name("*.test", "test"),
        wrong_name("a*.api.test", "ab.api.test"),
        wrong_name("*a.api.test", "ba.api.test"),
        wrong_name("a*c.api.test", "abc.api.test"),
        wrong_name("api.*.test", "api.a.test"),
        wrong_name("a.*", host),
        wrong_name("*.*.test", "a.api.test"),
        wrong_name("**.api.test", "a.api.test"),
        wrong_name("xn--*.api.test", "xn--bcher-kva.api.test"),
    });
}

TEST_CASE("Hostile: an address is looked for among addresses and nowhere else", "[hostile][tls][certificates]")
{
    const std::string address = "127.0.0.1";
    check_certificates({
        bad("another address", CertificateBuilder("s").ip("127.0.0.2").signed_by(root()), "IP address mismatch", address),
        bad("the address as the common name", CertificateBuilder(address).signed_by(root()), "IP address mismatch", address),
        bad("the address as a DNS name", named(address).signed_by(root()), "IP address mismatch", address),
        bad("a wildcard", named("*.0.0.1").signed_by(root()), "IP address mismatch", address),
        bad("the name of this machine", named("localhost").signed_by(root()), "IP address mismatch", address),
        bad("the address in the other family", CertificateBuilder("s").ip("::ffff:127.0.0.1").signed_by(root()),
            "IP address mismatch", address),
        bad("an address that spells the name", CertificateBuilder("s").ip("97.112.105.46").signed_by(root()),
            "hostname mismatch"),
    });
}

TEST_CASE("Hostile: a refused certificate's text is escaped in the error", "[hostile][tls][certificates]")
{
    const auto certificate = CertificateBuilder("evil\n\x1b[31mlog line").dns(host).self_signed();
    FaultServer server(FaultServerTls(certificate.chain_pem(), certificate.key_pem()));
    asio::io_context io;
    const AsyncAPIClient api{io, ClientOptions(server.url()).tls(trusting(root()))};

    const Error error = run(io, api.get("/").try_send()).error();

    CHECK(error.kind() == ErrorKind::tls);
    CHECK(error.message().find('\n') == std::string::npos);
    CHECK(error.message().find('\x1b') == std::string::npos);
}

} // namespace khive_tests::certificates_test

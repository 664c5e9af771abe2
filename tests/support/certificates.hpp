// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/net/tls_context.hpp>

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace khive_tests {
namespace detail {

template <class T>
T* checked(T* pointer)
{
    if (pointer == nullptr) throw std::runtime_error("OpenSSL could not make a test's certificate");
    return pointer;
}

inline void checked(int result)
{
    if (result <= 0) throw std::runtime_error("OpenSSL could not make a test's certificate");
}

/// What `write` puts into a BIO.
template <class Write>
std::string pem_text(Write write)
{
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(checked(BIO_new(BIO_s_mem())), &BIO_free);
    checked(write(bio.get()));
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

} // namespace detail

/// A certificate with its key and what it was signed by. Made by a `CertificateBuilder`.
class Certificate {
public:
    Certificate(std::shared_ptr<X509> x509, std::shared_ptr<EVP_PKEY> key, std::string above)
        : x509_(std::move(x509)), key_(std::move(key)), above_(std::move(above))
    {}

    /// The certificate alone, in PEM.
    [[nodiscard]] std::string pem() const
    {
        return detail::pem_text([&](BIO* bio) { return PEM_write_bio_X509(bio, x509_.get()); });
    }
    [[nodiscard]] std::string key_pem() const
    {
        return detail::pem_text(
            [&](BIO* bio) { return PEM_write_bio_PrivateKey(bio, key_.get(), nullptr, nullptr, 0, nullptr, nullptr); });
    }
    /// The certificate and the intermediates above it, without the root: what a server sends.
    [[nodiscard]] std::string chain_pem() const { return pem() + above_; }

    [[nodiscard]] X509* x509() const noexcept { return x509_.get(); }
    [[nodiscard]] EVP_PKEY* key() const noexcept { return key_.get(); }

private:
    std::shared_ptr<X509> x509_;
    std::shared_ptr<EVP_PKEY> key_;
    std::string above_;
};

/// Makes certificates for tests, good and bad ones, in a millisecond each.
///
/// ```cpp
/// const auto root = CertificateBuilder("root").authority().self_signed();
/// const auto server = CertificateBuilder("server").dns("localhost").ip("127.0.0.1").signed_by(root);
/// ```
/// Without further words: P-256, SHA-256, valid from an hour ago to tomorrow, for servers and clients, no authority.
class CertificateBuilder {
public:
    explicit CertificateBuilder(std::string common_name) : common_name_(std::move(common_name)) {}

    CertificateBuilder& dns(const std::string& name) { return san("DNS:" + name); }
    CertificateBuilder& ip(const std::string& address) { return san("IP:" + address); }
    /// An alternative name in OpenSSL's own words: "email:a@b.c", "URI:https://x".
    CertificateBuilder& san(const std::string& name)
    {
        sans_ += (sans_.empty() ? "" : ",") + name;
        return *this;
    }

    CertificateBuilder& authority() { return constraints_ = "critical,CA:TRUE", *this; }
    /// An authority below which there may be no more than so many others.
    CertificateBuilder& authority(int path_length)
    {
        constraints_ = "critical,CA:TRUE,pathlen:" + std::to_string(path_length);
        return *this;
    }
    CertificateBuilder& expired() { return valid(-std::chrono::hours{48}, -std::chrono::hours{24}); }
    CertificateBuilder& not_yet_valid() { return valid(std::chrono::hours{24}, std::chrono::hours{48}); }
    /// Relative to now.
    CertificateBuilder& valid(std::chrono::seconds from, std::chrono::seconds until)
    {
        from_ = from;
        until_ = until;
        return *this;
    }

    CertificateBuilder& only_for_clients() { return usage_ = "clientAuth", *this; }
    CertificateBuilder& only_for_servers() { return usage_ = "serverAuth", *this; }
    CertificateBuilder& rsa(int bits) { return rsa_bits_ = bits, *this; }
    /// "SHA1", "MD5", "SHA384"...
    CertificateBuilder& digest(std::string name) { return digest_ = std::move(name), *this; }
    /// Name constraints in OpenSSL's own words: "permitted;DNS:example.com".
    CertificateBuilder& name_constraints(const std::string& text)
    {
        return extension(NID_name_constraints, "critical," + text);
    }
    /// A critical extension that nobody knows.
    CertificateBuilder& unknown_critical_extension() { return unknown_critical_ = true, *this; }
    /// Any extension in OpenSSL's own words.
    CertificateBuilder& extension(int nid, std::string value)
    {
        extensions_.emplace_back(nid, std::move(value));
        return *this;
    }

    [[nodiscard]] Certificate self_signed() const
    {
        const auto key = make_key();
        const auto x509 = make(key.get());
        X509_set_issuer_name(x509.get(), X509_get_subject_name(x509.get()));
        finish(x509.get(), x509.get(), key.get());
        return {x509, key, {}};
    }

    /// An issuer that signed itself is a root and is not sent; any other goes along in the chain.
    [[nodiscard]] Certificate signed_by(const Certificate& issuer) const
    {
        const auto key = make_key();
        const auto x509 = make(key.get());
        X509_set_issuer_name(x509.get(), X509_get_subject_name(issuer.x509()));
        finish(x509.get(), issuer.x509(), issuer.key());
        const bool root = X509_NAME_cmp(X509_get_subject_name(issuer.x509()), X509_get_issuer_name(issuer.x509())) == 0;
        return {x509, key, root ? std::string{} : issuer.chain_pem()};
    }

private:
    [[nodiscard]] std::shared_ptr<EVP_PKEY> make_key() const
    {
        EVP_PKEY* key = rsa_bits_ != 0 ? EVP_RSA_gen(static_cast<unsigned>(rsa_bits_)) : EVP_EC_gen("P-256");
        return {detail::checked(key), &EVP_PKEY_free};
    }

    [[nodiscard]] std::shared_ptr<X509> make(EVP_PKEY* key) const
    {
        static std::atomic<long> serial{1};
        const std::shared_ptr<X509> x509(detail::checked(X509_new()), &X509_free);
        detail::checked(X509_set_version(x509.get(), X509_VERSION_3));
        detail::checked(ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), serial++));
        detail::checked(X509_gmtime_adj(X509_getm_notBefore(x509.get()), static_cast<long>(from_.count())));
        detail::checked(X509_gmtime_adj(X509_getm_notAfter(x509.get()), static_cast<long>(until_.count())));
        detail::checked(X509_set_pubkey(x509.get(), key));
        const auto* name = reinterpret_cast<const unsigned char*>(common_name_.c_str());
        detail::checked(X509_NAME_add_entry_by_txt(X509_get_subject_name(x509.get()), "CN", MBSTRING_UTF8, name, -1, -1, 0));
        return x509;
    }

    void finish(X509* x509, X509* issuer, EVP_PKEY* issuer_key) const
    {
        add(x509, issuer, NID_basic_constraints, constraints_);
        add(x509, issuer, NID_subject_key_identifier, "hash");
        if (!usage_.empty()) add(x509, issuer, NID_ext_key_usage, usage_);
        if (!sans_.empty()) add(x509, issuer, NID_subject_alt_name, sans_);
        for (const auto& [nid, value] : extensions_) add(x509, issuer, nid, value);
        if (unknown_critical_) add_unknown(x509);
        detail::checked(X509_sign(x509, issuer_key, detail::checked(EVP_get_digestbyname(digest_.c_str()))));
    }

    static void add(X509* x509, X509* issuer, int nid, const std::string& value)
    {
        X509V3_CTX context;
        X509V3_set_ctx_nodb(&context);
        X509V3_set_ctx(&context, issuer, x509, nullptr, nullptr, 0);
        X509_EXTENSION* extension = detail::checked(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
        const int added = X509_add_ext(x509, extension, -1);
        X509_EXTENSION_free(extension);
        detail::checked(added);
    }

    static void add_unknown(X509* x509)
    {
        const std::unique_ptr<ASN1_OBJECT, decltype(&ASN1_OBJECT_free)> oid(
            detail::checked(OBJ_txt2obj("1.3.6.1.4.1.55555.1", 1)), &ASN1_OBJECT_free);
        const std::unique_ptr<ASN1_OCTET_STRING, decltype(&ASN1_OCTET_STRING_free)> value(
            detail::checked(ASN1_OCTET_STRING_new()), &ASN1_OCTET_STRING_free);
        static constexpr unsigned char null_value[] = {0x05, 0x00};
        detail::checked(ASN1_OCTET_STRING_set(value.get(), null_value, sizeof null_value));
        X509_EXTENSION* extension = detail::checked(X509_EXTENSION_create_by_OBJ(nullptr, oid.get(), 1, value.get()));
        const int added = X509_add_ext(x509, extension, -1);
        X509_EXTENSION_free(extension);
        detail::checked(added);
    }

    std::string common_name_;
    std::string sans_;
    std::string constraints_ = "critical,CA:FALSE";
    std::string usage_ = "serverAuth,clientAuth";
    std::string digest_ = "SHA256";
    std::vector<std::pair<int, std::string>> extensions_;
    std::chrono::seconds from_ = -std::chrono::hours{1};
    std::chrono::seconds until_ = std::chrono::hours{24};
    int rsa_bits_ = 0;
    bool unknown_critical_ = false;
};

/// What most tests over TLS need: an authority and a server's certificate for localhost, 127.0.0.1 and ::1 that it signed.
struct TestIdentity {
    Certificate root = CertificateBuilder("khive test root").authority().self_signed();
    Certificate server = CertificateBuilder("localhost").dns("localhost").ip("127.0.0.1").ip("::1").signed_by(root);
    Certificate client = CertificateBuilder("client").only_for_clients().signed_by(root);
};

inline khive::net::TlsContext trusting(const Certificate& root)
{
    khive::net::TlsContext tls;
    tls.trust_nothing().add_ca_pem(root.pem());
    return tls;
}

} // namespace khive_tests

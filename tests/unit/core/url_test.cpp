// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"

#include <khive/core/url.hpp>

namespace khive_tests::url_test {

using namespace khive;

namespace {

Url parsed(std::string_view text)
{
    return Url::parse(text).value();
}

std::string joined(std::string_view base, std::string_view reference)
{
    const auto url = join(parsed(base), reference);
    return url ? url->origin().to_string() + url->target() : std::string{to_string(url.error().kind())};
}

} // namespace

TEST_CASE("Url: splits into origin and target", "[core][url]")
{
    const auto [text, origin, target] = GENERATE(table<std::string, std::string, std::string>({
        {"http://example.com", "http://example.com", "/"},
        {"https://example.com/", "https://example.com", "/"},
        {"HTTPS://EXAMPLE.com:443/A?B=c", "https://example.com", "/A?B=c"},
        {"http://example.com:80", "http://example.com", "/"},
        {"http://example.com:443/", "http://example.com:443", "/"},
        {"https://example.com:80/", "https://example.com:80", "/"},
        {"http://example.com:8080/a/b?c", "http://example.com:8080", "/a/b?c"},
        {"http://example.com:/", "http://example.com", "/"},
        {"http://example.com:00080/", "http://example.com", "/"},
        {"http://example.com:65535/", "http://example.com:65535", "/"},
        {"http://example.com?a=b", "http://example.com", "/?a=b"},
        {"http://example.com/?", "http://example.com", "/?"},
        {"http://example.com/a#part", "http://example.com", "/a"},
        {"http://example.com#part?x", "http://example.com", "/"},
        {"http://a_b.example.com./", "http://a_b.example.com.", "/"},
        {"http://xn--bcher-kva.example/", "http://xn--bcher-kva.example", "/"},
        {"http://127.0.0.1:1/", "http://127.0.0.1:1", "/"},
        {"http://[::1]/", "http://[::1]", "/"},
        {"http://[2001:DB8:0:0::1]:81/", "http://[2001:db8::1]:81", "/"},
        {"http://h/a b%", "invalid_url", ""},
        {"http://h/%7e%zz|\"<>[]{}^`\\caf\xc3\xa9", "http://h", "/%7e%25zz%7C%22%3C%3E%5B%5D%7B%7D%5E%60%5Ccaf%C3%A9"},
        {"http://h/a/../b//c/.", "http://h", "/a/../b//c/."},
        {"http://h/a@b:c", "http://h", "/a@b:c"},
        {"http://example.com%2f@evil.com/", "http://evil.com", "/"},
        {"http://h/?u=http://x/?y=[1]", "http://h", "/?u=http://x/?y=%5B1%5D"},
    }));
    const auto url = Url::parse(text);

    CHECK((url ? url->origin().to_string() : std::string{to_string(url.error().kind())}) == origin);
    CHECK((url ? url->target() : std::string{}) == target);
}

TEST_CASE("Url: refuses what two parsers could read in two ways", "[core][url][hostile]")
{
    using namespace std::string_literals;
    const auto text = GENERATE(
        as<std::string>{}, "", "example.com", "//example.com", "ftp://example.com", "file:///etc/passwd", "http:example.com",
        "http:/example.com", "http//example.com", " http://example.com", "javascript:alert(1)", "unix:/socket",
        "httpss://example.com", "http://", "http:///path", "http://:80", "http://?q", "http://#f", "http://user@",
        "http://user@/", "http://h:0", "http://h:65536", "http://h:65617", "http://h:4294967376", "http://h:-1",
        "http://h:+80", "http://h:8o", "http://h:80:80", "http://h: 80", "http://h:000080", "http://h:0x50",
        "http://h:\xd9\xa8", "http://ex%61mple.com", "http://h%00.evil.com", "http://h%0d%0a",
        "http://127.0.0.1%2f.evil.com", "http://good.com\\@evil.com/", "http://good.com\\evil.com", "http://a@b@c/",
        "http://good.com:80@evil.com:81@x/", "http://h\r\nHost: evil/", "http://h/\r\nX: y", "http://h/\n", "http://h/a\0b"s,
        "http://h\0.evil.com/"s, "http://h/\x7f", "http://h/\t", "http://h /", "http://h/a b", "http://h/?a b",
        "http://b\xc3\xbc"
        "cher.example/",
        "http://example\xe3\x80\x82"
        "com/",
        "http://\xef\xbc\xa8.example", "http://[::1", "http://::1/", "http://[::1]x/", "http://[::1%25eth0]/",
        "http://[v1.a]/", "http://[]/", "http://[127.0.0.1]/", "http://[::1]:x/", "http://127.1/", "http://2130706433/",
        "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.0.0.1./", "http://256.0.0.1/",
        "http://1.2.3.4.5/", "http://example.0x1/", "http://127.0.0.1.:80/", "http://a..b/", "http://.a/", "http://./",
        "http://a b/", "http://a,b/", "http://a;b/", "http://a&b/", "http://a$b/", "http://a!b/", "http://a~b/",
        "http://a(b)/", "http://a*b/", "http://a<b/", "http://a^b/", "http://a|b/");
    CAPTURE(escape_untrusted(text));

    const auto url = Url::parse(text);

    REQUIRE(url.has_error());
    CHECK(url.error().kind() == ErrorKind::invalid_url);
}

TEST_CASE("Url: the size of names is bounded and long input takes linear time", "[core][url][hostile]")
{
    CHECK(Url::parse("http://" + std::string(63, 'a') + "/").has_value());
    CHECK(Url::parse("http://" + std::string(64, 'a') + "/").has_error());
    CHECK(Url::parse("http://a" + std::string(200'000, '.') + "/").has_error());
    CHECK(Url::parse("http://" + std::string(200'000, '@') + "/").has_error());
    CHECK(Url::parse("http://h/" + std::string(200'000, '%')).has_value());
    CHECK(Url::parse("http://h:" + std::string(200'000, '0') + "80/").has_error());
}

TEST_CASE("Url: the error for an international name says what to write", "[core][url]")
{
    CHECK_THAT(Url::parse("http://b\xc3\xbc"
                          "cher.example/")
                   .error()
                   .message(),
               khive_tests::contains("xn--"));
}

TEST_CASE("Url: userinfo is kept apart and decoded", "[core][url]")
{
    const auto [userinfo, user, password] = GENERATE(table<std::string, std::string, std::string>({
        {"", "", ""},
        {"me@", "me", ""},
        {"me:secret@", "me", "secret"},
        {"me:@", "me", ""},
        {":secret@", "", "secret"},
        {"a%40b:c%3Ad%2F@", "a@b", "c:d/"},
        {"me:a:b@", "me", "a:b"},
    }));
    const auto url = parsed("https://" + userinfo + "example.com/x?y=z");

    CHECK(url.user().reveal() == user);
    CHECK(url.password().reveal() == password);
    CHECK(url.origin().host_header() == "example.com");
    CHECK(url.target() == "/x?y=z");
    CHECK(url.redacted() == "https://example.com/x?y=***");
}

TEST_CASE("Url: an error never shows the userinfo", "[core][url][hostile]")
{
    const auto text =
        GENERATE(as<std::string>{}, "http://me:hunter2@h:x/", "http://me:hunter2@b\xc3\xbc/", "ftp://me:hunter2@h/",
                 "http://me:hunter2@/", "http://me:hunter2@a..b/", "http://me:hunter2\\@h/", "http://me:hunter2@h/ ",
                 "http://me:hunter2@[::1/", "http://me:hunter2@h:99999");
    const auto url = Url::parse(text);

    REQUIRE(url.has_error());
    CHECK(url.error().message().find("hunter2") == std::string::npos);
}

TEST_CASE("Url: what is refused as a reference shows neither userinfo nor query", "[core][url][hostile]")
{
    const auto base = parsed("http://h/v1");
    const auto reference =
        GENERATE(as<std::string>{}, "ftp://me:hunter2@h/x?token=hunter2", "ftp://h/x?token=hunter2", "../../x?token=hunter2",
                 "http:/me:hunter2@h", "http://me:hunter2@h:x/", "/x\r\n?token=hunter2");
    const auto url = join(base, reference);

    REQUIRE(url.has_error());
    CHECK(url.error().message().find("hunter2") == std::string::npos);

    const auto path = expand_path(reference + "{}", {});
    REQUIRE(path.has_error());
    CHECK(path.error().message().find("hunter2") == std::string::npos);
}

TEST_CASE("insert_query: puts a query behind the one that is there and before the fragment", "[core][url]")
{
    const auto [reference, query, expected] = GENERATE(table<std::string, std::string, std::string>({
        {"/a", "", "/a"},
        {"/a", "k=v", "/a?k=v"},
        {"/a?b", "k=v", "/a?b&k=v"},
        {"/a#x", "k=v", "/a?k=v#x"},
        {"/a?b#x", "k=v", "/a?b&k=v#x"},
        {"/a#x?y", "k=v", "/a?k=v#x?y"},
        {"", "k=v", "?k=v"},
        {"http://h/a#x", "k=v", "http://h/a?k=v#x"},
    }));
    std::string text = reference;

    insert_query(text, query);

    CHECK(text == expected);
}

TEST_CASE("Url: path and query are parts of the target", "[core][url]")
{
    const auto [text, path, query] = GENERATE(table<std::string, std::string, std::string>({
        {"http://h", "/", ""},
        {"http://h/a/b", "/a/b", ""},
        {"http://h/a?", "/a", ""},
        {"http://h/a?b=c&d?e", "/a", "b=c&d?e"},
    }));
    const auto url = parsed(text);

    CHECK(url.path() == path);
    CHECK(url.query() == query);
}

TEST_CASE("Url: the values of a query are masked for logs", "[core][url]")
{
    const auto [text, redacted] = GENERATE(table<std::string, std::string>({
        {"http://h/p", "http://h/p"},
        {"http://h/p?", "http://h/p"},
        {"http://h/p?key=abc&b=&c=d=e", "http://h/p?key=***&b=***&c=***"},
        {"http://h/p?token", "http://h/p?***"},
        {"http://[::1]:81/p?a=b&&c=d", "http://[::1]:81/p?a=***&***&c=***"},
    }));

    CHECK(parsed(text).redacted() == redacted);
}

TEST_CASE("Origin: equal is what may share a connection", "[core][url]")
{
    CHECK(parsed("http://H").origin() == parsed("http://h:80/x?y").origin());
    CHECK(parsed("https://h:443").origin() == parsed("https://u:p@h").origin());
    CHECK_FALSE(parsed("http://h").origin() == parsed("https://h").origin());
    CHECK_FALSE(parsed("http://h:443").origin() == parsed("https://h:443").origin());
    CHECK_FALSE(parsed("http://h").origin() == parsed("http://h:81").origin());
    CHECK_FALSE(parsed("http://h").origin() == parsed("http://i").origin());
}

TEST_CASE("Origin: has an IPv6 address without its brackets", "[core][url]")
{
    CHECK(parsed("http://[::1]").origin().host == "::1");
}

TEST_CASE("join: appends the reference to the base", "[core][url]")
{
    const auto [base, reference, expected] = GENERATE(table<std::string, std::string, std::string>({
        {"https://h/v1", "/users", "https://h/v1/users"},
        {"https://h/v1/", "/users", "https://h/v1/users"},
        {"https://h/v1", "users", "https://h/v1/users"},
        {"https://h", "users/7", "https://h/users/7"},
        {"https://h/v1", "", "https://h/v1"},
        {"https://h/v1/", "", "https://h/v1/"},
        {"https://h/v1", "/", "https://h/v1/"},
        {"https://h", "", "https://h/"},
        {"https://h/v1", "?a=1", "https://h/v1?a=1"},
        {"https://h/v1", "#part", "https://h/v1"},
        {"https://h/v1", "a#part?b", "https://h/v1/a"},
        {"https://h/v1", "users/", "https://h/v1/users/"},
        {"https://h/v1", "//evil.com/x", "https://h/v1/evil.com/x"},
        {"https://h", "//evil.com/x", "https://h/evil.com/x"},
        {"https://h/v1", "///x", "https://h/v1/x"},
        {"https://h/v1", "users:batch", "https://h/v1/users:batch"},
        {"https://h/v1", "a/http://x", "https://h/v1/a/http://x"},
        {"https://h/v1", "\\\\evil.com", "https://h/v1/%5C%5Cevil.com"},
        {"https://h:81/v1", "a@b.c", "https://h:81/v1/a@b.c"},
        {"http://[::1]/v1", "x", "http://[::1]/v1/x"},
    }));

    CHECK(joined(base, reference) == expected);
}

TEST_CASE("join: an empty reference is the base itself", "[core][url]")
{
    const std::string base = GENERATE("http://h/", "http://h/?", "http://h/v1/?a=1&", "http://h/v1?&&a=1&a=2", "http://h//");

    CHECK(joined(base, "") == base);
    CHECK(joined(base, "#part") == base);
}

TEST_CASE("join: an absolute URL is taken as it is, without the user of the base", "[core][url]")
{
    const auto url = join(parsed("https://me:secret@h/v1?a=1"), "HTTP://other:81/x?b=2").value();

    CHECK(url.origin().to_string() == "http://other:81");
    CHECK(url.target() == "/x?b=2");
    CHECK(url.user().empty());
    CHECK(url.password().empty());
    CHECK(join(parsed("https://me:secret@h/v1"), "x").value().user().reveal() == "me");
}

TEST_CASE("join: refuses other schemes and half-written ones", "[core][url][hostile]")
{
    const auto reference = GENERATE(as<std::string>{}, "ftp://evil.com", "file:///etc/passwd", "http:/evil.com",
                                    "https:", "HTTP:///x", "ws://x/y", "http://");

    CHECK(joined("https://h/v1", reference) == "invalid_url");
}

TEST_CASE("join: nothing climbs above the base path", "[core][url][hostile]")
{
    const auto [reference, expected] = GENERATE(table<std::string, std::string>({
        {"..", "invalid_url"},
        {"../x", "invalid_url"},
        {"/../x", "invalid_url"},
        {"a/../../x", "invalid_url"},
        {"%2e%2E/x", "invalid_url"},
        {".%2e/x", "invalid_url"},
        {"./../x", "invalid_url"},
        {"a//../../x", "invalid_url"},
        {"a/%2E/../../x", "invalid_url"},
        {"a/../x", "https://h/v1/a/../x"},
        {"a/b/../../x", "https://h/v1/a/b/../../x"},
        {"...", "https://h/v1/..."},
        {"..a/a..", "https://h/v1/..a/a.."},
        {"a?b=../..", "https://h/v1/a?b=../.."},
    }));

    CHECK(joined("https://h/v1", reference) == expected);
}

TEST_CASE("join: encodes exactly once", "[core][url]")
{
    const auto [reference, target] = GENERATE(table<std::string, std::string>({
        {"a b", "/a%20b"},
        {"a%20b", "/a%20b"},
        {"a%2fb%2Fc", "/a%2fb%2Fc"},
        {"100%", "/100%25"},
        {"100%2", "/100%252"},
        {"%zz", "/%25zz"},
        {"%%41", "/%25%41"},
        {"caf\xc3\xa9?q=\xc3\xa9 \"x\"", "/caf%C3%A9?q=%C3%A9%20%22x%22"},
        {"a?x=[1]&y=a+b", "/a?x=%5B1%5D&y=a+b"},
        {"!$&'()*+,;=:@-._~", "/!$&'()*+,;=:@-._~"},
    }));

    CHECK(joined("http://h", reference) == "http://h" + target);
}

TEST_CASE("join: control bytes never get into a request line", "[core][url][hostile]")
{
    using namespace std::string_literals;
    const auto reference =
        GENERATE(as<std::string>{}, "a\r\nX: y", "a\n", "a\0b"s, "a\tb", "a?b=\r", "a\x7f", "\x1f", "a#\n");

    CHECK(joined("http://h", reference) == "invalid_url");
}

TEST_CASE("join: merges the queries, the request wins", "[core][url]")
{
    const auto [base, reference, target] = GENERATE(table<std::string, std::string, std::string>({
        {"http://h/v1?key=k", "a", "/v1/a?key=k"},
        {"http://h/v1?key=k", "a?b=1", "/v1/a?key=k&b=1"},
        {"http://h/v1?key=k&v=2", "a?v=3", "/v1/a?key=k&v=3"},
        {"http://h/v1?a%20b=1&c=2", "?a%20b=3", "/v1?c=2&a%20b=3"},
        {"http://h/v1?v=1&v=2", "?v", "/v1?v"},
        {"http://h/v1?v=1", "?b=1&b=2", "/v1?v=1&b=1&b=2"},
        {"http://h/v1?v=1", "?", "/v1?v=1"},
        {"http://h/v1", "?", "/v1?"},
        {"http://h/v1", "?b=1&a=2&b=3", "/v1?b=1&a=2&b=3"},
    }));

    CHECK(joined(base, reference) == "http://h" + target);
}

TEST_CASE("encode_segment: whatever the text, it stays one segment", "[core][url][hostile]")
{
    using namespace std::string_literals;
    const auto [text, expected] = GENERATE(table<std::string, std::string>({
        {"", ""},
        {"plain-1.2_3~", "plain-1.2_3~"},
        {"a/b", "a%2Fb"},
        {"../../etc", "..%2F..%2Fetc"},
        {".", "%2E"},
        {"..", "%2E%2E"},
        {"...", "..."},
        {"a?b#c", "a%3Fb%23c"},
        {"100%", "100%25"},
        {"%2e", "%252e"},
        {"a b+c", "a%20b%2Bc"},
        {"\r\n\0"s, "%0D%0A%00"},
        {"\xc3\xa9;=&", "%C3%A9%3B%3D%26"},
    }));

    CHECK(encode_segment(text) == expected);
}

TEST_CASE("append_query: keeps order and repeated keys", "[core][url]")
{
    std::string query;
    append_query(query, "q", "a b&c=d");
    append_query(query, "q", "");
    append_query(query, "tag[]", "1+1");

    CHECK(query == "q=a%20b%26c%3Dd&q=&tag%5B%5D=1%2B1");
}

TEST_CASE("append_form: a space is a plus", "[core][url]")
{
    std::string form;
    append_form(form, "a key", "b c+d%20");
    append_form(form, "e", "");

    CHECK(form == "a+key=b+c%2Bd%2520&e=");
}

TEST_CASE("expand_path: puts encoded arguments in their places", "[core][url]")
{
    const auto expand = [](std::string_view pattern, std::vector<std::string> args) {
        return expand_path(pattern, args).value();
    };

    CHECK(expand("/users", {}) == "/users");
    CHECK(expand("/users/{}", {"42"}) == "/users/42");
    CHECK(expand("/a/{}/b/{}", {"x/y", "z?"}) == "/a/x%2Fy/b/z%3F");
    CHECK(expand("/a/{}.json?q={}", {"x", "a&b"}) == "/a/x.json?q=a%26b");
    CHECK(expand("/{{literal}}/{}", {"{}"}) == "/{literal}/%7B%7D");
    CHECK(expand("/a/./b/../{}", {"c"}) == "/a/./b/../c");
    CHECK(expand("/a?x={}", {".."}) == "/a?x=%2E%2E");
}

TEST_CASE("expand_path: another number of arguments is an error that names both", "[core][url]")
{
    const std::vector<std::string> one{"1"};
    const auto error = expand_path("/a/{}/b/{}", one).error();

    CHECK(error.kind() == ErrorKind::invalid_argument);
    CHECK_THAT(error.message(), khive_tests::contains("2 {} and 1 arguments"));
    CHECK_THAT(expand_path("/a", one).error().message(), khive_tests::contains("0 {} and 1 arguments"));
}

TEST_CASE("expand_path: a brace alone is an error", "[core][url]")
{
    const auto pattern = GENERATE(as<std::string>{}, "/a/{", "/a/}", "/a/{id}", "/a/{0}", "/a/}{");
    const std::vector<std::string> one{"1"};

    CHECK(expand_path(pattern, one).error().kind() == ErrorKind::invalid_argument);
}

TEST_CASE("expand_path: no argument becomes a step in the path", "[core][url][hostile]")
{
    const auto [pattern, arg] = GENERATE(table<std::string, std::string>(
        {{"/users/{}", ".."}, {"/users/{}/x", "."}, {"/users/.{}", "."}, {"/users/{}#part", ".."}, {"/users/.{}?x", "."}}));
    const std::vector<std::string> args{arg};

    CHECK(expand_path(pattern, args).error().kind() == ErrorKind::invalid_argument);
}

} // namespace khive_tests::url_test

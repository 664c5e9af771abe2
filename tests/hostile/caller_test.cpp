// SPDX-License-Identifier: BSL-1.0
// What a program hands in that it got from somebody else: refused with its error before anything is connected, or sent as the one
// request that was meant.
#include "hostile/hostile.hpp"

#include <khive/client/detail/basic_auth.hpp>

#include <cstddef>
#include <limits>

namespace khive_tests::caller_test {

using namespace std::string_literals;

namespace {

constexpr auto argument = ErrorKind::invalid_argument;
constexpr auto bad_url = ErrorKind::invalid_url;
constexpr auto configuration = ErrorKind::configuration;

struct Refusal {
    std::string name;
    Request request;
    ErrorKind kind;
};

/// Each is refused, and the server has been left alone.
void check_refusals(const std::vector<Refusal>& refusals)
{
    FaultServer server;
    asio::io_context io;
    const AsyncAPIClient api{io, ClientOptions(server.url() + "/v1").only_base_origin(true)};
    for (const Refusal& refusal : refusals) {
        INFO("row: " << refusal.name);
        const auto result = run(io, api.try_call(refusal.request));
        CHECK(fate_of(result, api) == refused(refusal.kind));
        REQUIRE(result.has_error());
        const Error error = result.error();
        CHECK_FALSE(error.retryable());
        CHECK_FALSE(error.maybe_processed());
        CHECK(error.message().find_first_of("\r\n\0"s) == std::string::npos);
        CHECK(api.connections().open() == 0);
    }
    CHECK(server.connections() == 0);
}

/// What the server gets of one request.
ReceivedRequest received(FaultServer& server, const ClientOptions& options, const Request& request)
{
    asio::io_context io;
    const AsyncAPIClient api{io, options};
    const std::size_t before = server.request_count();
    const auto result = run(io, api.try_call(request));
    REQUIRE(result.has_value());
    REQUIRE(server.request_count() == before + 1);
    return server.requests().back();
}

} // namespace

TEST_CASE("Hostile: a method that is no token is refused", "[hostile][caller]")
{
    std::vector<Refusal> refusals;
    for (const auto& method : {""s,
                               " "s,
                               "GET "s,
                               " GET"s,
                               "GE T"s,
                               "GET\t"s,
                               "GET\r"s,
                               "GET\n"s,
                               "GET\0"s,
                               "G\0ET"s,
                               "\0"s,
                               "GET\x7f"s,
                               "GET\x01"s,
                               "G\xc3\x8bT"s,
                               "GET/"s,
                               "GET:"s,
                               "(GET)"s,
                               "\"GET\""s,
                               "GET,POST"s,
                               "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\nGET"s,
                               "GET /admin HTTP/1.1\r\nX:"s})
        refusals.push_back({escape_untrusted(method), Request(method, "/"), argument});
    check_refusals(refusals);
}

TEST_CASE("Hostile: a method is refused also where its bytes begin the head of the request before", "[hostile][caller]")
{
    FaultServer server;
    asio::io_context io;
    const AsyncAPIClient api{io, server.url()};
    const auto host = "127.0.0.1:" + std::to_string(server.port());
    REQUIRE(run(io, api.get("/a").try_send()).has_value());

    for (const auto& method :
         {"GET /a"s, "GET /a HTTP/1.1\r\nHost:"s, "GET /a HTTP/1.1\r\nHost: " + host + "\r\nUser-Agent:"}) {
        INFO("row: " << escape_untrusted(method));
        CHECK(kind_of(run(io, api.request(method, "/a").try_send())) == argument);
        REQUIRE(run(io, api.get("/a").try_send()).has_value());
    }
    CHECK(server.request_count() == 4);
}

TEST_CASE("Hostile: a path with control bytes, or above its base, is refused", "[hostile][caller]")
{
    std::vector<Refusal> refusals;
    for (const auto& path : {"/\r\nX: y"s,     "/a\r"s,    "/a\n"s,        "/a\0"s,
                             "/\0/a"s,         "/a\tb"s,   "/a\x7f"s,      "/a\x1b[2J"s,
                             "/a?b=\r\nX: y"s, "/a?b\n"s,  "/a#\r\n"s,     "/ HTTP/1.1\r\nHost: evil.test\r\n\r\nGET /"s,
                             "/.."s,           "/../x"s,   "../x"s,        "/a/../../x"s,
                             "/%2e%2e/x"s,     "/.%2E/x"s, "/a//../../x"s, "/./../x"s})
        refusals.push_back({escape_untrusted(path), Request("GET", path), bad_url});
    refusals.push_back({"an argument that is a step", Request("GET", "/{}/x", ".."), argument});
    refusals.push_back({"an argument that is half a step", Request("GET", "/.{}/x", "."), argument});
    refusals.push_back({"arguments that are a step together", Request("GET", "/{}{}/x", ".", "."), argument});
    refusals.push_back({"an argument that stays", Request("GET", "/{}/x", "."), argument});
    refusals.push_back({"an argument too few", Request("GET", "/{}/{}", "a"), argument});
    refusals.push_back({"an argument too many", Request("GET", "/{}", "a", "b"), argument});
    refusals.push_back({"a brace alone", Request("GET", "/{/{}", "a"), argument});
    check_refusals(refusals);
}

TEST_CASE("Hostile: a URL that two parsers could read in two ways is refused, and so is one of another origin",
          "[hostile][caller]")
{
    std::vector<Refusal> refusals;
    for (const auto& url :
         {"ftp://127.0.0.1/"s, "file:///etc/passwd"s, "gopher://127.0.0.1/"s, "ws://127.0.0.1/"s, "http:/127.0.0.1/"s,
          "http:"s, "http://"s, "http:///x"s, "http://:80/"s, "http://user@/"s, "http://127.0.0.1:0/"s,
          "http://127.0.0.1:65536/"s, "http://127.0.0.1:65617/"s, "http://127.0.0.1:4294967376/"s, "http://127.0.0.1:-1/"s,
          "http://127.0.0.1:+80/"s, "http://127.0.0.1:80:80/"s, "http://127.0.0.1:0x50/"s, "http://127.0.0.1:\xd9\xa8/"s,
          "http://127.1/"s, "http://2130706433/"s, "http://0x7f.1/"s, "http://0177.0.0.1/"s, "http://127.0.0.1./"s,
          "http://[::1"s, "http://[::1]x/"s, "http://[::1%25lo]/"s, "http://[127.0.0.1]/"s, "http://::1/"s,
          "http://loc%61lhost/"s, "http://localhost%00.evil.test/"s, "http://localhost%0d%0a/"s, "http://localhost%2f/"s,
          "http://localhost\\@evil.test/"s, "http://localhost\\.evil.test/"s, "http://a@b@c/"s,
          "http://localhost\0.evil.test/"s, "http://local host/"s, "http://localhost /"s, "http://localhost\t/"s,
          "http://localhost\r\nHost: evil.test/"s, "http://localhost/\r\nX: y"s, "http://localhost/a b"s,
          "http://localhost/\x7f"s, "http://local\xc2\xadhost/"s, "http://\xef\xbd\x8c\xef\xbd\x8f/"s,
          "http://localhost\xe3\x80\x82/"s, "http://..localhost/"s, "http://localhost../"s,
          // Of another origin, however much of the base's is in them.
          "http://evil.test/"s, "http://127.0.0.1@evil.test/"s, "http://127.0.0.1:80@evil.test/"s,
          "http://evil.test#@127.0.0.1/"s, "http://evil.test?@127.0.0.1/"s, "http://127.0.0.1.evil.test/"s,
          "https://127.0.0.1/"s, "http://127.0.0.1/"s, "HTTP://EVIL.test/"s})
        refusals.push_back({escape_untrusted(url), Request("GET", url), bad_url});
    check_refusals(refusals);
}

TEST_CASE("Hostile: a header that would break the request apart is refused", "[hostile][caller]")
{
    std::vector<Refusal> refusals;
    for (const auto& name : {""s, " "s, "X Y"s, " X"s, "X "s, "X:"s, "X\r\n"s, "X\n"s, "X\0"s, "X\t"s, "X\x7f"s,
                             "X\xc3\xa9"s, "(X)"s, "X/Y"s, "X: y\r\nZ"s, "\"X\""s})
        refusals.push_back({"name " + escape_untrusted(name), Request("GET", "/").header(name, "x"), argument});
    for (const auto& value : {"a\r\nX-B: c"s, "a\nX-B: c"s, "a\rX-B: c"s, "a\0b"s, "\0"s, "a\r\n b"s,
                              "a\r\n\r\nGET /admin HTTP/1.1"s, "a\x0b"s, "a\x01"s, "a\x1b[2J"s, "a\x7f"s, "\r"s, "\n"s})
        for (const auto& name : {"X-A"s, "Host"s, "Authorization"s, "User-Agent"s, "Content-Type"s, "Accept"s})
            refusals.push_back({name + ": " + escape_untrusted(value), Request("GET", "/").header(name, value), argument});
    refusals.push_back({"bearer", Request("GET", "/").bearer(Secret("a\r\nX: y")), argument});
    refusals.push_back({"idempotency key", Request("POST", "/").idempotency_key("a\r\nX: y"), argument});
    refusals.push_back({"content type", Request("POST", "/").body("x", "text/plain\r\nX: y"), argument});
    refusals.push_back({"content type with NUL", Request("POST", "/").body("x", "text/plain\0"s), argument});
    refusals.push_back({"an empty Host", Request("GET", "/").header("Host", ""), argument});
    refusals.push_back({"a Host with a space", Request("GET", "/").header("Host", "a b"), argument});
    refusals.push_back({"a Host beyond ASCII", Request("GET", "/").header("Host", "\xc3\xa9"), argument});
    check_refusals(refusals);
}

TEST_CASE("Hostile: framing is not the caller's to set", "[hostile][caller]")
{
    std::vector<Refusal> refusals;
    for (const auto& [name, value] :
         std::vector<std::pair<std::string, std::string>>{{"Transfer-Encoding", "chunked"},
                                                          {"TRANSFER-ENCODING", "identity"},
                                                          {"Transfer-Encoding", ""},
                                                          {"Content-Length", "4"},
                                                          {"Content-Length", "6"},
                                                          {"Content-Length", "5, 5"},
                                                          {"Content-Length", "+5"},
                                                          {"Content-Length", "05"},
                                                          {"content-length", ""},
                                                          {"Connection", "upgrade"},
                                                          {"Connection", "close, content-length"},
                                                          {"Upgrade", "h2c"},
                                                          {"TE", "trailers"},
                                                          {"Trailer", "X"}})
        refusals.push_back({name + ": " + value, Request("POST", "/").body("hello").header(name, value), argument});
    refusals.push_back({"a length without a body", Request("GET", "/").header("Content-Length", "5"), argument});
    refusals.push_back({"a length of zero without a body", Request("GET", "/").header("Content-Length", "0"), argument});
    check_refusals(refusals);

    FaultServer server;
    asio::io_context io;
    for (const auto& name : {"Transfer-Encoding", "Content-Length", "Upgrade", "TE"})
        CHECK_THROWS_AS((AsyncAPIClient{io, ClientOptions(server.url()).header(name, "5")}), InvalidArgumentError);
    CHECK_THROWS_AS((AsyncAPIClient{io, ClientOptions(server.url()).header("Host", "a b")}), InvalidArgumentError);
    CHECK_THROWS_AS((AsyncAPIClient{io, ClientOptions(server.url()).header("Connection", "upgrade")}), InvalidArgumentError);
    CHECK(server.connections() == 0);

    const auto got =
        received(server, ClientOptions(server.url()).header("host", "a.test"), Request("GET", "/").header("HOST", "b.test"));
    CHECK(got.headers.count("Host") == 1);
    CHECK(got.headers.get("Host") == "b.test");
}

TEST_CASE("Hostile: settings that contradict each other are refused", "[hostile][caller]")
{
    check_refusals({
        {"no time", Request("GET", "/").timeout(0s), configuration},
        {"less than no time", Request("GET", "/").timeout(-1h), configuration},
        {"the least time there is", Request("GET", "/").timeout(Duration::min()), configuration},
        {"no time for an attempt", Request("GET", "/").attempt_timeout(0s), configuration},
        {"an attempt longer than all", Request("GET", "/").timeout(1s).attempt_timeout(2s), configuration},
        {"an attempt longer than the client's total", Request("GET", "/").attempt_timeout(1h), configuration},
        {"a stage without time", Request("GET", "/").timeouts({.first_byte = 0s}), configuration},
        {"a stage longer than all", Request("GET", "/").timeouts({.connect = 20s, .total = 10s}), configuration},
    });
}

TEST_CASE("Hostile: a cost that is no amount is refused", "[hostile][caller]")
{
    FaultServer server;
    asio::io_context io;
    const AsyncAPIClient api{io, server.url(), TokenBucketRateLimiter{{.rate = 10, .burst = 5}}};
    for (const double cost :
         {0.0, -1.0, 6.0, 1e308, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
        INFO("row: " << cost);
        CHECK(kind_of(run(io, api.get("/").cost(cost).try_send())) == argument);
    }
    CHECK(server.connections() == 0);
}

TEST_CASE("Hostile: limits of nothing refuse answers and do not hang", "[hostile][caller]")
{
    FaultServer server;
    const auto [limits, reply, expected] = GENERATE(table<ReaderLimits, Reply, Fate>({
        {{.max_header_bytes = 0}, ok(), refused(ErrorKind::header_too_large)},
        {{.max_header_bytes = 1}, ok(), refused(ErrorKind::header_too_large)},
        {{.max_header_count = 0}, ok(), refused(ErrorKind::header_too_large)},
        {{.max_body_bytes = 0}, ok("x"), refused(ErrorKind::body_too_large)},
        {{.max_body_bytes = 0}, ok("x").until_close(), refused(ErrorKind::body_too_large)},
        {{.max_body_bytes = 0}, ok("x").chunked(), refused(ErrorKind::body_too_large)},
        {{.max_body_bytes = 0}, ok(), accepted()},
        {{.max_interim = 0}, ok().preceded_by("HTTP/1.1 100 Continue\r\n\r\n"), refused(ErrorKind::protocol)},
        {{.max_extension_bytes = 0}, chunks("1;x\r\nx\r\n0\r\n\r\n"), refused(ErrorKind::protocol)},
        {{.max_trailer_bytes = 0}, chunks("0\r\nT: x\r\n\r\n"), refused(ErrorKind::header_too_large)},
    }));
    server.reply(reply);
    asio::io_context io;
    const AsyncAPIClient api{io, ClientOptions(server.url()).limits(limits).timeouts({.total = 20s})};

    CHECK(fate_of(run(io, api.get("/").try_send()), api) == expected);
}

TEST_CASE("Hostile: text in the places for text arrives as that text and nothing else", "[hostile][caller]")
{
    FaultServer server;
    const ClientOptions options(server.url() + "/v1");
    const std::string evil = "a\r\nX: y\0&b=c#d/../%2e?\xff"s;
    const std::string escaped = "a%0D%0AX%3A%20y%00%26b%3Dc%23d%2F..%2F%252e%3F%FF";

    CHECK(received(server, options, Request("GET", "/{}/x", evil)).target == "/v1/" + escaped + "/x");
    CHECK(received(server, options, Request("GET", "/x").query("k", evil)).target == "/v1/x?k=" + escaped);
    CHECK(received(server, options, Request("GET", "/x").query(evil, 1)).target == "/v1/x?" + escaped + "=1");
    CHECK(received(server, options, Request("GET", "/x#part").query("k", 1)).target == "/v1/x?k=1");
    CHECK(received(server, options, Request("GET", "//evil.test/x")).target == "/v1/evil.test/x");
    CHECK(received(server, options, Request("GET", "\\\\evil.test\\x")).target == "/v1/%5C%5Cevil.test%5Cx");
    CHECK(received(server, options, Request("GET", "@evil.test/x")).target == "/v1/@evil.test/x");
    CHECK(received(server, options, Request("GET", ":80@evil.test/x")).target == "/v1/:80@evil.test/x");
    CHECK(received(server, options, Request("GET", "/a%0d%0aX:y")).target == "/v1/a%0d%0aX:y");
    CHECK(received(server, options, Request("GET", "/a\xc2\xa0\xe2\x80\xa8")).target == "/v1/a%C2%A0%E2%80%A8");

    const auto form = received(server, options, Request("POST", "/x").form("k", evil));
    CHECK(form.body == "k=a%0D%0AX%3A+y%00%26b%3Dc%23d%2F..%2F%252e%3F%FF");
    const auto body = received(server, options, Request("POST", "/x").body(evil + "\r\n\r\nGET /admin HTTP/1.1\r\n\r\n"));
    CHECK(body.body == evil + "\r\n\r\nGET /admin HTTP/1.1\r\n\r\n");
    CHECK(server.errors().empty());
}

TEST_CASE("Hostile: user, password and fragment of a URL go where they belong", "[hostile][caller]")
{
    FaultServer server;
    const std::string host = "127.0.0.1:" + std::to_string(server.port());
    const auto request = received(server, ClientOptions("http://127.0.0.1:1"),
                                  Request("GET", "http://me%0d%0a:hunter2%40@" + host + "/x?a=b#hunter2"));

    CHECK(request.headers.get("Host") == host);
    CHECK(request.target == "/x?a=b");
    CHECK(request.headers.get("Authorization") == khive::detail::basic_credentials("me\r\n", Secret("hunter2@")));
    CHECK_FALSE(request.headers.contains("Referer"));
    CHECK(request.headers.lines().find("hunter2") == std::string::npos);
}

TEST_CASE("Hostile: large input is sent whole or refused, in linear time", "[hostile][caller]")
{
    FaultServer server;
    const ClientOptions options(server.url());
    const std::string large(1u << 20, 'x');

    CHECK(received(server, options, Request("GET", "/" + large)).target == "/" + large);
    CHECK(received(server, options, Request("GET", "/{}", large)).target == "/" + large);
    CHECK(received(server, options, Request("GET", "/").query("k", large)).target == "/?k=" + large);
    CHECK(received(server, options, Request("GET", "/").header("X", large)).headers.get("X") == large);
    CHECK(received(server, options, Request(large, "/")).method == large);
    CHECK(received(server, options, Request("GET", "/").bearer(Secret(large))).headers.get("Authorization") ==
          "Bearer " + large);
    CHECK(received(server, options, Request("POST", "/").form("k", std::string(1u << 20, ' '))).body ==
          "k=" + std::string(1u << 20, '+'));

    check_refusals({
        {"a large name of no header", Request("GET", "/").header(large + ' ', "x"), argument},
        {"a large method of none", Request(large + ' ', "/"), argument},
        {"a large host", Request("GET", "http://" + large + "/"), bad_url},
        {"many dots", Request("GET", "http://a" + std::string(1u << 20, '.') + "/"), bad_url},
        {"many steps up", Request("GET", repeated("../", 100'000)), bad_url},
        {"many users", Request("GET", "http://" + std::string(1u << 20, '@') + "/"), bad_url},
        {"a long port", Request("GET", "http://127.0.0.1:" + std::string(1u << 20, '0') + "80/"), bad_url},
        {"many braces", Request("GET", repeated("{}", 100'000), 1), argument},
    });
}

} // namespace khive_tests::caller_test

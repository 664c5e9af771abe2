// SPDX-License-Identifier: BSL-1.0
// What goes into a request: credentials, headers, path and query, a form, a key that makes it safe to repeat. And a word on what
// is repeated.

#include <khive/khive.hpp>
#include <khive/testing/fault_server.hpp>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <exception>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>

namespace asio = boost::asio;
namespace testing = khive::testing;
using namespace std::chrono_literals;

namespace {

void expect(bool good, const char* what)
{
    std::cout << what << '\n';
    if (!good) throw std::logic_error(what);
}

asio::awaitable<void> requests(khive::AnyAPIClient api, testing::FaultServer* server)
{
    // What stands for `{}` and what goes into a query is encoded: it cannot change the rest of the URL.
    const std::optional<std::string> cursor;
    co_await api.get("/files/{}/pages/{}", "a/b", 3).query("q", "tea & cake").query("after", cursor).send();
    expect(server->requests().back().target == "/files/a%2Fb/pages/3?q=tea%20%26%20cake", "path and query are encoded");

    // The client's credentials and headers go with each request to its base URL; a request may have others.
    co_await api.get("/me").send();
    khive::Headers sent = server->requests().back().headers;
    expect(sent.get("Authorization") == "Bearer t0ken" && sent.get("X-Tenant") == "north", "the client's headers");
    co_await api.get("/me").bearer(khive::Secret("another")).header("X-Tenant", "south").send();
    sent = server->requests().back().headers;
    expect(sent.get("Authorization") == "Bearer another" && sent.get("X-Tenant") == "south", "the request's headers");

    // A request that is put together in several steps has a name.
    auto post = api.post("/notes");
    post.form("title", "tea");
    post.form("tag", "a=b");
    co_await post.send();
    expect(server->requests().back().body == "title=tea&tag=a%3Db", "a form");
    expect(server->requests().back().headers.get("Content-Type") == "application/x-www-form-urlencoded", "and its type");

    // A server may have acted on a POST before it answers 503. By the key it knows the second for the first, so there is one.
    server->reply(testing::status(503)).reply(testing::status(201));
    const auto paid = co_await api.post("/payments").idempotency_key("order-7").body("pay 5", "text/plain").send();
    expect(paid.ledger().size() == 2, "repeated with the same key");
    for (const auto& request : server->requests())
        if (request.path() == "/payments") expect(request.headers.get("Idempotency-Key") == "order-7", "order-7");
}

asio::awaitable<void> locked(khive::AnyAPIClient api, testing::FaultServer* server)
{
    server->reply(testing::status(423)).reply(testing::ok());
    const auto answer = co_await api.get("/door").send();
    expect(answer.ledger().size() == 2, "423 is repeated too");
    expect(server->requests().back().headers.get("Authorization") == "Basic YW5uOm9wZW4=", "as ann");
}

} // namespace

int main()
{
    testing::FaultServer server;
    asio::io_context io;
    const auto rethrow = [](std::exception_ptr error) {
        if (error) std::rethrow_exception(error);
    };
    const khive::RetryWithBackoff retry{{.base_delay = 1ms}};

    khive::ClientOptions token(server.url());
    token.bearer(khive::Secret("t0ken")).header("X-Tenant", "north");
    asio::co_spawn(io, requests(khive::AsyncAPIClient(io, token, retry), &server), rethrow);
    io.run();

    // Whether a failure is worth another attempt is for `retry_if` to say; here what is by default, and 423.
    khive::ClientOptions password(server.url());
    password.basic_auth("ann", khive::Secret("open"));
    const auto also_locked = retry.retry_if(
        [](const khive::Failure& failure) { return failure.outcome().retryable || failure.error().status() == 423; });
    io.restart();
    asio::co_spawn(io, locked(khive::AsyncAPIClient(io, password, also_locked), &server), rethrow);
    io.run();
}

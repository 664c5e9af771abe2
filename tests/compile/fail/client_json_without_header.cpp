// SPDX-License-Identifier: BSL-1.0
// The umbrella has no JSON, and says what to include.
// expect: as<T>() needs #include <khive/client/json.hpp>
#include <khive/khive.hpp>

struct User {};

boost::asio::awaitable<User> get(khive::AnyAPIClient api)
{
    co_return co_await api.get("/").as<User>();
}

// SPDX-License-Identifier: BSL-1.0
//
// One HTTPS GET with cpp-httplib as Debian splits it, header and library, to be compiled, not run.

#define CPPHTTPLIB_OPENSSL_SUPPORT
#include <httplib.h>

#include <iostream>

int main()
{
    httplib::Client client("https://example.com");
    if (const auto response = client.Get("/")) std::cout << response->status << ' ' << response->body.size() << '\n';
}

// SPDX-License-Identifier: BSL-1.0
//
// cpp-httplib in the race: it blocks, so every call in flight has a thread and a client of its own.

#define CPPHTTPLIB_OPENSSL_SUPPORT
#include "runner.hpp"

#include <httplib.h>

#include <mutex>
#include <thread>
#include <vector>

namespace {

std::mutex mutex; // of the run

void get(race::Run& run)
{
    const auto& to = run.arguments;
    httplib::Client client((to.tls ? "https://" : "http://") + to.host + ":" + to.port);
    client.set_keep_alive(true);
    client.set_tcp_nodelay(true);
    client.set_ca_cert_path(to.ca_file);
    client.set_read_timeout(30);
    for (;;) {
        {
            const std::lock_guard lock(mutex);
            if (!run.take()) return;
        }
        const auto answer = client.Get(to.path);
        const std::lock_guard lock(mutex);
        run.answered(answer ? answer->status : 0, answer ? std::string_view(answer->body) : std::string_view());
    }
}

} // namespace

int main(int argc, char** argv)
{
    race::Run run(argc, argv);
    std::vector<std::thread> threads;
    for (int i = 0; i < run.arguments.connections; ++i) threads.emplace_back(get, std::ref(run));
    for (auto& thread : threads) thread.join();
    run.report("cpp_httplib");
}

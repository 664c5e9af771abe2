// SPDX-License-Identifier: BSL-1.0
//
// libcurl in the race: its multi interface over epoll, one easy handle a call in flight, used again for the next call.

#include "runner.hpp"

#include <curl/curl.h>

#include <sys/epoll.h>

#include <array>
#include <csignal>

namespace {

struct Call {
    CURL* easy = nullptr;
    std::string body;
};

class Client {
public:
    explicit Client(race::Run& run) : run_(run)
    {
        curl_multi_setopt(multi_, CURLMOPT_SOCKETFUNCTION, on_socket);
        curl_multi_setopt(multi_, CURLMOPT_SOCKETDATA, this);
        curl_multi_setopt(multi_, CURLMOPT_TIMERFUNCTION, on_timer);
        curl_multi_setopt(multi_, CURLMOPT_TIMERDATA, this);
        curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(run.arguments.connections));
        for (int i = 0; i < run.arguments.connections; ++i)
            if (run.take()) start(*new Call);
    }

    void run()
    {
        std::array<epoll_event, 512> events{};
        int running = 0;
        while (!run_.finished()) {
            const int ready =
                ::epoll_wait(poller_, events.data(), static_cast<int>(events.size()), static_cast<int>(timeout_));
            if (ready == 0) curl_multi_socket_action(multi_, CURL_SOCKET_TIMEOUT, 0, &running);
            for (int i = 0; i < ready; ++i) {
                const auto& event = events[static_cast<std::size_t>(i)];
                const int what =
                    (event.events & EPOLLOUT ? CURL_CSELECT_OUT : 0) | (event.events & ~EPOLLOUT ? CURL_CSELECT_IN : 0);
                curl_multi_socket_action(multi_, event.data.fd, what, &running);
            }
            finish_calls();
        }
    }

private:
    void start(Call& call)
    {
        call.easy = curl_easy_init();
        curl_easy_setopt(call.easy, CURLOPT_URL, run_.arguments.url.c_str());
        curl_easy_setopt(call.easy, CURLOPT_CAINFO, run_.arguments.ca_file.c_str());
        curl_easy_setopt(call.easy, CURLOPT_USERAGENT, "curl");
        curl_easy_setopt(call.easy, CURLOPT_TIMEOUT_MS, 30000L);
        curl_easy_setopt(call.easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(call.easy, CURLOPT_PRIVATE, &call);
        curl_easy_setopt(call.easy, CURLOPT_WRITEDATA, &call.body);
        curl_easy_setopt(
            call.easy, CURLOPT_WRITEFUNCTION, +[](char* data, std::size_t, std::size_t size, std::string* body) {
                body->append(data, size);
                return size;
            });
        curl_multi_add_handle(multi_, call.easy);
    }

    void finish_calls()
    {
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
            CURL* const easy = message->easy_handle;
            const bool done = message->data.result == CURLE_OK;
            Call* call = nullptr;
            long status = 0;
            curl_easy_getinfo(easy, CURLINFO_PRIVATE, &call);
            curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
            run_.answered(done ? static_cast<int>(status) : 0, call->body);
            call->body = {};
            curl_multi_remove_handle(multi_, easy);
            if (run_.take()) curl_multi_add_handle(multi_, easy);
        }
    }

    static int on_socket(CURL*, curl_socket_t fd, int what, Client* self, void* known)
    {
        epoll_event event{};
        event.data.fd = fd;
        event.events = (what & CURL_POLL_IN ? unsigned{EPOLLIN} : 0u) | (what & CURL_POLL_OUT ? unsigned{EPOLLOUT} : 0u);
        const int action = what == CURL_POLL_REMOVE ? EPOLL_CTL_DEL : known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
        ::epoll_ctl(self->poller_, action, fd, &event);
        curl_multi_assign(self->multi_, fd, what == CURL_POLL_REMOVE ? nullptr : self);
        return 0;
    }

    static int on_timer(CURLM*, long milliseconds, Client* self)
    {
        self->timeout_ = milliseconds;
        return 0;
    }

    race::Run& run_;
    CURLM* multi_ = curl_multi_init();
    int poller_ = ::epoll_create1(0);
    long timeout_ = -1;
};

} // namespace

int main(int argc, char** argv)
{
    std::signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_ALL);
    race::Run run(argc, argv);
    Client(run).run();
    run.report("curl_multi");
}

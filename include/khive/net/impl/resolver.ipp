// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/post.hpp>
#include <khive/core/owned.hpp>
#include <khive/core/yield_point.hpp>
#include <khive/net/wire.hpp>

#include <boost/asio/detail/concurrency_hint.hpp>
#include <boost/asio/detail/scheduler.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>
#include <boost/system/system_error.hpp>

#include <netdb.h>
#include <pthread.h>

#include <cerrno>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <utility>

namespace khive::inline KHIVE_ABI::net::detail {

/// Asks the system's resolver, which blocks, in a thread of its own: one of each context that looks something up.
///
/// As that of Asio does, down to its errors, and to its refusal where a context is not to be used by several threads. That one
/// costs a program that includes this four hundred functions.
class Resolver final : public asio::execution_context::service {
public:
    inline static asio::execution_context::id id;

    explicit Resolver(asio::execution_context& context) : asio::execution_context::service(context) {}

    KHIVE_COLD_DECL static void look_up(const asio::any_io_executor& executor, const std::string& host, std::uint16_t port,
                                        ListenerPtr listener)
    {
        Owned<Question> question(new Question(executor, host, port, std::move(listener)));
        const async::Home* const home = async::home_of(executor);
        if (home != nullptr && !BOOST_ASIO_CONCURRENCY_HINT_IS_LOCKING(SCHEDULER, home->concurrency_hint())) {
            question->error = asio::error::operation_not_supported;
            question->tell();
        } else {
            asio::use_service<Resolver>(asio::query(executor, asio::execution::context)).ask(*question);
        }
        (void)question.release();
    }

private:
    /// One look-up. The executor has work until it is told.
    struct Question final : async::PostedTask {
        Question(const asio::any_io_executor& on, const std::string& name, std::uint16_t number, ListenerPtr whom)
            : executor(asio::prefer(on, asio::execution::outstanding_work.tracked)),
              host(name),
              port(number),
              listener(std::move(whom))
        {}

        KHIVE_COLD_DECL void answer() noexcept
        {
            ::addrinfo hints{};
            hints.ai_flags = AI_NUMERICSERV;
            hints.ai_socktype = SOCK_STREAM;
            hints.ai_protocol = IPPROTO_TCP;
            ::addrinfo* first = nullptr;
            errno = 0;
            try {
                error = to_error(::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &first));
                for (const auto* each = first; each != nullptr; each = each->ai_next) add(*each);
            } catch (const std::bad_alloc&) {
                error = make_error_code(boost::system::errc::not_enough_memory);
            }
            if (first != nullptr) ::freeaddrinfo(first);
        }
        /// It owns itself then.
        KHIVE_COLD_DECL void tell()
        {
            const asio::any_io_executor where = std::move(executor);
            async::post(where, *this);
        }

        asio::any_io_executor executor;
        std::string host;
        std::uint16_t port;
        ListenerPtr listener;
        boost::system::error_code error;
        Endpoints found;
        Question* next = nullptr; ///< in the queue

    private:
        KHIVE_COLD_DECL void add(const ::addrinfo& address)
        {
            if (address.ai_family == AF_INET || address.ai_family == AF_INET6) found.push_back(Endpoint(*address.ai_addr));
        }
        /// Of what `getaddrinfo` returns.
        static boost::system::error_code to_error(int code) noexcept
        {
            switch (code) {
            case 0: return {};
            case EAI_AGAIN: return asio::error::host_not_found_try_again;
            case EAI_BADFLAGS: return asio::error::invalid_argument;
            case EAI_FAIL: return asio::error::no_recovery;
            case EAI_FAMILY: return asio::error::address_family_not_supported;
            case EAI_MEMORY: return asio::error::no_memory;
            case EAI_NONAME:
#if defined(EAI_ADDRFAMILY)
            case EAI_ADDRFAMILY:
#endif
#if defined(EAI_NODATA) && EAI_NODATA != EAI_NONAME
            case EAI_NODATA:
#endif
                return asio::error::host_not_found;
            case EAI_SERVICE: return asio::error::service_not_found;
            case EAI_SOCKTYPE: return asio::error::socket_type_not_supported;
            default: return {errno, boost::system::system_category()};
            }
        }
        void run() override
        {
            const Owned<Question> self(this);
            listener->on_resolved(error, std::move(found));
        }
        void abandon() noexcept override { delete this; }
    };

    /// Owns it then.
    KHIVE_COLD_DECL void ask(Question& question)
    {
        const std::lock_guard lock(mutex_);
        start();
        *last_ = &question;
        last_ = &question.next;
        ::pthread_cond_signal(&asked_);
    }

    KHIVE_COLD_DECL void start()
    {
        if (runs_) return;
        const int error = ::pthread_create(&thread_, nullptr, &Resolver::work, this);
        if (error != 0) throw boost::system::system_error(error, boost::system::system_category(), "resolver");
        runs_ = true;
    }

    /// Waits for the question that it is at; what else was asked is kept.
    KHIVE_COLD_DECL void stop() noexcept
    {
        {
            const std::lock_guard lock(mutex_);
            if (!runs_) return;
            stopping_ = true;
        }
        ::pthread_cond_signal(&asked_);
        ::pthread_join(thread_, nullptr);
        runs_ = stopping_ = false;
    }

    static void* work(void* self) noexcept
    {
        while (Question* const question = static_cast<Resolver*>(self)->next()) {
            question->answer();
            KHIVE_YIELD_POINT();
            try {
                question->tell();
            } catch (...) { // an executor of a kind of its own, without memory: the listener has a deadline
                delete question;
            }
        }
        return nullptr;
    }

    /// The next that is asked; null to stop.
    Question* next()
    {
        const std::lock_guard lock(mutex_);
        while (first_ == nullptr && !stopping_) ::pthread_cond_wait(&asked_, mutex_.native_handle());
        return stopping_ ? nullptr : take();
    }

    Question* take() noexcept
    {
        Question* const question = std::exchange(first_, first_->next);
        if (first_ == nullptr) last_ = &first_;
        return question;
    }

    void shutdown() noexcept override
    {
        stop();
        while (first_ != nullptr) delete take();
    }

    void notify_fork(asio::execution_context::fork_event event) override
    {
        if (event == asio::execution_context::fork_prepare) return stop();
        const std::lock_guard lock(mutex_);
        if (first_ != nullptr) start();
    }

    std::mutex mutex_;
    ::pthread_cond_t asked_ = PTHREAD_COND_INITIALIZER; ///< `<condition_variable>` is 5 MB of the compiler's memory
    Question* first_ = nullptr;
    Question** last_ = &first_;
    ::pthread_t thread_{};
    bool runs_ = false;
    bool stopping_ = false;
};

} // namespace khive::inline KHIVE_ABI::net::detail

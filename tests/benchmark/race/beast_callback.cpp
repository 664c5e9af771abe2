// SPDX-License-Identifier: BSL-1.0
//
// Boost.Beast with callbacks, as its examples have it: a session object that keeps itself alive from step to step.

#include "beast.hpp"

#include <memory>

template <class Stream>
class Session : public std::enable_shared_from_this<Session<Stream>> {
public:
    Session(race::Run& run, Target& target) : run_(run), target_(target) {}

    void next()
    {
        if (!run_.take()) return connection_.close();
        if (connection_) return write();
        connection_.reset(target_);
        connection_.tcp().expires_after(std::chrono::seconds(5));
        connection_.tcp().async_connect(target_.endpoint,
                                        beast::bind_front_handler(&Session::on_connect, this->shared_from_this()));
    }

private:
    void on_connect(beast::error_code error)
    {
        if (error) return fail();
        connection_.tcp().socket().set_option(asio::ip::tcp::no_delay(true));
        if constexpr (is_tls<Stream>)
            connection_.stream->async_handshake(ssl::stream_base::client,
                                                beast::bind_front_handler(&Session::on_handshake, this->shared_from_this()));
        else
            write();
    }

    void on_handshake(beast::error_code error)
    {
        if (error) return fail();
        write();
    }

    void write()
    {
        request_ = {http::verb::get, run_.arguments.path, 11};
        request_.set(http::field::host, target_.host);
        request_.set(http::field::user_agent, "naive");
        request_.set(http::field::accept, "*/*");
        connection_.tcp().expires_after(std::chrono::seconds(30));
        http::async_write(*connection_.stream, request_,
                          beast::bind_front_handler(&Session::on_write, this->shared_from_this()));
    }

    void on_write(beast::error_code error, std::size_t)
    {
        if (error) return fail();
        response_ = {};
        connection_.tcp().expires_after(std::chrono::seconds(30));
        http::async_read(*connection_.stream, connection_.buffer, response_,
                         beast::bind_front_handler(&Session::on_read, this->shared_from_this()));
    }

    void on_read(beast::error_code error, std::size_t)
    {
        if (error) return fail();
        run_.answered(response_.result_int(), response_.body());
        if (!response_.keep_alive()) connection_.close();
        next();
    }

    void fail()
    {
        connection_.close();
        run_.answered(false);
        next();
    }

    race::Run& run_;
    Target& target_;
    Connection<Stream> connection_;
    http::request<http::empty_body> request_;
    http::response<http::string_body> response_;
};

template <class Stream>
void start(race::Run& run, Target& target)
{
    for (int i = 0; i < run.arguments.connections; ++i) std::make_shared<Session<Stream>>(run, target)->next();
}

int main(int argc, char** argv)
{
    race::Run run(argc, argv);
    Target target(run.arguments);
    run.arguments.tls ? start<Tls>(run, target) : start<Plain>(run, target);
    target.io.run();
    run.report("beast_callback");
}

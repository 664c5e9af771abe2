// SPDX-License-Identifier: BSL-1.0
// A client is given a breaker whose tickets record nothing.
// expect: this type has a Ticket and is no CircuitBreakerPolicy
// expect: RecordsOutcomes
#include <khive/khive.hpp>

#include <boost/asio/io_context.hpp>

struct Deaf {
    struct Ticket {
        Ticket(Ticket&&) = default;
        Ticket& operator=(Ticket&&) = default;
    };
    std::optional<khive::Error> refusal(khive::TimePoint);
    khive::Result<Ticket> try_admit(khive::TimePoint);
};

void make(boost::asio::io_context& io)
{
    khive::AsyncAPIClient api{io, "http://api.test", Deaf{}};
}

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "client.hpp"
#include "gate.hpp"
#include "id_set.hpp"
#include "job.hpp"
#include "line_reader.hpp"
#include "options.hpp"
#include "output_file.hpp"
#include "tally.hpp"

#include <khive/client/response.hpp>
#include <khive/core/result.hpp>

#include <cstddef>
#include <exception>
#include <optional>
#include <utility>

namespace bulk {

/// The end of a coroutine that was spawned: what it threw comes out of `io_context::run`.
inline void rethrow(std::exception_ptr error)
{
    if (error) std::rethrow_exception(std::move(error));
}

/// Sends every line of the input and writes its result, a bounded number of lines at a time.
///
/// - Thread safety: none; everything happens on the one thread of the `io_context`.
/// - Lifetime: must outlive `run` and everything it has started; what it is given must outlive it.
class Runner {
public:
    Runner(asio::io_context& io, const Options& options, Client client, LineReader& input, OutputFile& output, IdSet finished);

    /// Ends when every line has ended, or after `drain` or `abort`.
    ///
    /// - Errors: what the input or output throws comes out of `io_context::run`.
    [[nodiscard]] asio::awaitable<void> run();
    /// Takes no new lines.
    void drain();
    /// Ends what is under way; that is not written.
    void abort();

    [[nodiscard]] bool interrupted() const noexcept { return interrupted_; }
    [[nodiscard]] const Tally& tally() const noexcept { return tally_; }
    [[nodiscard]] const Client& client() const noexcept { return client_; }
    /// How many lines are under way.
    [[nodiscard]] std::size_t under_way() const noexcept { return gate_.inside(); }

private:
    [[nodiscard]] asio::awaitable<void> feed();
    [[nodiscard]] Job read(const LineReader::Line& line);
    void take(const LineReader::Line& line);
    void start(Job job);
    [[nodiscard]] asio::awaitable<void> perform(Job job);
    [[nodiscard]] asio::awaitable<khive::Result<khive::Response>> call(const Job& job, Effort& effort);
    [[nodiscard]] asio::awaitable<void> wait_for_circuit(khive::TimePoint until);
    [[nodiscard]] asio::awaitable<void> nap(std::optional<khive::Duration> wish);
    void finish(const Job& job, Effort& effort, const khive::Result<khive::Response>& result);
    void finish_bad(const Job& job);

    asio::io_context& io_;
    const Options& options_;
    Client client_;
    LineReader& input_;
    OutputFile& output_;
    IdSet finished_; ///< by an earlier run
    IdSet seen_;     ///< ids of this input
    Gate gate_;
    Tally tally_;
    bool draining_ = false;
    bool interrupted_ = false;
    bool aborted_ = false;
};

} // namespace bulk

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>
#include <khive/core/random.hpp>
#include <khive/testing/config.hpp>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution/blocking.hpp>
#include <boost/asio/execution/context.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/query.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <type_traits>
#include <utility>
#include <vector>

namespace khive::inline KHIVE_ABI::testing {
namespace detail {
class SeededQueue;
} // namespace detail

/// An executor that runs what is ready in an order of its own, which a seed repeats.
///
/// An `io_context` of one thread runs handlers in the order in which they became ready, so a test sees one order of many. Code that
/// has to be right on several threads has to be right in every order; this one tries another with each seed. What a strand
/// over it orders stays ordered. A `VirtualTime` that is given a seed is such an executor's.
///
/// ```cpp
/// asio::io_context io;
/// AsyncAPIClient api{testing::SeededScheduler(io, seed), "https://api.test"};
/// ```
///
/// - Lifetime: a handle to what the context owns; handlers that have not run are destroyed with the context. One seed for each
///   context: the first.
/// - Thread safety: safe; with several threads the order is no longer that of the seed.
class SeededScheduler {
public:
    KHIVE_TESTING_DECL SeededScheduler(asio::io_context& io, std::uint64_t seed);

    /// \name What Asio asks an executor
    /// @{
    [[nodiscard]] asio::execution_context& query(asio::execution::context_t) const noexcept
    {
        return asio::query(under_, asio::execution::context);
    }
    [[nodiscard]] static constexpr asio::execution::blocking_t query(asio::execution::blocking_t) noexcept
    {
        return asio::execution::blocking.never;
    }
    [[nodiscard]] SeededScheduler require(asio::execution::blocking_t::never_t) const noexcept { return *this; }
    [[nodiscard]] SeededScheduler require(asio::execution::outstanding_work_t::tracked_t tracked) const
    {
        return {*queue_, asio::prefer(under_, tracked)};
    }
    [[nodiscard]] SeededScheduler require(asio::execution::outstanding_work_t::untracked_t untracked) const
    {
        return {*queue_, asio::prefer(under_, untracked)};
    }
    template <class Function>
    void execute(Function&& function) const;
    friend bool operator==(const SeededScheduler& a, const SeededScheduler& b) noexcept { return a.queue_ == b.queue_; }
    friend bool operator!=(const SeededScheduler& a, const SeededScheduler& b) noexcept { return a.queue_ != b.queue_; }
    /// @}

private:
    SeededScheduler(detail::SeededQueue& queue, asio::any_io_executor under) noexcept
        : queue_(&queue), under_(std::move(under))
    {}

    detail::SeededQueue* queue_;
    asio::any_io_executor under_;
};

namespace detail {

/// A function that is ready to run.
class ReadyFunction {
public:
    virtual ~ReadyFunction() = default;
    virtual void run() = 0;
};

/// What is ready on a context's `SeededScheduler`.
class SeededQueue final : public asio::execution_context::service {
public:
    inline static asio::execution_context::id id;

    explicit SeededQueue(asio::execution_context& context) : service(context), random_(0) {}
    SeededQueue(asio::execution_context& context, std::uint64_t seed) : service(context), random_(seed) {}

    /// Each turn of the executor below runs one of those that are ready, whichever it was posted for.
    KHIVE_TESTING_DECL void push(const asio::any_io_executor& under, std::unique_ptr<ReadyFunction> function);

private:
    KHIVE_TESTING_DECL void run_one();
    KHIVE_TESTING_DECL void shutdown() noexcept override;

    std::mutex mutex_;
    std::vector<std::unique_ptr<ReadyFunction>> ready_;
    Random random_;
    bool shut_down_ = false;
};

} // namespace detail

template <class Function>
void SeededScheduler::execute(Function&& function) const
{
    struct Ready final : detail::ReadyFunction {
        explicit Ready(Function&& f) : call(std::forward<Function>(f)) {}
        void run() override { std::move(call)(); }
        std::decay_t<Function> call;
    };
    queue_->push(under_, std::make_unique<Ready>(std::forward<Function>(function)));
}

} // namespace khive::inline KHIVE_ABI::testing

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#include <khive/testing/impl/seeded_scheduler.ipp>
#endif

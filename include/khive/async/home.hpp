// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/async/asio.hpp>

#include <boost/asio/detail/scheduler_operation.hpp>

namespace khive::inline KHIVE_ABI::async {

/// The queue of an `io_context` or a `thread_pool`, where their executors put what they are given. It is spoken to directly,
/// as what any executor is asked for costs a program that includes this hundreds of functions.
using Home = asio::detail::scheduler;

} // namespace khive::inline KHIVE_ABI::async

// SPDX-License-Identifier: BSL-1.0
#pragma once

/// The bodies of everything that is no template, for programs that define KHIVE_SEPARATE_COMPILATION: include it in exactly
/// one source file, or link `khive::compiled`, which does that.
#if !defined(KHIVE_SEPARATE_COMPILATION)
#error "khive/src.hpp is for programs that define KHIVE_SEPARATE_COMPILATION"
#endif

#include <khive/async/impl/completion.ipp>
#include <khive/async/impl/owned_task.ipp>
#include <khive/async/impl/post.ipp>
#include <khive/async/impl/sleep.ipp>
#include <khive/async/impl/time_service.ipp>
#include <khive/async/impl/untracked_work.ipp>
#include <khive/async/impl/wait_queue.ipp>
#include <khive/async/impl/wait_scope.ipp>
#include <khive/client/impl/basic_auth.ipp>
#include <khive/client/impl/client_core.ipp>
#include <khive/client/impl/client_options.ipp>
#include <khive/client/impl/decode.ipp>
#include <khive/client/impl/request.ipp>
#include <khive/client/impl/response.ipp>
#include <khive/client/impl/timeouts.ipp>
#include <khive/core/impl/byte_buffer.ipp>
#include <khive/core/impl/error.ipp>
#include <khive/core/impl/error_kind.ipp>
#include <khive/core/impl/headers.ipp>
#include <khive/core/impl/ledger.ipp>
#include <khive/core/impl/mutex.ipp>
#include <khive/core/impl/percent.ipp>
#include <khive/core/impl/random.ipp>
#include <khive/core/impl/tree.ipp>
#include <khive/core/impl/url.ipp>
#include <khive/core/impl/url_authority.ipp>
#include <khive/http/impl/chunked.ipp>
#include <khive/http/impl/classify.ipp>
#include <khive/http/impl/date.ipp>
#include <khive/http/impl/request_head.ipp>
#include <khive/http/impl/response_head.ipp>
#include <khive/http/impl/response_reader.ipp>
#include <khive/http/impl/retry_after.ipp>
#include <khive/net/impl/async_exchange.ipp>
#include <khive/net/impl/base64.ipp>
#include <khive/net/impl/connection.ipp>
#include <khive/net/impl/connection_dial.ipp>
#include <khive/net/impl/connection_exchange.ipp>
#include <khive/net/impl/connection_pool.ipp>
#include <khive/net/impl/connection_pool_checkout.ipp>
#include <khive/net/impl/connection_pool_dial.ipp>
#include <khive/net/impl/connection_pool_idle.ipp>
#include <khive/net/impl/endpoint.ipp>
#include <khive/net/impl/tcp_wire.ipp>
#include <khive/net/impl/tls_context.ipp>
#include <khive/net/impl/tls_session.ipp>
#include <khive/net/impl/wire.ipp>
#include <khive/net/impl/write_batch.ipp>
#include <khive/policy/impl/async_executor.ipp>
#include <khive/policy/impl/check_cost.ipp>
#include <khive/policy/impl/circuit_breaker.ipp>
#include <khive/policy/impl/failure.ipp>
#include <khive/policy/impl/rate_limited_executor.ipp>
#include <khive/policy/impl/retry_call.ipp>
#include <khive/policy/impl/retry_with_backoff.ipp>
#include <khive/policy/impl/token_bucket_rate_limiter.ipp>
#include <khive/policy/impl/work_state.ipp>
#include <khive/policy/machine/impl/backoff.ipp>
#include <khive/policy/machine/impl/breaker_machine.ipp>
#include <khive/policy/machine/impl/token_bucket.ipp>
#include <khive/policy/machine/impl/window.ipp>

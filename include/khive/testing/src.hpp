// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/config.hpp>

#if !defined(KHIVE_TESTING_SEPARATE_COMPILATION)
#error "define KHIVE_TESTING_SEPARATE_COMPILATION for the whole program, or do not include this file"
#endif

#include <khive/testing/impl/event_queue.ipp>
#include <khive/testing/impl/event_recorder.ipp>
#include <khive/testing/impl/fault_server.ipp>
#include <khive/testing/impl/fault_server_state.ipp>
#include <khive/testing/impl/fault_session.ipp>
#include <khive/testing/impl/faulty_api.ipp>
#include <khive/testing/impl/received_request.ipp>
#include <khive/testing/impl/reply.ipp>
#include <khive/testing/impl/script.ipp>
#include <khive/testing/impl/scripted_server.ipp>
#include <khive/testing/impl/seeded_scheduler.ipp>
#include <khive/testing/impl/simulated_address.ipp>
#include <khive/testing/impl/simulated_host.ipp>
#include <khive/testing/impl/simulated_link.ipp>
#include <khive/testing/impl/simulated_network.ipp>
#include <khive/testing/impl/simulated_server.ipp>
#include <khive/testing/impl/virtual_time.ipp>

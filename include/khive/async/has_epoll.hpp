// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <boost/asio/detail/config.hpp>
#include <boost/asio/version.hpp>

/// Define KHIVE_ASIO_SOCKETS to have Asio's own sockets, timers and resolver everywhere. They are used without it too where Asio
/// has no epoll, and with versions of it that khive's own have not been tried with: those are for Boost 1.81 to 1.83.
#if !defined(KHIVE_ASIO_SOCKETS) && defined(BOOST_ASIO_HAS_EPOLL) && !defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT) &&        \
    !defined(BOOST_ASIO_ENABLE_HANDLER_TRACKING) && BOOST_ASIO_VERSION >= 102600 && BOOST_ASIO_VERSION < 102900
#define KHIVE_EPOLL 1
#endif

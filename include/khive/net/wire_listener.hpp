// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/single_threaded.hpp>
#include <khive/core/time.hpp>
#include <khive/net/endpoint.hpp>

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <boost/system/error_code.hpp>

#include <cstddef>
#include <span>

namespace khive::inline KHIVE_ABI::net {

/// Who is told how operations on a wire ended. Kept alive by every pending operation.
class WireListener : public boost::intrusive_ref_counter<WireListener, khive::detail::ThreadSafeCount> {
public:
    virtual ~WireListener() = default;
    /// Of a look-up by `Network::resolve`.
    virtual void on_resolved(boost::system::error_code, Endpoints) {}
    virtual void on_connected(boost::system::error_code error) = 0;
    virtual void on_written(boost::system::error_code error, std::size_t bytes) = 0;
    /// Where a read puts what comes; never empty. Asked when the read begins or when there is something to read, as the wire
    /// likes, so that who waits long need not hold a buffer; from any thread, but not while the listener runs the wire. May throw
    /// `std::bad_alloc`, with which the read then ends.
    virtual std::span<char> read_buffer() = 0;
    virtual void on_read(boost::system::error_code error, std::size_t bytes) = 0;
    virtual void on_readable(boost::system::error_code error) = 0;
    /// Of a `WriteBatch`: it may write.
    virtual void on_turn(TimePoint) {}
    /// The execution context ends: the operation's handler was destroyed, not called.
    virtual void on_abandoned() noexcept = 0;
};

using ListenerPtr = boost::intrusive_ptr<WireListener>;

} // namespace khive::inline KHIVE_ABI::net

// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/testing/script.hpp>

#include <stdexcept>
#include <utility>

namespace khive::inline KHIVE_ABI::testing {

KHIVE_TESTING_DECL void Script::add(Reply reply)
{
    scripted_ = true;
    queue_.push_back(std::move(reply));
}

KHIVE_TESTING_DECL void Script::otherwise(Handler handler)
{
    scripted_ = true;
    handler_ = std::move(handler);
}

KHIVE_TESTING_DECL Reply Script::reply_to(const ReceivedRequest& request)
{
    if (!scripted_) return ok();
    if (!queue_.empty()) {
        Reply reply = std::move(queue_.front());
        queue_.pop_front();
        return reply;
    }
    if (handler_) return handler_(request);
    throw std::logic_error("no reply left in the script for request " + std::to_string(request.number) + ": " +
                           request.method + ' ' + request.target);
}

} // namespace khive::inline KHIVE_ABI::testing

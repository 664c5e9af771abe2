// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/yield_point.hpp>
#include <khive/policy/detail/work_state.hpp>

#include <memory>
#include <mutex>
#include <utility>

namespace khive::inline KHIVE_ABI::detail {

KHIVE_DECL std::shared_ptr<WorkShare> WorkShare::make(std::shared_ptr<WorkState> work)
{
    WorkState& of = *work;
    std::shared_ptr<WorkShare> share(new WorkShare(std::move(work)), [](WorkShare* gone) { gone->without_handles(); });
    of.add(*share);
    return share;
}

KHIVE_DECL WorkShare::~WorkShare()
{
    work_->remove(*this);
}

KHIVE_DECL void WorkShare::without_handles() noexcept
{
    bool unused = false;
    {
        const std::lock_guard lock(mutex_);
        has_handles_ = false;
        unused = given_ == 0;
    }
    KHIVE_YIELD_POINT();
    if (unused) delete this;
}

/// The slot goes to who waits, or one of too many back.
KHIVE_DECL void WorkShare::release_slowly() noexcept
{
    work_->release(0, {});
    KHIVE_YIELD_POINT();
    bool last = false;
    {
        const std::lock_guard lock(mutex_);
        last = let_go();
    }
    if (last) delete this;
}

} // namespace khive::inline KHIVE_ABI::detail

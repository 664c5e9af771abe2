// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <cassert>

namespace khive::inline KHIVE_ABI {

/// What an object has to be in a `List`.
class ListNode {
public:
    ListNode() noexcept = default;
    ListNode(const ListNode&) = delete;
    ListNode& operator=(const ListNode&) = delete;

    [[nodiscard]] bool is_linked() const noexcept { return next_ != nullptr; }

private:
    friend class AnyList;
    ListNode* next_ = nullptr;
    ListNode* previous_ = nullptr;
};

/// The base to derive from; `Tag` tells apart those of an object that may be in several lists.
template <class Tag = void>
class ListHook : public ListNode {
public:
    ListHook() noexcept = default;
    ~ListHook() { assert(!is_linked()); }
};

/// A list of objects of any type, each of which has its node. It owns none of them.
class AnyList {
public:
    AnyList() noexcept { root_.next_ = root_.previous_ = &root_; }
    AnyList(const AnyList&) = delete;
    AnyList& operator=(const AnyList&) = delete;

    [[nodiscard]] bool empty() const noexcept { return root_.next_ == &root_; }

protected:
    /// Null where there is none.
    [[nodiscard]] ListNode* first() const noexcept { return after(root_); }
    [[nodiscard]] ListNode* last() const noexcept { return before(root_); }
    [[nodiscard]] ListNode* after(const ListNode& node) const noexcept
    {
        return node.next_ == &root_ ? nullptr : node.next_;
    }
    [[nodiscard]] ListNode* before(const ListNode& node) const noexcept
    {
        return node.previous_ == &root_ ? nullptr : node.previous_;
    }

    /// In front of `place`; at the end where that is null.
    void link(ListNode& node, ListNode* place) noexcept
    {
        assert(!node.is_linked());
        ListNode& next = place == nullptr ? root_ : *place;
        node.next_ = &next;
        node.previous_ = next.previous_;
        node.previous_->next_ = next.previous_ = &node;
    }
    void unlink(ListNode& node) noexcept
    {
        assert(node.is_linked());
        node.previous_->next_ = node.next_;
        node.next_->previous_ = node.previous_;
        node.next_ = node.previous_ = nullptr;
    }

private:
    ListNode root_; ///< before the first and after the last
};

/// A list of `T`, which derive from `ListHook<Tag>`. Made of one `AnyList` for all types: `boost::intrusive::list` has fifty
/// functions for each, and headers that every program compiles.
///
/// - Complexity: O(1), no allocation.
template <class T, class Tag = void>
class List : public AnyList {
    using Hook = ListHook<Tag>;

public:
    /// Null where there is none.
    [[nodiscard]] T* first() const noexcept { return static_cast<T*>(static_cast<Hook*>(AnyList::first())); }
    [[nodiscard]] T* last() const noexcept { return static_cast<T*>(static_cast<Hook*>(AnyList::last())); }
    [[nodiscard]] T* after(const Hook& one) const noexcept
    {
        return static_cast<T*>(static_cast<Hook*>(AnyList::after(one)));
    }
    [[nodiscard]] T* before(const Hook& one) const noexcept
    {
        return static_cast<T*>(static_cast<Hook*>(AnyList::before(one)));
    }

    void push_back(Hook& one) noexcept { link(one, nullptr); }
    /// In front of `place`; at the end where that is null.
    void insert(Hook* place, Hook& one) noexcept { link(one, place); }
    void erase(Hook& one) noexcept { unlink(one); }
};

} // namespace khive::inline KHIVE_ABI

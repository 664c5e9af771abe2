// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <cstddef>
#include <cstdint>

namespace khive::inline KHIVE_ABI {

/// What an object has to be in a `Tree`: three pointers.
class TreeNode {
public:
    TreeNode() noexcept = default;
    TreeNode(const TreeNode&) = delete;
    TreeNode& operator=(const TreeNode&) = delete;

    [[nodiscard]] bool is_linked() const noexcept { return parent_ != 0; }

private:
    friend class AnyTree;
    std::uintptr_t parent_ = 0; ///< with the colour in its lowest bit
    TreeNode* left_ = nullptr;
    TreeNode* right_ = nullptr;
};

/// An ordered tree of objects of any type, each of which has its node. It owns none of them.
class AnyTree {
public:
    KHIVE_DECL AnyTree() noexcept;
    AnyTree(const AnyTree&) = delete;
    AnyTree& operator=(const AnyTree&) = delete;

    [[nodiscard]] bool empty() const noexcept { return header_.left_ == &header_; }
    /// Complexity: O(n).
    [[nodiscard]] KHIVE_DECL std::size_t size() const noexcept;

protected:
    using Less = bool (*)(const TreeNode& a, const TreeNode& b);
    using LessThanKey = bool (*)(const TreeNode& node, const void* key);

    /// Null where there is none.
    [[nodiscard]] TreeNode* first() const noexcept { return empty() ? nullptr : header_.left_; }
    [[nodiscard]] KHIVE_DECL TreeNode* after(const TreeNode& node) const noexcept;
    [[nodiscard]] KHIVE_DECL TreeNode* lower_bound(const void* key, LessThanKey less) const noexcept;

    KHIVE_DECL void link(TreeNode& node, Less less) noexcept;
    KHIVE_DECL void unlink(TreeNode& node) noexcept;

private:
    struct Traits;
    [[nodiscard]] TreeNode* header() const noexcept { return const_cast<TreeNode*>(&header_); }

    TreeNode header_; ///< its left is the first, its right the last, its parent the root
};

/// A tree of `T`, which derive from `TreeNode` and have an order. Made of one `AnyTree` for all types, for what
/// `boost::intrusive::set` and its headers take of every compilation; the algorithms are Boost's.
///
/// - Complexity: O(log n), no allocation.
template <class T>
class Tree : public AnyTree {
public:
    /// Null where there is none.
    [[nodiscard]] T* first() const noexcept { return static_cast<T*>(AnyTree::first()); }
    [[nodiscard]] T* after(const T& one) const noexcept { return static_cast<T*>(AnyTree::after(one)); }
    /// The first that is not less than `key`.
    template <class Key>
    [[nodiscard]] T* lower_bound(const Key& key) const noexcept
    {
        return static_cast<T*>(AnyTree::lower_bound(&key, &less_than<Key>));
    }

    /// After those that are equal.
    void insert(T& one) noexcept { link(one, &less); }
    void erase(T& one) noexcept { unlink(one); }

private:
    static bool less(const TreeNode& a, const TreeNode& b) { return static_cast<const T&>(a) < static_cast<const T&>(b); }
    template <class Key>
    static bool less_than(const TreeNode& node, const void* key)
    {
        return static_cast<const T&>(node) < *static_cast<const Key*>(key);
    }
};

} // namespace khive::inline KHIVE_ABI

#if !defined(KHIVE_SEPARATE_COMPILATION)
#include <khive/core/impl/tree.ipp>
#endif

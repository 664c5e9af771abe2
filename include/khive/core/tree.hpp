// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/config.hpp>

#include <cstddef>

namespace khive::inline KHIVE_ABI {

/// What an object has to be in a `Tree`: three pointers.
class TreeNode {
public:
    TreeNode() noexcept = default;
    TreeNode(const TreeNode&) = delete;
    TreeNode& operator=(const TreeNode&) = delete;

    [[nodiscard]] bool is_linked() const noexcept { return parent_ != nullptr; }

private:
    friend class AnyTree;
    TreeNode* parent_ = nullptr;
    TreeNode* left_ = nullptr;
    TreeNode* right_ = nullptr;
};

/// An ordered tree of objects of any type, each of which has its node. It owns none of them.
///
/// A treap: besides the order of the objects there is one among parents and children, by a number that is as good as random, here
/// made of the node's address. That keeps it as flat as a random tree, and is a tenth of the code that a red-black tree takes.
/// - Source: Seidel and Aragon, "Randomized Search Trees", Algorithmica 16 (1996).
class AnyTree {
public:
    AnyTree() noexcept = default;
    AnyTree(const AnyTree&) = delete;
    AnyTree& operator=(const AnyTree&) = delete;

    [[nodiscard]] bool empty() const noexcept { return first_ == nullptr; }
    /// Complexity: O(n).
    [[nodiscard]] KHIVE_DECL std::size_t size() const noexcept;

protected:
    using Less = bool (*)(const TreeNode& a, const TreeNode& b);
    using LessThanKey = bool (*)(const TreeNode& node, const void* key);

    /// Null where there is none.
    [[nodiscard]] TreeNode* first() const noexcept { return first_; }
    [[nodiscard]] KHIVE_DECL TreeNode* after(const TreeNode& node) const noexcept;
    [[nodiscard]] KHIVE_DECL TreeNode* lower_bound(const void* key, LessThanKey less) const noexcept;

    KHIVE_DECL void link(TreeNode& node, Less less) noexcept;
    KHIVE_DECL void unlink(TreeNode& node) noexcept;

private:
    [[nodiscard]] static bool belongs_above(const TreeNode& node, const TreeNode& other) noexcept;
    static void put_in_place_of(const TreeNode& old, TreeNode* node) noexcept;
    /// Makes a node its parent's parent.
    static void raise(TreeNode& node) noexcept;

    TreeNode top_; ///< its left is the root
    TreeNode* first_ = nullptr;
};

/// A tree of `T`, which derive from `TreeNode` and have an order. Made of one `AnyTree` for all types, for what
/// `boost::intrusive::set` and its headers take of every compilation: 8,700 lines.
///
/// - Complexity: O(log n) expected, `first` O(1), no allocation.
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

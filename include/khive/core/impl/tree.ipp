// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <khive/core/tree.hpp>

#include <boost/intrusive/rbtree_algorithms.hpp>

#include <cassert>

namespace khive::inline KHIVE_ABI {

struct AnyTree::Traits {
    using node = TreeNode;
    using node_ptr = TreeNode*;
    using const_node_ptr = const TreeNode*;
    using color = std::uintptr_t;

    static color black() noexcept { return 1; }
    static color red() noexcept { return 0; }
    static color get_color(const TreeNode* node) noexcept { return node->parent_ & 1; }
    static void set_color(TreeNode* node, color colour) noexcept { node->parent_ = (node->parent_ & ~color{1}) | colour; }

    static TreeNode* get_parent(const TreeNode* node) noexcept
    {
        return reinterpret_cast<TreeNode*>(node->parent_ & ~color{1});
    }
    static void set_parent(TreeNode* node, TreeNode* parent) noexcept
    {
        node->parent_ = reinterpret_cast<std::uintptr_t>(parent) | get_color(node);
    }
    static TreeNode* get_left(const TreeNode* node) noexcept { return node->left_; }
    static void set_left(TreeNode* node, TreeNode* left) noexcept { node->left_ = left; }
    static TreeNode* get_right(const TreeNode* node) noexcept { return node->right_; }
    static void set_right(TreeNode* node, TreeNode* right) noexcept { node->right_ = right; }

    using Algorithms = boost::intrusive::rbtree_algorithms<Traits>;
};

KHIVE_DECL AnyTree::AnyTree() noexcept
{
    Traits::Algorithms::init_header(&header_);
}

KHIVE_DECL std::size_t AnyTree::size() const noexcept
{
    std::size_t count = 0;
    for (const TreeNode* node = first(); node != nullptr; node = after(*node)) ++count;
    return count;
}

KHIVE_DECL TreeNode* AnyTree::after(const TreeNode& node) const noexcept
{
    TreeNode* const next = Traits::Algorithms::next_node(const_cast<TreeNode*>(&node));
    return next == &header_ ? nullptr : next;
}

KHIVE_DECL TreeNode* AnyTree::lower_bound(const void* key, LessThanKey less) const noexcept
{
    TreeNode* const found = Traits::Algorithms::lower_bound(
        header(), key, [less](const TreeNode* node, const void* wanted) { return less(*node, wanted); });
    return found == &header_ ? nullptr : found;
}

KHIVE_DECL void AnyTree::link(TreeNode& node, Less less) noexcept
{
    assert(!node.is_linked());
    Traits::Algorithms::insert_equal_upper_bound(&header_, &node,
                                                 [less](const TreeNode* a, const TreeNode* b) { return less(*a, *b); });
}

KHIVE_DECL void AnyTree::unlink(TreeNode& node) noexcept
{
    assert(node.is_linked());
    Traits::Algorithms::erase(&header_, &node);
    node.parent_ = 0;
}

} // namespace khive::inline KHIVE_ABI
